"""What each method adds to a step's loss, from the passes that the step may make.

Each function returns the losses to train on, and what else the clean pass left. A number that is 0 leaves passes out.
"""

import jax
import jax.numpy as jnp

from impls.jax.losses import entropy, kl_divergence
from impls.jax.norms import _project, _wide, l2_norm, steepest, unit
from impls.jax.passes import Losses, hold
from impls.jax.penalty import _along, _norm_and_slope, _sloped
from impls.jax.sampling import _ball
from impls.jax.sites import is_floating
from impls.jax.smoothness import Smoothness


def adversarial(passes, key, *, radius, norm, scope, clean_weight, steps, step, bounds, start):
    """(1-α)·loss(x + r) + α·loss(x), r by steps of ascent from 0 or from a random point of the ball."""
    if is_zero(radius):
        return passes.losses(passes.arrays)
    ascent = Ascent(passes, radius, norm, scope, step, steps, bounds)
    if start == "zero":
        clean, left, gradient = passes.differentiated(passes.arrays, passes.point, fixed=True)
        check_unreduced(clean, norm == "raw", "norm='raw'", "another norm")
        r, steps = ascent.climb(None, gradient()), steps - 1
    else:
        clean, left = (None, passes.left()) if is_zero(clean_weight) else passes.losses(passes.arrays)
        r = ascent.random(key)
    for _ in range(steps):
        _, _, gradient = passes.differentiated(passes.held, hold(passes.point + r), fixed=True)
        r = ascent.climb(r, gradient())
    perturbed, _ = passes.losses(passes.arrays, passes.point + r)
    return perturbed if is_zero(clean_weight) else perturbed.mixed(clean, clean_weight), left


def freelb(passes, key, *, radius, norm, scope, steps, step, start):
    """The mean of loss(x + r) over steps of ascent, each of whose passes is trained on, too (`freelb_loss`)."""
    if is_zero(radius):
        return passes.losses(passes.arrays)
    ascent = Ascent(passes, radius, norm, scope, step, steps, None)
    r, left, found = None, None, []
    if start == "random":
        r = ascent.random(key)
        left = passes.left()
    for number in range(steps):
        point = passes.point if r is None else passes.point + r
        losses, now, gradient = passes.differentiated(passes.arrays, point, fixed=True)
        left = now if left is None else left
        found.append(losses)
        r = ascent.climb(r, gradient()) if number + 1 < steps else r
    return found[0]._replace(values=sum(losses.values for losses in found) / steps), left


class Ascent:
    """Steps of ascent within a ball: one vector a sample, or one for all."""

    def __init__(self, passes, radius, norm, scope, step, steps, bounds):
        one = passes.site.one or scope == "tensor"
        if one:
            passes.replicas.check()
        else:
            passes.check_samples_first()
        number = lambda value: jnp.asarray(value).astype(_wide(passes.point).dtype)  # noqa: E731
        self.passes, self.norm, self.bounds, self.one = passes, norm, bounds, one
        self.radius, self.single = number(radius), step is None and steps == 1  # FGM, which is as long as it may be
        self.step = self.radius if self.single else 2.5 * self.radius / steps if step is None else number(step)
        if bounds is not None:
            passes.check_bounds(bounds)

    def climb(self, r, gradient):
        """r after a step; None is 0."""
        move = self.step * self.of_vectors(lambda g, scope: steepest(g, norm=self.norm, scope=scope), gradient)
        r = move if r is None else _wide(r) + move
        return self.placed(r if self.single else self.projected(r))

    def random(self, key):
        """A point of the ball, uniform."""
        if key is None:
            raise TypeError("key: got None, expected a key for the random start: objective(params, x, labels, key=key)")
        dtype = self.passes.point.dtype
        start = self.passes.drawn(lambda shape: _ball(key, shape, dtype, self.norm), one=self.one)
        return self.placed(self.projected(self.radius * _wide(start)))

    def placed(self, r):
        """r as it is added, in the dtype of the point and within the bounds."""
        return hold(self.bounded(r.astype(self.passes.point.dtype)))

    def projected(self, r):
        return self.of_vectors(lambda r, scope: _project(r, self.radius, self.norm, scope), r)

    def of_vectors(self, function, array):
        """A function of the vectors that there are: samples, tables, or the tensor over all replicas."""
        if self.passes.site.one or not self.one:
            return function(array, "sample")
        return self.passes.replicas.whole(lambda array: function(array, "tensor"), array)

    def bounded(self, r):
        return r if self.bounds is None else jnp.clip(self.passes.point + r, *self.bounds) - self.passes.point


def gradient_penalty(passes, *, weight, norm, how, xi):
    """loss(x) + λ·‖∇ₓloss‖, of a table the norm of the mean loss's gradient."""
    if is_zero(weight):
        return passes.losses(passes.arrays)
    one = passes.site.one
    if one:
        passes.replicas.check()
    fixed = how != "double_backward"
    losses, left, gradient = passes.differentiated(passes.arrays, passes.point, fixed=fixed, mean=one)
    check_unreduced(losses, True, "a gradient penalty", "adversarial_training")
    penalty, direction = _norm_and_slope(_wide(gradient()), norm)

    def counted(point):
        """The loss of each sample, or the mean of all, as a function of the point."""
        found, _ = passes.losses(passes.arrays, point)
        products = hold(passes.counts(found, mean=one)) * found.values
        return passes.summed(products.sum(None if one else tuple(range(1, products.ndim)))).reshape(-1)

    if how == "forward_over_reverse":
        penalty = _sloped(penalty, _along(counted, passes.point, direction.astype(passes.point.dtype))[1])
    elif how == "finite_difference":
        u, length = _scaled(xi, unit(direction)).astype(passes.point.dtype), l2_norm(direction)
        difference = counted(passes.point + u) - counted(passes.point - u)
        penalty = _sloped(penalty, difference * length / _scaled(xi, 2 * jnp.ones_like(length)))
    return losses.plus(_scaled(weight, penalty)), left


def virtual_adversarial(passes, key, *, radius, weight, xi, steps, how, entropy_weight):
    """loss(x) + λ·(KL(p(x)‖p(x+r)) + β·H(p(x))), or what is added alone, where there is no loss."""
    moves = not (is_zero(weight) or is_zero(radius))
    here, terms = Smoothness(passes, read_logits, how if moves else None, xi), []
    if moves:
        r = hold(_scaled(radius, here.direction(_start(passes, key), steps)).astype(passes.point.dtype))
        terms.append(_divergence(passes, here.clean, passes.outputs(passes.arrays, passes.point + r)[0]))
    if not (is_zero(weight) or is_zero(entropy_weight)):
        terms.append(_scaled(entropy_weight, _of_samples(passes, entropy, here.logits)))
    return (here.losses.plus(_scaled(weight, sum(terms))) if terms else here.losses), here.left


def _start(passes, key):
    """A random direction."""
    if key is None:
        raise TypeError("key: got None, expected a key for the start: objective(params, x, labels, key=key)")
    if passes.site.one:
        passes.replicas.check()
    return passes.drawn(lambda shape: jax.random.normal(key, shape, passes.point.dtype), one=False)


def _divergence(passes, clean, outputs):
    return _of_samples(passes, kl_divergence, clean, read_logits(passes, outputs))


def _of_samples(passes, function, *logits):
    """A function of logits (B, C) -> (B,); of (B, T, C) its mean over the positions of a sample that are valid."""
    if logits[0].ndim == 2:
        return function(*logits)
    values = jax.vmap(function, 1, 1)(*logits)  # (B, T)
    return (passes.counts(Losses(values)) * values).sum(1)


def read_logits(passes, outputs):
    """The logits (B, C) or (B, T, C) among outputs, in float32 at least: divergences are small differences."""
    options = passes.options
    found = options.logits(outputs) if options.logits is not None else getattr(outputs, "logits", outputs)
    if not is_floating(found):
        raise TypeError(
            f"f: got a {type(found).__name__} from it, expected logits, a floating-point array (B, C) or (B, T, C)."
            " Where they are a part of what f returns, pass logits=lambda outputs: outputs[0] for instance"
        )
    passes.logits_in, found = found.dtype, _wide(found)
    if options.outputs == "sigmoid":
        if found.ndim > 2 or (found.ndim == 2 and found.shape[1] != 1):
            raise ValueError(
                f"f: got shape {found.shape} with outputs='sigmoid', expected one logit a sample, (B,) or (B, 1)"
            )
        passes.check_samples_first(found.shape)
        found = found.reshape(-1, 1)
        return jnp.concatenate([found, jnp.zeros_like(found)], axis=1)
    if found.ndim not in (2, 3):
        raise ValueError(f"f: got shape {found.shape}, expected logits (B, C) or (B, T, C)")
    passes.check_samples_first(found.shape)
    if found.shape[-1] == 1:
        raise ValueError(
            f"f: got shape {found.shape}, expected logits of two classes or more, since a softmax over one is constant."
            " For the logit of a sigmoid pass outputs='sigmoid', which takes z as the pair [z, 0]"
        )
    return found


def check_unreduced(losses, factor_counts, what, instead):
    """Refuse a mean over the batch where its factor 1/B would change the result."""
    if factor_counts and losses.values.ndim == 0:
        raise ValueError(
            f"loss: got shape () from it, expected (B,): one loss a sample, not reduced over the batch, since {what}"
            f" depends on the factor. Leave out its mean or sum, or use {instead}"
        )


def is_zero(number):
    return isinstance(number, int | float) and number == 0


def _scaled(number, array):
    """A number times an array, in the array's dtype, also where the number is another's."""
    return jnp.asarray(number).astype(array.dtype) * array
