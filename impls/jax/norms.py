import jax
import jax.numpy as jnp

from impls.checks import checked

# Sums over axes, not over reshaped rows: an array that is sharded over a mesh with explicit axes has no such rows.


@checked
def l2_norm(x):
    return _lengths(x, "sample").reshape(x.shape[0])  # (B,)


def _axes(x, scope):
    """The axes of one vector."""
    return tuple(range(1 if scope == "sample" else 0, x.ndim))


def _lengths(x, scope):
    axes = _axes(x, scope)
    largest = jnp.abs(jax.lax.stop_gradient(x)).max(axes, keepdims=True)  # (B, 1, ...)
    safe = jnp.where(largest > 0, x / jnp.where(largest > 0, largest, 1), 1)  # no sqrt at 0: its slope is inf
    norm = largest * jnp.sqrt(jnp.square(safe).sum(axes, keepdims=True))
    return jnp.where(largest == 0, 0, norm)


@checked
def unit(x, *, scope="sample"):
    axes = _axes(x, scope)
    largest = jnp.abs(x).max(axes, keepdims=True)
    x = x / jnp.where(largest == 0, 1, largest)  # squares of 1e-30 would vanish in float32
    norm = jnp.sqrt(jnp.square(x).sum(axes, keepdims=True))
    return x / jnp.where(norm == 0, 1, norm)


@checked
def steepest(x, *, norm="l2", scope="sample"):
    if norm == "l2":
        return unit(x, scope=scope)
    if norm == "linf":
        return jnp.sign(x)
    if norm == "raw":
        return x
    axes, sizes = _axes(x, scope), jnp.abs(x)
    largest = (sizes == sizes.max(axes, keepdims=True)).astype(x.dtype)
    return jnp.sign(x) * largest / largest.sum(axes, keepdims=True)


@checked
def project(x, *, radius, norm="l2"):
    return _project(x, radius, norm, "sample")


def _project(x, radius, norm, scope):
    """`project` for one vector a sample, or for one that is the whole tensor."""
    if norm == "linf":
        return jnp.clip(x, -radius, radius)
    if norm == "l2":
        length = _lengths(x, scope)
        inside = length <= radius
        return x * jnp.where(inside, 1, radius / jnp.where(inside, 1, length))
    axes, sizes = _axes(x, scope), jnp.abs(x)
    largest = sizes.max(axes, keepdims=True)
    gaps = _rows(largest - sizes, scope)  # (B, n), to the largest: keeps its digits where x is far outside
    count = jnp.arange(1, gaps.shape[1] + 1, dtype=x.dtype)[None]
    level = ((jnp.sort(gaps, axis=1).cumsum(1) + radius) / count).min(1, keepdims=True)  # what is left of the largest
    level = level.reshape(largest.shape)
    inside = sizes.sum(axes, keepdims=True) <= radius
    return jnp.where(inside, x, jnp.sign(x) * (level - (largest - sizes)).clip(min=0))


def _product(a, b):
    """a @ b; what is contracted may be sharded over a mesh with explicit axes: the result is then on every device."""
    explicit = any(not jax.typeof(array).sharding.mesh.empty for array in (a, b))
    return jnp.matmul(a, b, out_sharding=jax.sharding.PartitionSpec()) if explicit else a @ b


def _rows(x, scope):
    """Vectors side by side, (B, n) or (1, n), each of them on one device: they are sorted."""
    if not jax.typeof(x).sharding.mesh.empty:
        spec = jax.typeof(x).sharding.spec
        x = jax.sharding.reshard(x, jax.sharding.PartitionSpec(spec[0] if scope == "sample" and spec else None))
    return x.reshape(x.shape[0] if scope == "sample" else 1, -1)
