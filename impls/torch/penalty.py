import torch

from impls.checks import checked
from impls.torch.derivatives import jvp, vjp
from impls.torch.norms import _step, _wide, l2_norm, unit


@checked
def input_gradient_penalty(loss, x, *, norm="l2_squared", how="double_backward", xi=None, with_loss=False):
    values, pull = vjp(loss, x)  # (B,): one forward pass for the loss and its gradient
    with torch.set_grad_enabled(how == "double_backward" and torch.is_grad_enabled()):
        gradient = pull(torch.ones_like(values))  # (B, *S)
    penalty, direction = _norm_and_slope(_wide(gradient), norm)  # (B,), (B, *S)
    if how == "forward_over_reverse":
        values, along = jvp(loss, x, direction.to(x.dtype), lasting=values.requires_grad)
        penalty = _sloped(penalty, along)
    elif how == "finite_difference":
        step, length = _step(xi, x, values, order=2), l2_norm(direction)
        move = (step * unit(direction)).to(x.dtype)
        change = _wide(loss(x + move)) - _wide(loss(x - move))
        penalty = _sloped(penalty, change * length / (2 * step.reshape(-1)))
    return (penalty, values) if with_loss else penalty


def _sloped(penalty, along):
    along = _wide(along)
    return penalty + (along - along.detach())  # the norm's value, the derivative's gradient


def _norm_and_slope(gradient, norm):
    fixed, batch = gradient.detach(), gradient.shape[0]
    if norm == "l2_squared":
        return gradient.reshape(batch, -1).square().sum(1), 2 * fixed  # (B,), (B, *S)
    if norm == "l2":
        return l2_norm(gradient), unit(fixed)
    return (gradient * fixed.sign()).reshape(batch, -1).sum(1), fixed.sign()  # |g|, of slope 0 at 0


@checked
def jacobian_penalty(f, x, *, weights=None, probes=None, with_outputs=False):
    outputs, pull = vjp(f, x)  # (B, C)
    penalty = _frobenius(outputs, pull, weights, probes)
    return (penalty, outputs) if with_outputs else penalty


def _frobenius(outputs, pull, weights, probes):
    if probes is not None:
        rows = probes if weights is None else probes * weights.sqrt()  # (K, B, C)
        return _squared_norms(pull, rows.to(outputs.dtype)).mean(0)
    batch, classes = outputs.shape
    rows = torch.eye(classes, dtype=outputs.dtype, device=outputs.device)[:, None].expand(classes, batch, classes)
    squares = _squared_norms(pull, rows)  # (C, B)
    return (squares if weights is None else squares * weights.T).sum(0)


def _squared_norms(pull, rows):
    gradients = pull(rows, many=True)  # (K, B, *S)
    return _wide(gradients).reshape(*rows.shape[:2], -1).square().sum(2)  # (K, B)


@checked
def tikhonov_penalty(divergence, f, x, *, probes=None, with_outputs=False):
    outputs, pull = vjp(f, x)  # (B, C)
    if divergence == "squared_error":
        penalty = 2 * _frobenius(outputs, pull, None, probes)
    else:
        log_p = torch.log_softmax(_wide(outputs), dim=-1)
        p = log_p.exp()

        def pull_log_p(rows, many):  # first back through the softmax
            return pull((rows - p * rows.sum(-1, keepdim=True)).to(outputs.dtype), many)

        if probes is None:
            penalty = _frobenius(log_p, pull_log_p, p, None)
        else:  # no √p: its slope at p = 0 is infinite
            penalty = _frobenius(log_p, pull_log_p, None, probes * (log_p / 2).exp())
    return (penalty, outputs) if with_outputs else penalty


@checked
def wgan_gradient_penalty(critic, real, fake, mix, *, target=1.0):
    mix = mix.reshape(-1, *[1] * (real.dim() - 1))  # one weight a sample
    between = mix * real + (1 - mix) * fake
    values, pull = vjp(critic, between)
    gradient = pull(torch.ones_like(values))  # (B, *S)
    return (l2_norm(_wide(gradient)) - target).square()  # (B,)
