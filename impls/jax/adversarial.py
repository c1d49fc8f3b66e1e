import jax
import jax.numpy as jnp

from impls.checks import checked
from impls.jax.norms import project, steepest


@checked
def fgm(loss, x, *, radius, norm="l2", scope="sample"):
    gradient = jax.grad(lambda x: loss(x).sum())(jax.lax.stop_gradient(x))  # (B, *S)
    return jax.lax.stop_gradient(radius * steepest(gradient, norm=norm, scope=scope))


@checked
def pgd(loss, x, start, *, radius, step, steps, norm="l2", bounds=None):
    def inside(r):
        r = project(r, radius=radius, norm=norm)
        return r if bounds is None else jnp.clip(x + r, *bounds) - x  # shortens r: it stays in the ball

    r = inside(start)
    for _ in range(steps):
        r = inside(r + fgm(loss, x + r, radius=step, norm=norm))
    return jax.lax.stop_gradient(r)


@checked
def adversarial_loss(loss, x, perturbation, *, clean_weight=0.5):
    adversarial = loss(x + perturbation)  # (B,)
    if clean_weight == 0:
        return adversarial
    return clean_weight * loss(x) + (1 - clean_weight) * adversarial


@checked
def freelb_loss(loss, x, start, *, radius, step, steps, norm="l2"):
    r, values = jax.lax.stop_gradient(project(start, radius=radius, norm=norm)), []
    for _ in range(steps):
        value, vjp = jax.vjp(lambda r: loss(x + r), r)  # one forward pass for the loss and the ascent
        gradient = jax.lax.stop_gradient(vjp(jnp.ones_like(value))[0])
        r = jax.lax.stop_gradient(project(r + step * steepest(gradient, norm=norm), radius=radius, norm=norm))
        values.append(value)
    return jnp.stack(values).mean(0), r  # (B,), (B, *S)
