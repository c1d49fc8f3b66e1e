"""Operations of which TensorFlow's higher derivatives are silently wrong, computed so that they are right.

- `tf.nn.moments` holds the mean fixed within the variance. Its first derivative is right, since the variance's
  derivative by the mean is 0; a second derivative lacks what this term's own derivative gives. Normalisation layers of
  Keras are made of it: LayerNormalization, GroupNormalization, BatchNormalization in training.
- Bilinear resizing, as in Keras' UpSampling2D and Resizing, has a gradient that TensorFlow calls constant, and no
  derivative in forward mode: whatever is differentiated through it twice is 0.

Within `exact_derivatives` they are right: tests/test_tensorflow_second_derivatives.py writes the same layers out.
"""

import contextlib
import threading

import tensorflow as tf
from tensorflow.python.ops import gen_image_ops, nn_impl

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


_FORMULAS = {(nn_impl, "moments"): _moments, (gen_image_ops, "resize_bilinear"): _resize_bilinear}
_ORIGINALS = {place: getattr(*place) for place in _FORMULAS}
