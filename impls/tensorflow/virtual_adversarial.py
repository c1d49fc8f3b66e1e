import tensorflow as tf

from impls.checks import checked
from impls.tensorflow.curvature import hvp
from impls.tensorflow.losses import entropy, kl_divergence
from impls.tensorflow.norms import unit


@checked
def vat_perturbation(f, x, start, *, radius, xi=0.01, steps=1, how="finite_difference"):
    return _perturbation(f, x, tf.stop_gradient(f(x)), start, radius, xi, steps, how)


@checked
def vat_loss(f, x, start, *, radius, xi=0.01, steps=1, how="finite_difference", entropy_weight=0.0, logits=None):
    if logits is None:
        logits = f(x)
    clean = tf.stop_gradient(logits)  # p(x) is held fixed, and shared by the power steps and the loss
    perturbation = _perturbation(f, x, clean, start, radius, xi, steps, how)
    loss = kl_divergence(clean, f(x + perturbation))  # (B,)
    return loss if entropy_weight == 0 else loss + entropy_weight * entropy(logits)


def _perturbation(f, x, clean, start, radius, xi, steps, how):
    def divergence(r):
        return kl_divergence(clean, f(x + r))

    direction = unit(start)
    for _ in range(steps):
        if how == "exact":
            direction = unit(hvp(divergence, tf.zeros_like(x), direction))
        else:  # the gradient at r = 0 is 0, so the gradient at ξd is ξHd + O(ξ²)
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                r = xi * direction
                tape.watch(r)
                total = tf.reduce_sum(divergence(r))
            direction = unit(tape.gradient(total, r, unconnected_gradients="zero"))
    return tf.stop_gradient(radius * direction)
