import tensorflow as tf

from impls.checks import checked
from impls.tensorflow.curvature import hvp
from impls.tensorflow.formulas import exact_derivatives
from impls.tensorflow.losses import entropy, kl_divergence
from impls.tensorflow.norms import _number, _scaled, _step, _wide, unit


@checked
@exact_derivatives()
def vat_perturbation(f, x, start, *, radius, xi=None, steps=1, how="fisher"):
    return _perturbation(f, x, None, start, radius, xi, steps, how)


@checked
@exact_derivatives()
def vat_loss(f, x, start, *, radius, xi=None, steps=1, how="fisher", entropy_weight=0.0, logits=None):
    if logits is None and entropy_weight != 0:
        logits = f(x)
    given = None if logits is None else tf.stop_gradient(logits)
    product, clean = _product(f, x, given, xi, how)  # p(x) is held fixed, and shared by the power steps and the loss
    perturbation = _iterated(product, x, start, radius, steps)
    loss = kl_divergence(clean, f(x + perturbation))  # (B,)
    return loss if entropy_weight == 0 else loss + entropy_weight * entropy(logits)


def _perturbation(f, x, clean, start, radius, xi, steps, how):
    return _iterated(_product(f, x, clean, xi, how)[0], x, start, radius, steps)


def _iterated(product, x, start, radius, steps):
    direction = unit(_wide(start))
    for _ in range(steps):
        direction = unit(_wide(product(direction)))
    return tf.stop_gradient(tf.cast(_number(radius, direction) * direction, x.dtype))


def _product(f, x, clean, xi, how):  # d -> Hd, up to a factor a sample, and the clean logits
    def scaled(array):
        return _largest_1(array, tf.shape(x)[0])

    if how == "fisher":
        x = tf.identity(x)  # a tape watches a name: what f itself holds of x has another
        with tf.GradientTape(watch_accessed_variables=False, persistent=True) as tape:
            tape.watch(x)
            logits = f(x)

        def pull(u):
            return tape.gradient(logits, x, u, unconnected_gradients="zero")

        clean = tf.stop_gradient(logits) if clean is None else clean
        return _fisher_product(pull, logits, clean, scaled), clean
    clean = tf.stop_gradient(f(x)) if clean is None else clean
    if how == "exact":

        def divergence(r):
            return kl_divergence(clean, f(x + r))

        return (lambda d: hvp(divergence, tf.zeros_like(x), tf.cast(d, x.dtype))), clean
    step = _step(xi, x, clean, order=1)

    def difference(d):  # the gradient at r = 0 is 0, so the gradient at ξd is ξHd + O(ξ²)
        point = x + tf.cast(step * d, x.dtype)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(point)
            logits = f(point)
        change = tf.cast(scaled(_softmax_change(clean, logits)), logits.dtype)
        return tape.gradient(logits, point, change, unconnected_gradients="zero")

    return difference, clean


def _fisher_product(pull, logits, clean, scaled, counts=1):  # Jᵀ(diag p - ppᵀ)J from u -> Jᵀu
    with tf.GradientTape(watch_accessed_variables=False, persistent=True) as transposed:
        u = tf.zeros_like(logits)
        transposed.watch(u)
        pulled = pull(u)  # of Jᵀu: forward mode runs slower
    p = tf.nn.softmax(_wide(clean))
    likeliest = tf.argmax(p, -1)[..., None]

    def product(d):
        change = transposed.gradient(pulled, u, tf.cast(scaled(d), pulled.dtype), unconnected_gradients="zero")  # Jd
        change = _wide(change)
        change -= tf.gather(change, likeliest, batch_dims=likeliest.shape.rank - 1)  # exact where p is nearly 1
        weights = p * (change - tf.reduce_sum(p * change, -1, keepdims=True))
        return pull(tf.cast(scaled(counts * weights), logits.dtype))

    return product


def _largest_1(array, count):  # for each of as many vectors, or 0: half precision loses what is small
    return tf.reshape(_scaled(tf.reshape(array, (count, -1)))[0], tf.shape(array))


def _softmax_change(clean, logits):  # q - p = p(e^ρ - 1), without cancellation where ρ = log q - log p is small
    log_p, log_q = tf.nn.log_softmax(_wide(clean)), tf.nn.log_softmax(_wide(logits))
    ratio = log_q - log_p
    near = tf.abs(ratio) < 1
    close = tf.exp(log_p) * tf.math.expm1(tf.where(near, ratio, tf.zeros_like(ratio)))
    return tf.where(near, close, tf.exp(log_q) - tf.exp(log_p))
