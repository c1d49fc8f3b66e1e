import jax
import jax.numpy as jnp

from impls.checks import checked
from impls.jax.norms import l2_norm, unit


@checked
def input_gradient_penalty(loss, x, *, norm="l2_squared", how="double_backward", xi=0.01):
    gradient = jax.grad(lambda x: loss(x).sum())(x)  # (B, *S)
    if how != "double_backward":
        gradient = jax.lax.stop_gradient(gradient)
    penalty, direction = _norm_and_slope(gradient, norm)
    if how == "double_backward":
        return penalty  # (B,)
    if how == "forward_over_reverse":
        along = jax.jvp(loss, (x,), (direction,))[1]
    else:
        u, length = unit(direction), l2_norm(direction)
        along = (loss(x + xi * u) - loss(x - xi * u)) * length / (2 * xi)
    return penalty + (along - jax.lax.stop_gradient(along))  # the norm's value, the derivative's gradient


def _norm_and_slope(gradient, norm):
    fixed, batch = jax.lax.stop_gradient(gradient), gradient.shape[0]
    if norm == "l2_squared":
        return jnp.square(gradient.reshape(batch, -1)).sum(1), 2 * fixed  # (B,), (B, *S)
    if norm == "l2":
        return l2_norm(gradient), unit(fixed)
    return (gradient * jnp.sign(fixed)).reshape(batch, -1).sum(1), jnp.sign(fixed)  # |g|, of slope 0 at 0


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


@checked
def tikhonov_penalty(divergence, f, x, *, probes=None):
    if divergence == "squared_error":
        return 2 * jacobian_penalty(f, x, probes=probes)

    def log_p(x):
        return jax.nn.log_softmax(f(x), axis=-1)  # (B, C)

    if probes is None:
        return jacobian_penalty(log_p, x, weights=jnp.exp(log_p(x)))
    return jacobian_penalty(log_p, x, probes=probes * jnp.exp(log_p(x) / 2))  # no √p: its slope at p = 0 is infinite


@checked
def wgan_gradient_penalty(critic, real, fake, mix, *, target=1.0):
    mix = mix.reshape(-1, *[1] * (real.ndim - 1))  # one weight a sample
    between = mix * real + (1 - mix) * fake
    gradient = jax.grad(lambda x: critic(x).sum())(between)  # (B, *S)
    return jnp.square(l2_norm(gradient) - target)  # (B,)
