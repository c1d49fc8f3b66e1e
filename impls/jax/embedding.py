import jax
import jax.numpy as jnp

from impls.checks import checked
from impls.jax.norms import _product, steepest


@checked
def normalize_embedding(table, frequencies):
    share = frequencies / frequencies.sum()
    usual = (jnp.arange(len(share)) == share.argmax()).astype(table.dtype)
    shifted = table - _product(usual, table)[None]  # a component that does not vary is then exactly 0
    centred = shifted - _product(share, shifted)[None]  # (V, D)
    variance = _product(share, jnp.square(centred))  # (D,)
    varies = variance > 0
    return jnp.where(varies[None], centred / jnp.sqrt(jnp.where(varies, variance, 1))[None], 0)


@checked
def perturb_table(loss, table, *, radius, norm="l2"):
    gradient = jax.grad(lambda table: loss(table).sum())(jax.lax.stop_gradient(table))  # (V, D)
    return jax.lax.stop_gradient(radius * steepest(gradient, norm=norm, scope="tensor"))


@checked
def perturb_output(loss, x, mask, *, radius, norm="l2", scope="sample"):
    gradient = jax.grad(lambda x: loss(x).sum())(jax.lax.stop_gradient(x))  # (B, T, D)
    return jax.lax.stop_gradient(radius * steepest(gradient * mask[:, :, None], norm=norm, scope=scope))
