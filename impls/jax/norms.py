import jax
import jax.numpy as jnp

from impls.checks import checked


@checked
def l2_norm(x):
    rows = x.reshape(x.shape[0], -1)  # (B, n)
    largest = jnp.abs(jax.lax.stop_gradient(rows)).max(1, keepdims=True)  # (B, 1)
    safe = jnp.where(largest > 0, rows / jnp.where(largest > 0, largest, 1), 1)  # no sqrt at 0: its slope is inf
    norm = largest[:, 0] * jnp.sqrt(jnp.square(safe).sum(1))
    return jnp.where(largest[:, 0] == 0, 0, norm)  # (B,)


@checked
def unit(x, *, scope="sample"):
    rows = x.reshape(x.shape[0] if scope == "sample" else 1, -1)
    largest = jnp.abs(rows).max(1, keepdims=True)
    rows = rows / jnp.where(largest == 0, 1, largest)  # squares of 1e-30 would vanish in float32
    norm = jnp.sqrt(jnp.square(rows).sum(1, keepdims=True))
    return (rows / jnp.where(norm == 0, 1, norm)).reshape(x.shape)


@checked
def steepest(x, *, norm="l2", scope="sample"):
    if norm == "l2":
        return unit(x, scope=scope)
    if norm == "linf":
        return jnp.sign(x)
    if norm == "raw":
        return x
    rows = jnp.abs(x.reshape(x.shape[0] if scope == "sample" else 1, -1))
    largest = (rows == rows.max(1, keepdims=True)).astype(x.dtype)
    return jnp.sign(x) * (largest / largest.sum(1, keepdims=True)).reshape(x.shape)


@checked
def project(x, *, radius, norm="l2"):
    rows = x.reshape(x.shape[0], -1)  # (B, n)
    if norm == "linf":
        return jnp.clip(x, -radius, radius)
    if norm == "l2":
        length = l2_norm(x)[:, None]
        inside = length <= radius
        return (rows * jnp.where(inside, 1, radius / jnp.where(inside, 1, length))).reshape(x.shape)
    sizes = jnp.abs(rows)
    gaps = sizes.max(1, keepdims=True) - sizes  # to the largest: keeps its digits where x is far outside
    count = jnp.arange(1, rows.shape[1] + 1, dtype=x.dtype)
    level = ((jnp.sort(gaps, axis=1).cumsum(1) + radius) / count).min(1, keepdims=True)  # what is left of the largest
    inside = sizes.sum(1, keepdims=True) <= radius
    return jnp.where(inside, rows, jnp.sign(rows) * (level - gaps).clip(min=0)).reshape(x.shape)
