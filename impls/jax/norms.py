import jax
import jax.numpy as jnp

from impls.checks import check_step, checked

# Sums over axes, not over reshaped rows: an array that is sharded over a mesh with explicit axes has no such rows.


@checked
def l2_norm(x):
    return _lengths(x, "sample").reshape(x.shape[0]).astype(x.dtype)  # (B,)


def _axes(x, scope):  # of one vector
    return tuple(range(1 if scope == "sample" else 0, x.ndim))


def _lengths(x, scope):
    scaled, largest = _scaled(_wide(x), scope)
    return largest * _root(scaled, largest, scope)  # (B, 1, ...)


@checked
def unit(x, *, scope="sample"):
    scaled, largest = _scaled(_wide(x), scope)
    return (scaled / _root(scaled, largest, scope)).astype(x.dtype)


@checked
def steepest(x, *, norm="l2", scope="sample"):
    if norm == "l2":
        return unit(x, scope=scope)
    if norm == "linf":
        return jnp.sign(x)
    if norm == "raw":
        return x
    axes, sizes = _axes(x, scope), jnp.abs(_wide(x))
    largest = (sizes == sizes.max(axes, keepdims=True)).astype(sizes.dtype)
    return jnp.sign(x) * (largest / largest.sum(axes, keepdims=True)).astype(x.dtype)


@checked
def project(x, *, radius, norm="l2"):
    return _project(x, radius, norm, "sample")


def _project(x, radius, norm, scope):  # one vector a sample, or one that is the whole tensor
    wide = _wide(x)
    radius = jnp.asarray(radius, wide.dtype)
    if norm == "linf":
        nearest = jnp.clip(wide, -radius, radius)
    elif norm == "l2":
        inside = _lengths(wide, scope) <= radius
        nearest = jnp.where(inside, wide, radius * unit(jnp.where(inside, 1, wide), scope=scope))
    else:
        axes, sizes = _axes(x, scope), jnp.abs(wide)
        largest = sizes.max(axes, keepdims=True)
        gaps = _rows(largest - sizes, scope)  # (B, n), to the largest: keeps its digits where x is far outside
        count = jnp.arange(1, gaps.shape[1] + 1, dtype=wide.dtype)[None]
        level = ((jnp.sort(gaps, axis=1).cumsum(1) + radius) / count).min(1, keepdims=True)
        level = level.reshape(largest.shape)  # what is left of the largest
        inside = sizes.sum(axes, keepdims=True) <= radius
        nearest = jnp.where(inside, wide, jnp.sign(wide) * (level - (largest - sizes)).clip(min=0))
    return nearest.astype(x.dtype)


def _wide(x):  # half precision is computed with in float32
    full = jnp.issubdtype(x.dtype, jnp.floating) and x.dtype.itemsize >= 4
    return x if full else x.astype(jnp.float32)


def _scaled(x, scope="sample"):  # divided by its largest entries, which are held fixed; by ∞ where all are 0: 0
    largest = jnp.abs(jax.lax.stop_gradient(x)).max(_axes(x, scope), keepdims=True)  # (B, 1, ...)
    less = jnp.where(largest > 1, 0.25, 1)  # XLA multiplies by reciprocals, and that of 3e38 is 0
    return x * less / jnp.where(largest == 0, jnp.inf, largest * less), largest


def _root(scaled, largest, scope):  # of the sum of squares; 1 where all are 0: there is no slope of a root of 0
    ones = (largest == 0).astype(scaled.dtype)
    return jnp.sqrt(jnp.square(scaled).sum(_axes(scaled, scope), keepdims=True) + ones)


def _step(xi, x, values, order):  # None: where an error of (ξ/size)^order is as large as rounding's u·size/ξ
    u = max(float(jnp.finfo(array.dtype).eps) / 2 for array in (x, values))
    check_step(xi, float(jnp.finfo(x.dtype).smallest_subnormal), x.dtype)
    size = jnp.maximum(l2_norm(_wide(x)), 1).reshape(-1, *[1] * (x.ndim - 1))
    return u ** (1 / (order + 1)) * size if xi is None else xi * jnp.ones_like(size)  # (B, 1, ..., 1)


def _product(a, b):  # a @ b; what is contracted may be sharded over explicit axes, and comes to every device
    explicit = any(not jax.typeof(array).sharding.mesh.empty for array in (a, b))
    return jnp.matmul(a, b, out_sharding=jax.sharding.PartitionSpec()) if explicit else a @ b


def _rows(x, scope):  # vectors side by side, (B, n) or (1, n), each of them on one device: they are sorted
    if not jax.typeof(x).sharding.mesh.empty:
        spec = jax.typeof(x).sharding.spec
        x = jax.sharding.reshard(x, jax.sharding.PartitionSpec(spec[0] if scope == "sample" and spec else None))
    return x.reshape(x.shape[0] if scope == "sample" else 1, -1)
