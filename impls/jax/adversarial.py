import jax
import jax.numpy as jnp

from impls.checks import checked
from impls.jax.norms import unit


@checked
def fgm(loss, x, *, radius, norm="l2", scope="sample"):
    gradient = jax.grad(lambda x: loss(x).sum())(jax.lax.stop_gradient(x))  # (B, *S)
    if norm == "l2":
        gradient = unit(gradient, scope=scope)
    elif norm == "linf":
        gradient = jnp.sign(gradient)
    return jax.lax.stop_gradient(radius * gradient)
