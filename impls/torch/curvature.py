import torch

from impls.checks import checked
from impls.torch.norms import l2_norm, unit


@checked
def hvp(loss, x, vector):
    gradient = torch.func.grad(lambda x: loss(x).sum())  # rows of the batch do not mix: (B, *S)
    return torch.func.jvp(gradient, (x,), (vector,))[1]


@checked
def laplacian(loss, x, *, how="hvp", probes=None):
    vectors = probes  # (K, B, *S)
    if probes is None:
        n = x[0].numel()
        vectors = torch.eye(n, dtype=x.dtype, device=x.device).reshape(n, 1, *x.shape[1:]).expand(n, *x.shape)
    form = _forward_form if how == "forward" else _form
    forms = torch.func.vmap(lambda v: form(loss, x, v))(vectors)  # (K, B)
    return forms.sum(0) if probes is None else forms.mean(0)  # (B,)


def _form(loss, x, v):
    return _dot(v, hvp(loss, x, v))  # vᵀHv, (B,)


def _forward_form(loss, x, v):  # the same, forward over forward
    return torch.func.jvp(lambda x: torch.func.jvp(loss, (x,), (v,))[1], (x,), (v,))[1]


@checked
def top_eigenpair(loss, x, start, *, steps, how="power"):
    with torch.no_grad():
        if how == "power":
            vector = unit(start)
            for _ in range(steps):
                vector = unit(hvp(loss, x, vector))
        else:
            vector = _lanczos(loss, x, start, steps)
    vector = vector.detach()
    return _form(loss, x, vector), vector  # (B,), (B, *S)


def _lanczos(loss, x, start, steps):
    basis, products = [unit(start)], []
    for _ in range(steps):
        products.append(hvp(loss, x, basis[-1]))
        basis.append(_next(basis, products[-1]))
    products.append(hvp(loss, x, basis[-1]))
    projected = torch.stack([torch.stack([_dot(q, p) for p in products]) for q in basis])  # QᵀHQ: (K, K, B)
    values, vectors = torch.linalg.eigh((projected + projected.transpose(0, 1)).movedim(2, 0) / 2)
    top = values.abs().argmax(1)[:, None, None].expand(-1, len(basis), 1)
    coordinates = vectors.gather(2, top)[:, :, 0]  # (B, K)
    coordinates = torch.where(coordinates[:, :1] < 0, -coordinates, coordinates)  # turned towards the start
    return unit(torch.einsum("bk,kb...->b...", coordinates, torch.stack(basis)))


def _next(basis, product):  # its part orthogonal to the basis; twice, since once leaves rounding errors of size one
    rest = product
    for _ in range(2):
        rest = rest - sum(q * _dot(q, rest).reshape(-1, *[1] * (q.dim() - 1)) for q in basis)
    exhausted = l2_norm(rest) <= 64 * torch.finfo(rest.dtype).eps * l2_norm(product)
    return torch.where(exhausted.reshape(-1, *[1] * (rest.dim() - 1)), 0, unit(rest))


def _dot(a, b):
    return (a * b).reshape(a.shape[0], -1).sum(1)  # (B,)
