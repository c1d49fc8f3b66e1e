import jax
import jax.numpy as jnp

from impls.checks import checked
from impls.jax.adversarial import _gradient, _scale
from impls.jax.norms import _product, _wide, steepest
from impls.jax.replicas import _sharing


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
    value, vjp = jax.vjp(loss, jax.lax.stop_gradient(table))
    axes, largest = _sharing(value, table), value.max()
    scale = _scale(jax.lax.pmax(largest, axes) if axes else largest)  # one for all: samples share tokens
    gradient = _wide(vjp(jnp.ones_like(value) * scale)[0]) / scale  # (V, D)
    return jax.lax.stop_gradient((radius * steepest(gradient, norm=norm, scope="tensor")).astype(table.dtype))


@checked
def perturb_output(loss, x, mask, *, radius, norm="l2", scope="sample"):
    gradient = _gradient(loss, x) * mask[:, :, None]  # (B, T, D)
    return jax.lax.stop_gradient((radius * steepest(gradient, norm=norm, scope=scope)).astype(x.dtype))
