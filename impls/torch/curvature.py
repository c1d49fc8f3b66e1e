import torch

from impls.checks import checked
from impls.torch.derivatives import hessian, second_along
from impls.torch.norms import _wide, l2_norm, unit


@checked
def hvp(loss, x, vector):
    _, product = hessian(loss, x)
    return product(vector)


@checked
def laplacian(loss, x, *, how="hvp", probes=None, with_loss=False):
    vectors = probes  # (K, B, *S)
    if probes is None:
        n = x[0].numel()
        vectors = torch.eye(n, dtype=x.dtype, device=x.device).reshape(n, 1, *x.shape[1:]).expand(n, *x.shape)
    if how == "forward":
        values, forms = loss(x) if with_loss else None, second_along(loss, x, vectors)  # vᵀHv: (K, B)
    else:
        values, product = hessian(loss, x)
        forms = (_wide(vectors) * _wide(product(vectors, many=True))).reshape(*vectors.shape[:2], -1).sum(2)  # (K, B)
    found = forms.sum(0) if probes is None else forms.mean(0)  # (B,)
    return (found, values) if with_loss else found


@checked
def top_eigenpair(loss, x, start, *, steps, how="power"):
    def product(vector):
        return _wide(multiply(vector.to(x.dtype)))

    with torch.no_grad():
        _, multiply = hessian(loss, x)  # one forward pass and one gradient for all steps
        vector = (_power if how == "power" else _lanczos)(product, _wide(start), steps).to(x.dtype).detach()
    return _dot(vector, hvp(loss, x, vector)), vector  # (B,), (B, *S)


def _power(product, start, steps):
    vector = unit(start)
    for _ in range(steps):
        vector = unit(product(vector))
    return vector


def _lanczos(product, start, steps):
    basis, products = [unit(start)], []
    for _ in range(steps):
        products.append(product(basis[-1]))
        basis.append(_next(basis, products[-1]))
    products.append(product(basis[-1]))
    projected = _dots(torch.stack(basis), torch.stack(products))  # QᵀHQ: (K, K, B)
    values, vectors = torch.linalg.eigh((projected + projected.transpose(0, 1)).movedim(2, 0) / 2)
    top = values.abs().argmax(1)[:, None, None].expand(-1, len(basis), 1)
    coordinates = vectors.gather(2, top)[:, :, 0]  # (B, K)
    coordinates = torch.where(coordinates[:, :1] < 0, -coordinates, coordinates)  # turned towards the start
    return unit(torch.einsum("bk,kb...->b...", coordinates, torch.stack(basis)))


def _next(basis, product):  # its part orthogonal to the basis; twice, since once leaves rounding errors of size one
    basis, rest = torch.stack(basis), product
    for _ in range(2):
        rest = rest - torch.einsum("kb,kb...->b...", _dots(basis, rest[None])[:, 0], basis)
    exhausted = l2_norm(rest) <= 64 * torch.finfo(rest.dtype).eps * l2_norm(product)
    return torch.where(exhausted.reshape(-1, *[1] * (rest.dim() - 1)), 0, unit(rest))


def _dot(a, b):
    return (_wide(a) * _wide(b)).reshape(a.shape[0], -1).sum(1)  # (B,)


def _dots(a, b):  # each of a (K, B, *S) with each of b (M, B, *S)
    return torch.einsum("kbn,mbn->kmb", a.reshape(*a.shape[:2], -1), b.reshape(*b.shape[:2], -1))
