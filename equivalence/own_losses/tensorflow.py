"""TensorFlow's own losses, of tf.nn and of Keras."""

import keras
import numpy as np
import tensorflow as tf

from equivalence.own_losses import LABELS, SOFT


def losses(array):
    """Each loss by name, a function of logits; `array` makes an array of the framework."""
    labels, soft = array(LABELS), array(SOFT)
    pairs, lengths = array(np.array([[1, 2], [2, 1], [1, 1], [2, 2]])), (array(np.full(4, 2)), array(np.full(4, 6)))
    own, softmax = keras.losses, tf.nn.softmax
    return {
        "tf.nn.sparse_softmax_cross_entropy_with_logits": lambda x: tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels, x
        ),
        "tf.nn.softmax_cross_entropy_with_logits": lambda x: tf.nn.softmax_cross_entropy_with_logits(soft, x),
        "tf.nn.sigmoid_cross_entropy_with_logits": lambda x: tf.nn.sigmoid_cross_entropy_with_logits(soft, x),
        "tf.nn.ctc_loss, float32": lambda x: tf.nn.ctc_loss(pairs, tf.cast(x, tf.float32), *lengths, blank_index=0),
        "keras sparse_categorical_crossentropy, logits": lambda x: own.sparse_categorical_crossentropy(
            labels, x, from_logits=True
        ),
        "keras sparse_categorical_crossentropy of softmax": lambda x: own.sparse_categorical_crossentropy(
            labels, softmax(x)
        ),
        "keras categorical_crossentropy, logits": lambda x: own.categorical_crossentropy(soft, x, from_logits=True),
        "keras categorical_crossentropy of softmax": lambda x: own.categorical_crossentropy(soft, softmax(x)),
        "keras binary_crossentropy, logits": lambda x: own.binary_crossentropy(soft, x, from_logits=True),
        "keras kl_divergence of softmax": lambda x: own.kl_divergence(soft, softmax(x)),
        "keras mean_squared_error": lambda x: own.mean_squared_error(soft, x),
        "keras huber": lambda x: own.huber(soft, x),
        "keras log_cosh": lambda x: own.log_cosh(soft, x),
        "keras cosine_similarity": lambda x: own.cosine_similarity(soft, x),
    }
