"""How the predictions for a batch curve in what is perturbed: the power step of `vat_perturbation`, for Keras models.

d -> Hd, H the Hessian of the divergence from the clean predictions, stands in `impls.tensorflow.virtual_adversarial`;
here the passes of a model give it what it asks for. Where samples share a vector, a table's, or meet in batch
statistics, their parts are scaled alike.
"""

import tensorflow as tf

from impls.tensorflow.norms import _step, unit
from impls.tensorflow.passes import unrecorded
from impls.tensorflow.virtual_adversarial import _fisher_product, _softmax_change


class Smoothness:
    """The clean pass of a batch, and how the predictions curve there.

    Args:
        batch: whose passes are made.
        pick: the model's outputs -> logits as they are computed.
        read: those -> logits (B, C) or (B, T, C) of Keras's float type.
        how: "fisher" or "finite_difference".
        xi: step of the difference; None: by the rule of `vat_perturbation`.
    """

    def __init__(self, batch, pick, read, how, xi):
        self.batch, self.how, self.xi = batch, how, xi
        self.read = lambda outputs: read(pick(outputs))
        self.tape = tf.GradientTape(watch_accessed_variables=False, persistent=True)
        with self.tape:
            self.pass_ = batch.clean(watch=self.tape if how == "fisher" else None, losses=batch.labelled)
            given = pick(self.pass_.y_pred)
            self.logits = read(given)
        self.logits_in, self.valid = given.dtype, _valid(self.pass_.y_pred)
        self.clean = tf.stop_gradient(self.logits)  # p(x)
        self.counts = self.shares()

    def shares(self):
        """How much each row of logits counts in its sample's mean: 1, or of positions (B, T, 1)."""
        if self.clean.shape.rank == 2:
            return tf.ones((), self.clean.dtype)
        ones = tf.ones_like(self.clean[..., :1])
        valid = ones if self.valid is None else tf.cast(self.valid, ones.dtype)[..., None]
        return tf.math.divide_no_nan(valid, tf.reduce_sum(valid, 1, keepdims=True))

    def direction(self, start, steps):
        """The power iteration's, as rows of norm 1."""
        product = self.by_fisher() if self.how == "fisher" else self.by_difference()
        direction = unit(start)
        for _ in range(steps):
            direction = product(direction)
        return direction

    def turned(self, gradient):
        """The next direction."""
        vectors = self.batch.vectors
        return unit(vectors.everywhere(vectors.masked(gradient)))

    def by_fisher(self):
        """By the clean pass itself."""

        def pull(u):
            return self.batch.pull(self.tape, self.logits, self.pass_.places, u)

        fisher = _fisher_product(pull, self.logits, self.clean, self.scaled, self.counts)

        def product(d):
            with unrecorded():
                return self.turned(fisher(d))

        return product

    def by_difference(self):
        """The gradient at r = 0 is 0, so the gradient at ξd is ξHd + O(ξ²)."""
        batch = self.batch
        computed = tf.zeros((), batch.coarsest(self.logits_in))
        step = _step(self.xi, batch.vectors.rows(batch.places), computed, order=1)

        def product(d):
            tape = tf.GradientTape(watch_accessed_variables=False)
            with tape:
                near = batch.forward(step * d, watch=tape, held=True, losses=False)
                logits = self.read(near.y_pred)
            with unrecorded():
                change = self.scaled(self.counts * _softmax_change(self.clean, logits))
                return self.turned(batch.pull(tape, logits, near.places, change))

        return product

    def scaled(self, array):
        return self.batch.vectors.largest_1(array, together=self.batch.keeps_statistics)

    def by_sample(self, function, *logits):
        """function of logits (B, C) -> (B,); of (B, T, C) its mean over a sample's valid positions."""
        if logits[0].shape.rank == 2:
            return function(*logits)
        classes = logits[0].shape[-1]
        values = function(*(tf.reshape(each, (-1, classes)) for each in logits))
        return tf.reduce_sum(tf.reshape(values, tf.shape(logits[0])[:2]) * self.counts[..., 0], 1)


def _valid(y_pred):
    """(B, T) where a position counts, by Keras's mask; None: every one does."""
    return getattr(y_pred, "_keras_mask", None) if tf.is_tensor(y_pred) and y_pred.shape.rank == 3 else None
