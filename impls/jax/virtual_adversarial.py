import jax
import jax.numpy as jnp

from impls.checks import checked
from impls.jax.curvature import hvp
from impls.jax.losses import entropy, kl_divergence
from impls.jax.norms import unit


@checked
def vat_perturbation(f, x, start, *, radius, xi=0.01, steps=1, how="finite_difference"):
    return _perturbation(f, x, jax.lax.stop_gradient(f(x)), start, radius, xi, steps, how)


@checked
def vat_loss(f, x, start, *, radius, xi=0.01, steps=1, how="finite_difference", entropy_weight=0.0, logits=None):
    if logits is None:
        logits = f(x)
    clean = jax.lax.stop_gradient(logits)  # p(x) is held fixed, and shared by the power steps and the loss
    perturbation = _perturbation(f, x, clean, start, radius, xi, steps, how)
    loss = kl_divergence(clean, f(x + perturbation))  # (B,)
    return loss if entropy_weight == 0 else loss + entropy_weight * entropy(logits)


def _perturbation(f, x, clean, start, radius, xi, steps, how):
    def divergence(r):
        return kl_divergence(clean, f(x + r))

    direction = unit(start)
    for _ in range(steps):
        if how == "exact":
            direction = unit(hvp(divergence, jnp.zeros_like(x), direction))
        else:  # the gradient at r = 0 is 0, so the gradient at ξd is ξHd + O(ξ²)
            direction = unit(jax.grad(lambda r: divergence(r).sum())(xi * direction))
    return jax.lax.stop_gradient(radius * direction)
