import jax
import jax.numpy as jnp

from impls.checks import checked
from impls.jax.norms import l2_norm


@checked
def input_gradient_penalty(loss, x, *, norm="l2_squared"):
    gradient = jax.grad(lambda x: loss(x).sum())(x)  # (B, *S)
    if norm == "l2_squared":
        return jnp.square(gradient.reshape(x.shape[0], -1)).sum(1)  # (B,)
    if norm == "l2":
        return l2_norm(gradient)
    return (gradient * jnp.sign(gradient)).reshape(x.shape[0], -1).sum(1)  # |g|, of slope 0 at 0


@checked
def jacobian_penalty(f, x, *, weights=None, probes=None):
    outputs, vjp = jax.vjp(f, x)  # (B, C)
    if probes is not None:
        rows = probes if weights is None else probes * jnp.sqrt(weights)  # (K, B, C)
        return _squared_norms(vjp, rows).mean(0)
    batch, classes = outputs.shape
    rows = jnp.broadcast_to(jnp.eye(classes, dtype=x.dtype)[:, None], (classes, batch, classes))
    squares = _squared_norms(vjp, rows)  # (C, B)
    return (squares if weights is None else squares * weights.T).sum(0)


def _squared_norms(vjp, rows):
    gradients = jax.vmap(lambda row: vjp(row)[0])(rows)  # (K, B, *S)
    return jnp.square(gradients.reshape(*rows.shape[:2], -1)).sum(2)  # (K, B)
