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
