"""Operations of which TensorFlow's higher derivatives are silently wrong, computed so that they are right.

- `tf.nn.moments` holds the mean fixed within the variance. Its first derivative is right, since the variance's
  derivative by the mean is 0; a second derivative lacks what this term's own derivative gives. Normalisation layers of
  Keras are made of it: LayerNormalization, GroupNormalization, BatchNormalization in training.
- Bilinear resizing, as in Keras' UpSampling2D and Resizing, has a gradient that TensorFlow calls constant, and no
  derivative in forward mode: whatever is differentiated through it twice is 0.
- Fake quantisation, as models are trained with that will compute in integers, and sums of sparse tensors have gradients
  that TensorFlow calls constant, too. They depend on what they are multiplied by.

Within `exact_derivatives` they are right: tests/test_tensorflow_second_derivatives.py writes the same layers out.
"""

import contextlib
import threading

import tensorflow as tf
from tensorflow.python.ops import gen_image_ops, gen_sparse_ops, nn_impl

_LOCK, _DEPTH = threading.Lock(), [0]


@contextlib.contextmanager
def exact_derivatives():
    """Within, whatever is built has the right second derivatives; a `tf.function` traced before stays as it was."""
    with _LOCK:  # threads of a strategy's replicas come and go in any order
        _DEPTH[0] += 1
        for (module, name), formula in _FORMULAS.items():
            setattr(module, name, formula)
    try:
        yield
    finally:
        with _LOCK:
            _DEPTH[0] -= 1
            if not _DEPTH[0]:
                for (module, name), original in _ORIGINALS.items():
                    setattr(module, name, original)


def _moments(x, axes, shift=None, name=None, keep_dims=None, keepdims=None):
    y = tf.cast(x, tf.float32) if x.dtype == tf.float16 else tf.convert_to_tensor(x)
    mean = tf.reduce_mean(y, axes, keepdims=True)
    variance = _variance(y, mean, axes)
    if not (keep_dims or keepdims):
        mean, variance = tf.squeeze(mean, axes), tf.squeeze(variance, axes)
    return tf.cast(mean, x.dtype), tf.cast(variance, x.dtype)


def _variance(y, mean, axes):
    @tf.custom_gradient
    def variance(y):
        found = tf.reduce_mean(tf.math.squared_difference(y, mean), axes, keepdims=True)

        def gradient(upstream):
            count = tf.cast(tf.size(y) // tf.size(found), y.dtype)
            return 2.0 * (tf.broadcast_to(upstream, tf.shape(y)) / count) * (y - mean)  # TensorFlow's, bit for bit

        return found, gradient

    return variance(y)


def _resize_bilinear(images, size, align_corners=False, half_pixel_centers=False, name=None):
    """Linear in the images: of which rows a new row is a mean, and columns a column, resized unit vectors tell."""
    images = tf.cast(images, tf.float32)  # as the kernel's results are
    _, height, width, _ = tf.unstack(tf.shape(images))
    options = {"align_corners": align_corners, "half_pixel_centers": half_pixel_centers}
    rows = _ORIGINALS[gen_image_ops, "resize_bilinear"](tf.eye(height)[..., None, None], [size[0], 1], **options)
    columns = _ORIGINALS[gen_image_ops, "resize_bilinear"](tf.eye(width)[:, None, :, None], [1, size[1]], **options)
    return tf.einsum("hi,bhwc,wj->bijc", rows[:, :, 0, 0], images, columns[:, 0, :, 0], name=name)


def _sparse_add(a_indices, a_values, a_shape, b_indices, b_values, b_shape, thresh, name=None):
    """Each value goes to a place of the sum, or to none: to which, the gradient of numbered places tells."""
    found = _ORIGINALS[gen_sparse_ops, "sparse_add"](
        a_indices,
        tf.stop_gradient(a_values),
        a_shape,
        b_indices,
        tf.stop_gradient(b_values),
        b_shape,
        thresh,
        name=name,
    )
    many = tf.shape(found.sum_values)[0]
    numbered = tf.range(1, many + 1, dtype=tf.float64)
    places = gen_sparse_ops.sparse_add_grad(numbered, a_indices, b_indices, found.sum_indices)
    places = tf.cast(tf.concat(places, 0), tf.int32) - 1
    values = tf.math.unsorted_segment_sum(tf.concat([a_values, b_values], 0), places, many)
    return found._replace(sum_values=values)


def _quantised(inputs, min=-6, max=6, num_bits=8, narrow_range=False, name=None):
    options = {"min": min, "max": max, "num_bits": num_bits, "narrow_range": narrow_range}

    @tf.custom_gradient
    def quantised(x):
        found = _ORIGINALS[tf.quantization, "fake_quant_with_min_max_args"](x, **options, name=name)
        inside = tf.quantization.fake_quant_with_min_max_args_gradient(tf.ones_like(x), x, **options)
        return found, lambda upstream: upstream * inside

    return quantised(tf.convert_to_tensor(inputs))


def _quantised_to_a_learned_range(function, derivatives, of_a_channel):
    """That function of tf.quantization: a range for all, or one a channel, which is the last axis."""

    def formula(inputs, min, max, num_bits=8, narrow_range=False, name=None):
        options = {"num_bits": num_bits, "narrow_range": narrow_range}

        @tf.custom_gradient
        def quantised(x, low, high):
            found = _ORIGINALS[tf.quantization, function](x, low, high, **options, name=name)
            inside = derivatives(tf.ones_like(x), x, low, high, **options)[0]
            below = (1.0 - inside) * tf.cast(2.0 * x < low + high, x.dtype)
            axes = tf.range(tf.rank(x) - 1) if of_a_channel else None

            def gradient(upstream):
                beyond = (tf.reduce_sum(upstream * part, axes) for part in (below, 1.0 - inside - below))
                return upstream * inside, *beyond

            return found, gradient

        return quantised(*map(tf.convert_to_tensor, (inputs, min, max)))

    return formula


_FORMULAS = {
    (nn_impl, "moments"): _moments,
    (gen_image_ops, "resize_bilinear"): _resize_bilinear,
    (gen_sparse_ops, "sparse_add"): _sparse_add,
    (tf.quantization, "fake_quant_with_min_max_args"): _quantised,
    **{
        (tf.quantization, function): _quantised_to_a_learned_range(
            function, getattr(tf.quantization, f"{function}_gradient"), function.endswith("per_channel")
        )
        for function in ("fake_quant_with_min_max_vars", "fake_quant_with_min_max_vars_per_channel")
    },
}
_ORIGINALS = {place: getattr(*place) for place in _FORMULAS}
