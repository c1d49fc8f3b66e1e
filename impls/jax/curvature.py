import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from impls.checks import checked
from impls.jax.iterations import held, repeated
from impls.jax.norms import _wide, l2_norm, unit

_PRODUCT, _CONVOLUTION = jax.lax.dot_general_p, jax.lax.conv_general_dilated_p


@checked
def hvp(loss, x, vector):
    return _hessian(loss, x)[0](vector + jnp.zeros_like(x))  # sharded as x is


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
    n = math.prod(x.shape[1:])
    vectors = jnp.eye(n, dtype=x.dtype).reshape(n, 1, *x.shape[1:]) if probes is None else probes
    vectors = vectors + jnp.zeros_like(x)[None]  # (n or K, B, *S), sharded as x is
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
    folx = _folx()
    places = np.arange(math.prod(x.shape[1:])).reshape(
        1, 1, *x.shape[1:]
    )  # of each number's only derivative, the one in itself
    jacobian = folx.api.FwdJacobian(jnp.ones_like(x)[None], np.broadcast_to(places, (1, *x.shape)))
    if "scan[" in str(jax.make_jaxpr(loss)(x)):  # folx wants one kind of Jacobian before a step and after it
        jacobian = jacobian.as_dense
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):  # folx needs both
        found = folx.forward_laplacian(loss, disable_jit=True)(folx.api.FwdLaplArray(x, jacobian, jnp.zeros_like(x)))
    return found.laplacian if hasattr(found, "laplacian") else jnp.zeros_like(found)  # (B,); an array ignores x


@functools.cache
def _folx():  # with this file's rules; imported only now, since no other method needs it
    try:
        import folx
        import folx.api
        import folx.wrapped_functions
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"how: got 'forward' without probes, which needs {error.name}: pip install {error.name}, or pass how='hvp'"
        ) from None
    folx.register_function(_PRODUCT, _first_layer(_PRODUCT, folx.wrapped_functions.get_laplacian(_PRODUCT)))
    folx.register_function(_CONVOLUTION, _first_layer(_CONVOLUTION, _convolution))
    return folx


def _first_layer(primitive, rule):  # maps the unit vectors once instead of once a sample: its Jacobian is diagonal
    def shared(operands, options, sparsity_threshold):
        x, *weights = operands
        if not _diagonal(x) or any(hasattr(w, "laplacian") for w in weights) or not _by_rows(primitive, options):
            return rule(operands, options, sparsity_threshold)

        def layer(rows):
            return primitive.bind(rows, *weights, **options)

        order = x.jacobian.x0_idx[0, 0].argsort(axis=None)  # where in a row the i-th input is
        units = jnp.eye(order.size, dtype=x.dtype)[:, order.argsort()].reshape(-1, *x.shape[1:])
        slopes = x.jacobian.data[0].reshape(len(x.x), -1)[:, order].T  # (n, B)
        mapped = layer(units)  # (n, *T)
        jacobian = slopes.reshape(*slopes.shape, *[1] * (mapped.ndim - 1)) * mapped[:, None]  # (n, B, *T)
        api = _folx().api
        return api.FwdLaplArray(layer(x.x), api.FwdJacobian(jacobian), layer(x.laplacian))

    return shared


def _diagonal(x):  # each number depends on one input, and no two of a sample on the same
    places = x.jacobian.x0_idx if hasattr(x, "laplacian") else None
    if places is None or len(places) != 1 or x.ndim < 2 or (places != places[:, :1]).any():
        return False
    return (np.sort(places[0, 0], axis=None) == np.arange(places[0, 0].size)).all()


def _by_rows(primitive, options):  # whether the first axis is that of samples before it and after it
    dimensions = options["dimension_numbers"]
    if primitive is _CONVOLUTION:
        return dimensions.lhs_spec[0] == dimensions.out_spec[0] == 0 and options["batch_group_count"] == 1
    (contracted, _), (batched, _) = dimensions
    return not batched and 0 not in contracted


def _convolution(operands, options, sparsity_threshold):  # folx knows none and would build the whole Hessian
    linear = sum(hasattr(operand, "laplacian") for operand in operands) == 1  # in the input, or in the kernel
    folx = _folx()
    flags = folx.api.FunctionFlags.LINEAR if linear else folx.api.FunctionFlags.GENERAL
    rule = folx.wrap_forward_laplacian(jax.lax.conv_general_dilated_p.bind, flags=flags)
    return rule(operands, options, sparsity_threshold)


@checked
def top_eigenpair(loss, x, start, *, steps, how="power"):
    multiply, _ = _hessian(loss, x)  # one forward pass and one gradient for all steps

    def product(vector):
        return _wide(multiply(vector.astype(x.dtype)))

    vector = (_power if how == "power" else _lanczos)(product, _wide(start + jnp.zeros_like(x)), steps).astype(x.dtype)
    vector = jax.lax.stop_gradient(vector)
    return _dot(vector, hvp(loss, x, vector)), vector  # (B,), (B, *S)


def _power(product, start, steps):
    fixed = held(product, start)
    return repeated(lambda vector: unit(fixed(vector)), unit(start), steps)


def _lanczos(product, start, steps):
    basis, products = [unit(start)], []
    for _ in range(steps):
        products.append(product(basis[-1]))
        basis.append(_next(basis, products[-1]))
    products.append(product(basis[-1]))
    projected = _dots(jnp.stack(basis), jnp.stack(products))  # QᵀHQ: (K, K, B)
    values, vectors = jnp.linalg.eigh(jnp.moveaxis(projected + projected.swapaxes(0, 1), 2, 0) / 2)
    top = jnp.abs(values).argmax(1)[:, None, None]
    coordinates = jnp.take_along_axis(vectors, top, axis=2)[:, :, 0]  # (B, K)
    coordinates = jnp.where(coordinates[:, :1] < 0, -coordinates, coordinates)  # turned towards the start
    return unit(jnp.einsum("bk,kb...->b...", coordinates, jnp.stack(basis)))


def _next(basis, product):  # its part orthogonal to the basis; twice, since once leaves rounding errors of size one
    basis, rest = jnp.stack(basis), product
    for _ in range(2):
        rest = rest - jnp.einsum("kb,kb...->b...", _dots(basis, rest[None])[:, 0], basis)
    exhausted = l2_norm(rest) <= 64 * jnp.finfo(rest.dtype).eps * l2_norm(product)
    return jnp.where(exhausted.reshape(-1, *[1] * (rest.ndim - 1)), 0, unit(rest))


def _dot(a, b):
    return (_wide(a) * _wide(b)).reshape(a.shape[0], -1).sum(1)  # (B,)


def _dots(a, b):  # each of a (K, B, *S) with each of b (M, B, *S)
    return jnp.einsum("kbn,mbn->kmb", a.reshape(*a.shape[:2], -1), b.reshape(*b.shape[:2], -1))
