import folx
import jax
import jax.numpy as jnp
from folx.api import FunctionFlags

from impls.checks import checked
from impls.jax.norms import l2_norm, unit


@checked
def hvp(loss, x, vector):
    return _hessian(loss, x)[0](vector)


def _hessian(loss, x):
    def total(x):
        values = loss(x)
        return values.sum(), values  # rows of the batch do not mix

    _, product, values = jax.linearize(jax.grad(total, has_aux=True), x, has_aux=True)
    return product, values  # v -> Hv (B, *S), (B,)


@checked
def laplacian(loss, x, *, how="hvp", probes=None, with_loss=False):
    if how == "forward" and probes is None:
        found = _forward_laplacian(loss, x)
        return (found, loss(x)) if with_loss else found
    vectors = probes  # (K, B, *S)
    if probes is None:
        n = x[0].size
        vectors = jnp.broadcast_to(jnp.eye(n, dtype=x.dtype).reshape(n, 1, *x.shape[1:]), (n, *x.shape))
    if how == "forward":
        values, form = loss(x) if with_loss else None, lambda v: _forward_form(loss, x, v)
    else:
        product, values = _hessian(loss, x)
        form = lambda v: _dot(v, product(v))  # noqa: E731 - vᵀHv, (B,)
    forms = jax.vmap(form)(vectors)  # (K, B)
    found = forms.sum(0) if probes is None else forms.mean(0)  # (B,)
    return (found, values) if with_loss else found


def _forward_form(loss, x, v):  # vᵀHv, forward over forward
    return jax.jvp(lambda x: jax.jvp(loss, (x,), (v,))[1], (x,), (v,))[1]


def _forward_laplacian(loss, x):  # all unit vectors at once
    def moved(shift):  # one displacement for the whole batch: Δℓ_b in it is Δℓ_b in sample b
        return loss(x + shift.reshape(1, *x.shape[1:]))

    found = folx.forward_laplacian(moved, disable_jit=True)(jnp.zeros(x[0].size, x.dtype))
    return found.laplacian if hasattr(found, "laplacian") else jnp.zeros_like(found)  # (B,); an array ignores x


def _convolution(operands, options, sparsity_threshold):  # folx knows none and would build the whole Hessian
    linear = sum(hasattr(operand, "laplacian") for operand in operands) == 1  # in the input, or in the kernel
    flags = FunctionFlags.LINEAR if linear else FunctionFlags.GENERAL
    rule = folx.wrap_forward_laplacian(jax.lax.conv_general_dilated_p.bind, flags=flags)
    return rule(operands, options, sparsity_threshold)


folx.register_function(jax.lax.conv_general_dilated_p, _convolution)


@checked
def top_eigenpair(loss, x, start, *, steps, how="power"):
    product, _ = _hessian(loss, x)  # one forward pass and one gradient for all steps
    vector = jax.lax.stop_gradient((_power if how == "power" else _lanczos)(product, start, steps))
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
    projected = jnp.stack([jnp.stack([_dot(q, p) for p in products]) for q in basis])  # QᵀHQ: (K, K, B)
    values, vectors = jnp.linalg.eigh(jnp.moveaxis(projected + projected.swapaxes(0, 1), 2, 0) / 2)
    top = jnp.abs(values).argmax(1)[:, None, None]
    coordinates = jnp.take_along_axis(vectors, top, axis=2)[:, :, 0]  # (B, K)
    coordinates = jnp.where(coordinates[:, :1] < 0, -coordinates, coordinates)  # turned towards the start
    return unit(jnp.einsum("bk,kb...->b...", coordinates, jnp.stack(basis)))


def _next(basis, product):  # its part orthogonal to the basis; twice, since once leaves rounding errors of size one
    rest = product
    for _ in range(2):
        rest = rest - sum(q * _dot(q, rest).reshape(-1, *[1] * (q.ndim - 1)) for q in basis)
    exhausted = l2_norm(rest) <= 64 * jnp.finfo(rest.dtype).eps * l2_norm(product)
    return jnp.where(exhausted.reshape(-1, *[1] * (rest.ndim - 1)), 0, unit(rest))


def _dot(a, b):
    return (a * b).reshape(a.shape[0], -1).sum(1)  # (B,)
