import jax
import jax.numpy as jnp

from impls.checks import checked
from impls.jax.iterations import held, repeated
from impls.jax.norms import _wide, project, steepest


@checked
def fgm(loss, x, *, radius, norm="l2", scope="sample"):
    return jax.lax.stop_gradient((radius * steepest(_gradient(loss, x), norm=norm, scope=scope)).astype(x.dtype))


@checked
def pgd(loss, x, start, *, radius, step, steps, norm="l2", bounds=None):
    def inside(r):
        r = project(r, radius=radius, norm=norm)
        return r if bounds is None else jnp.clip(x + r, *bounds) - x  # shortens r: it stays in the ball

    fixed = held(loss, x)
    r = repeated(lambda r: inside(r + fgm(fixed, x + r, radius=step, norm=norm)), inside(start), steps)
    return jax.lax.stop_gradient(r)


@checked
def adversarial_loss(loss, x, perturbation, *, clean_weight=0.5):
    adversarial = loss(x + perturbation)  # (B,)
    if clean_weight == 0:
        return adversarial
    return clean_weight * loss(x) + (1 - clean_weight) * adversarial


@checked
def freelb_loss(loss, x, start, *, radius, step, steps, norm="l2"):
    start = start + jnp.zeros_like(x)  # sharded as x is: of what replicas have alike, a gradient is summed over them
    r, values = jax.lax.stop_gradient(project(start, radius=radius, norm=norm)), []
    for _ in range(steps):
        value, vjp = jax.vjp(lambda r: loss(x + r), r)  # one forward pass for the loss and the ascent
        scale = _scale(value)
        gradient = jax.lax.stop_gradient(_unscaled(vjp(scale)[0], scale))
        r = project(_wide(r) + step * steepest(gradient, norm=norm), radius=radius, norm=norm)
        r = jax.lax.stop_gradient(r.astype(x.dtype))
        values.append(value)
    return jnp.stack(values).mean(0), r  # (B,), (B, *S)


def _gradient(loss, x):  # of each sample, in float32 where x is half precision
    value, vjp = jax.vjp(loss, jax.lax.stop_gradient(x))
    scale = _scale(value)
    return _unscaled(vjp(scale)[0], scale)  # (B, *S)


def _scale(values):  # a small loss has a small gradient, which float16 loses: a power of two, exact to divide out
    values = jax.lax.stop_gradient(values)
    return jnp.where((values > 0) & (values < 2**-10), jnp.full_like(values, 2**12), jnp.ones_like(values))


def _unscaled(gradient, scale):
    return _wide(gradient) / scale.astype(_wide(gradient).dtype).reshape(-1, *[1] * (gradient.ndim - 1))
