import jax
import jax.numpy as jnp

from impls.checks import checked
from impls.jax.curvature import hvp
from impls.jax.iterations import held, repeated
from impls.jax.losses import entropy, kl_divergence
from impls.jax.norms import _scaled, _step, _wide, unit


@checked
def vat_perturbation(f, x, start, *, radius, xi=None, steps=1, how="fisher"):
    return _perturbation(f, x, None, start, radius, xi, steps, how)


@checked
def vat_loss(f, x, start, *, radius, xi=None, steps=1, how="fisher", entropy_weight=0.0, logits=None):
    if logits is None and entropy_weight != 0:
        logits = f(x)
    given = None if logits is None else jax.lax.stop_gradient(logits)
    product, clean = _product(f, x, given, xi, how)  # p(x) is held fixed, and shared by the power steps and the loss
    perturbation = _iterated(product, x, start, radius, steps)
    loss = kl_divergence(clean, f(x + perturbation))  # (B,)
    return loss if entropy_weight == 0 else loss + entropy_weight * entropy(logits)


def _perturbation(f, x, clean, start, radius, xi, steps, how):
    return _iterated(_product(f, x, clean, xi, how)[0], x, start, radius, steps)


def _iterated(product, x, start, radius, steps):
    direction = unit(_wide(start + jnp.zeros_like(x)))  # sharded as x is
    fixed = held(product, direction)
    direction = repeated(lambda d: unit(_wide(fixed(d))), direction, steps)
    return jax.lax.stop_gradient((radius * direction).astype(x.dtype))


def _product(f, x, clean, xi, how):  # d -> Hd, up to a factor a sample, and the clean logits
    if how == "fisher":
        logits, vjp = jax.vjp(f, x)
        clean = jax.lax.stop_gradient(logits) if clean is None else clean
        return _fisher_product(lambda u: vjp(u)[0], logits, clean, x.dtype, _largest_1), clean
    clean = jax.lax.stop_gradient(f(x)) if clean is None else clean
    if how == "exact":

        def divergence(r):
            return kl_divergence(clean, f(x + r))

        return (lambda d: hvp(divergence, jnp.zeros_like(x), d.astype(x.dtype))), clean
    step = _step(xi, x, clean, order=1)

    def difference(d):  # the gradient at r = 0 is 0, so the gradient at ξd is ξHd + O(ξ²)
        logits, vjp = jax.vjp(f, x + (step * d).astype(x.dtype))
        return vjp(_largest_1(_softmax_change(clean, logits)).astype(logits.dtype))[0]

    return difference, clean


def _fisher_product(pull, logits, clean, dtype, scaled, counts=1):  # Jᵀ(diag p - ppᵀ)J from u -> Jᵀu
    push = jax.linear_transpose(pull, logits)  # of Jᵀu: a custom_vjp has no forward mode
    p = jax.nn.softmax(_wide(clean), axis=-1)
    likeliest = p.argmax(-1, keepdims=True)

    def product(d):
        change = _wide(push(scaled(d).astype(dtype))[0])  # Jd
        change = change - jnp.take_along_axis(change, likeliest, -1)  # exact where p is nearly 1
        weights = counts * p * (change - (p * change).sum(-1, keepdims=True))
        return pull(scaled(weights).astype(logits.dtype))

    return product


def _largest_1(array, scope="sample"):  # for each vector, or 0: half precision loses what is small
    return _scaled(array, scope)[0]


def _softmax_change(clean, logits):  # q - p = p(e^ρ - 1), without cancellation where ρ = log q - log p is small
    log_p, log_q = jax.nn.log_softmax(_wide(clean), axis=-1), jax.nn.log_softmax(_wide(logits), axis=-1)
    ratio = log_q - log_p
    near = jnp.abs(ratio) < 1
    return jnp.where(near, jnp.exp(log_p) * jnp.expm1(jnp.where(near, ratio, 0)), jnp.exp(log_q) - jnp.exp(log_p))
