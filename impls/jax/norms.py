import jax
import jax.numpy as jnp

from impls.checks import checked


@checked
def l2_norm(x):
    safe, largest = _scaled(_wide(x).reshape(x.shape[0], -1))
    norm = largest[:, 0] * jnp.sqrt(jnp.square(safe).sum(1))
    return jnp.where(largest[:, 0] == 0, 0, norm).astype(x.dtype)  # (B,)


@checked
def unit(x, *, scope="sample"):
    safe, largest = _scaled(_wide(x).reshape(x.shape[0] if scope == "sample" else 1, -1))
    rows = safe / jnp.sqrt(jnp.square(safe).sum(1, keepdims=True))
    return jnp.where(largest == 0, 0, rows).reshape(x.shape).astype(x.dtype)


@checked
def steepest(x, *, norm="l2", scope="sample"):
    if norm == "l2":
        return unit(x, scope=scope)
    if norm == "linf":
        return jnp.sign(x)
    if norm == "raw":
        return x
    rows = jnp.abs(_wide(x).reshape(x.shape[0] if scope == "sample" else 1, -1))
    largest = (rows == rows.max(1, keepdims=True)).astype(rows.dtype)
    return jnp.sign(x) * (largest / largest.sum(1, keepdims=True)).reshape(x.shape).astype(x.dtype)


@checked
def project(x, *, radius, norm="l2"):
    rows = _wide(x).reshape(x.shape[0], -1)  # (B, n)
    if norm == "linf":
        nearest = jnp.clip(rows, -radius, radius)
    elif norm == "l2":
        inside = l2_norm(rows)[:, None] <= radius
        nearest = jnp.where(inside, rows, radius * unit(jnp.where(inside, 1, rows)))
    else:
        sizes = jnp.abs(rows)
        gaps = sizes.max(1, keepdims=True) - sizes  # to the largest: keeps its digits where x is far outside
        count = jnp.arange(1, rows.shape[1] + 1, dtype=rows.dtype)
        level = ((jnp.sort(gaps, axis=1).cumsum(1) + radius) / count).min(
            1, keepdims=True
        )  # what is left of the largest
        inside = sizes.sum(1, keepdims=True) <= radius
        nearest = jnp.where(inside, rows, jnp.sign(rows) * (level - gaps).clip(min=0))
    return nearest.reshape(x.shape).astype(x.dtype)


def _wide(x):  # half precision is computed with in float32
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _scaled(rows):  # divided by their largest entries, which are held fixed; ones where all are 0: no root of 0
    largest = jnp.abs(jax.lax.stop_gradient(rows)).max(1, keepdims=True)  # (B, 1)
    zero, less = largest == 0, jnp.where(largest > 1, 0.25, 1)  # XLA multiplies by reciprocals, and that of 3e38 is 0
    return jnp.where(zero, 1, rows * less / jnp.where(zero, 1, largest * less)), largest


def _step(xi, x, values, order):  # None: where an error of (ξ/size)^order is as large as rounding's u·size/ξ
    u = max(float(jnp.finfo(array.dtype).eps) / 2 for array in (x, values))
    size = jnp.maximum(l2_norm(_wide(x)), 1).reshape(-1, *[1] * (x.ndim - 1))
    return u ** (1 / (order + 1)) * size if xi is None else xi * jnp.ones_like(size)  # (B, 1, ..., 1)
