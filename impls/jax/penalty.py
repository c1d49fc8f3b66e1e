import jax
import jax.numpy as jnp

from impls.checks import checked
from impls.jax.norms import _step, _wide, l2_norm, unit


@checked
def input_gradient_penalty(loss, x, *, norm="l2_squared", how="double_backward", xi=None, with_loss=False):
    values, vjp = jax.vjp(loss, x)  # (B,): one forward pass for the loss and its gradient
    (gradient,) = vjp(jnp.ones_like(values))  # (B, *S)
    if how != "double_backward":
        gradient = jax.lax.stop_gradient(gradient)
    penalty, direction = _norm_and_slope(_wide(gradient), norm)  # (B,), (B, *S)
    if how == "forward_over_reverse":
        values, along = _along(loss, x, direction.astype(x.dtype))
        penalty = _sloped(penalty, along)
    elif how == "finite_difference":
        step, length = _step(xi, x, values, order=2), l2_norm(direction)
        move = (step * unit(direction)).astype(x.dtype)
        change = _wide(loss(x + move)) - _wide(loss(x - move))
        penalty = _sloped(penalty, change * length / (2 * step.reshape(-1)))
    return (penalty, values) if with_loss else penalty


def _along(loss, x, direction):  # the loss and its derivative along the direction, in forward mode
    try:
        return jax.jvp(loss, (x,), (direction,))
    except TypeError as error:
        if "custom_vjp" not in str(error):
            raise
        raise TypeError(
            "how: got 'forward_over_reverse' for a loss with a jax.custom_vjp function, which has no forward mode."
            " Pass how='double_backward', or 'finite_difference' where its backward pass has no derivative"
        ) from error


def _sloped(penalty, along):
    along = _wide(along)
    return penalty + (along - jax.lax.stop_gradient(along))  # the norm's value, the derivative's gradient


def _norm_and_slope(gradient, norm):
    """A norm of each sample's gradient, and its derivative in the gradient, held fixed."""
    fixed, axes = jax.lax.stop_gradient(gradient), tuple(range(1, gradient.ndim))
    if norm == "l2_squared":
        return jnp.square(gradient).sum(axes), 2 * fixed  # (B,), (B, *S)
    if norm == "l2":
        return l2_norm(gradient), unit(fixed)
    return (gradient * jnp.sign(fixed)).sum(axes), jnp.sign(fixed)  # |g|, of slope 0 at 0


@checked
def jacobian_penalty(f, x, *, weights=None, probes=None, with_outputs=False):
    outputs, vjp = jax.vjp(f, x)  # (B, C)
    penalty = _frobenius(outputs, vjp, weights, probes)
    return (penalty, outputs) if with_outputs else penalty


def _frobenius(outputs, vjp, weights, probes):
    if probes is not None:
        rows = probes if weights is None else probes * jnp.sqrt(weights)[None]  # (K, B, C)
        return _squared_norms(vjp, rows.astype(outputs.dtype) + jnp.zeros_like(outputs)[None]).mean(0)
    units = jnp.eye(outputs.shape[1], dtype=outputs.dtype)
    rows = units[:, None] + jnp.zeros_like(outputs)[None]  # (C, B, C), sharded as the outputs are
    squares = _squared_norms(vjp, rows)  # (C, B)
    return (squares if weights is None else squares * weights.T).sum(0)


def _squared_norms(vjp, rows):
    gradients = jax.vmap(lambda row: vjp(row)[0])(rows)  # (K, B, *S)
    return jnp.square(_wide(gradients).reshape(*rows.shape[:2], -1)).sum(2)  # (K, B)


@checked
def tikhonov_penalty(divergence, f, x, *, probes=None, with_outputs=False):
    if divergence == "squared_error":
        outputs, vjp = jax.vjp(f, x)  # (B, C)
        penalty = 2 * _frobenius(outputs, vjp, None, probes)
    else:

        def log_softmax(x):
            outputs = f(x)
            return jax.nn.log_softmax(_wide(outputs), axis=-1), outputs

        log_p, vjp, outputs = jax.vjp(log_softmax, x, has_aux=True)  # (B, C)
        if probes is None:
            penalty = _frobenius(log_p, vjp, jnp.exp(log_p), None)
        else:  # no √p: its slope at p = 0 is infinite
            penalty = _frobenius(log_p, vjp, None, probes * jnp.exp(log_p / 2)[None])
    return (penalty, outputs) if with_outputs else penalty


@checked
def wgan_gradient_penalty(critic, real, fake, mix, *, target=1.0):
    mix = mix.reshape(-1, *[1] * (real.ndim - 1))  # one weight a sample
    between = mix * real + (1 - mix) * fake
    gradient = jax.grad(lambda x: critic(x).sum())(between)  # (B, *S)
    return jnp.square(l2_norm(_wide(gradient)) - target)  # (B,)
