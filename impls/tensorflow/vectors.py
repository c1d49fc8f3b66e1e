"""What is perturbed, as rows (R, n) of numbers: one row, one norm. A sample's row holds its numbers at all places;
tables are one row together. Attacks then need not know what stands behind the numbers.
"""

import keras
import tensorflow as tf

from impls.tensorflow.norms import _scaled, project, steepest, unit


class Vectors:
    """Rows of one pass's places, and what directions are within the whole batch.

    Args:
        places: the tensors that are perturbed, each (B, *S), or tables.
        share: this replica's part of the batch.
        site: says whether places are tables, and whether all samples share one norm.
        mask: (B, T) or None: 0 where nothing is perturbed.
    """

    def __init__(self, places, share, site, mask):
        self.shapes = [tf.shape(place) for place in places]
        self.known = [place.shape for place in places]
        self.share, self.site = share, site
        self.mask = None if mask is None else self.rows([_spread(mask, place) for place in places])

    def rows(self, tensors):
        """(R, n)."""
        samples = 1 if self.site.is_table else tf.shape(tensors[0])[0]
        parts = [tf.reshape(_floatx(tensor), (samples, -1)) for tensor in tensors]
        return parts[0] if len(parts) == 1 else tf.concat(parts, 1)

    def parts(self, rows):
        """The tensors that rows stand for."""
        parts = [rows]
        if len(self.shapes) > 1:
            parts = tf.split(rows, self._widths(), axis=1, num=len(self.shapes))
        parts = [tf.reshape(part, shape) for part, shape in zip(parts, self.shapes, strict=True)]
        for part, known in zip(parts, self.known, strict=True):
            part.set_shape(known)  # no operation: TensorFlow's forward mode has none for tf.ensure_shape
        return parts

    def _widths(self):
        """Numbers of a row at each place."""
        return [tf.reduce_prod(shape if self.site.is_table else shape[1:]) for shape in self.shapes]

    @property
    def is_shared(self):
        """Whether replicas have parts of one gradient."""
        return self.site.is_table and self.site.everywhere and self.share.replicas > 1

    def everywhere(self, rows):
        """A gradient of all replicas' losses together: for tables the sum of the replicas', held fixed."""
        return self.share.summed(tf.stop_gradient(rows)) if self.is_shared else rows

    def masked(self, rows):
        return rows if self.mask is None else rows * self.mask

    def steepest(self, rows, norm):
        return self._by_norm(lambda rows: steepest(rows, norm=norm), rows)

    def project(self, rows, radius, norm):
        return self._by_norm(lambda rows: project(rows, radius=radius, norm=norm), rows)

    def unit(self, rows):
        return self._by_norm(unit, rows)

    def _by_norm(self, function, rows):
        """function(rows), where the rows of all samples are one if they share a norm."""
        if self.site.is_table or self.site.scope == "sample":
            return function(rows)
        whole = self.share.gathered(rows) if self.site.everywhere else rows
        found = tf.reshape(function(tf.reshape(whole, (1, -1))), tf.shape(whole))
        return self.share.own(found) if self.site.everywhere else found

    def largest_1(self, array, *, together=False):
        """An array (B, ...) or of rows, divided by the largest entry that each vector's samples have in it; or all."""
        shared = self.site.is_table or together
        scaled, largest = _scaled(tf.reshape(array, (1 if shared else tf.shape(array)[0], -1)))
        if self.is_shared:
            scaled *= tf.math.divide_no_nan(largest, self.share.largest(largest))
        return tf.reshape(scaled, tf.shape(array))

    def gaussian(self, seed, number):
        """Normal numbers, (R, n); the whole batch's are one draw, of which a replica takes its samples' rows."""
        return self._drawn(lambda samples, n: _normal(seed, number, (samples, n)))

    def ball(self, seed, number, norm):
        """Rows uniform in the unit ball of a norm (`uniform_ball`)."""
        return self._drawn(lambda samples, n: _ball(seed, number, samples, n, norm))

    def _drawn(self, draw):
        width = sum(self._widths())
        if self.site.is_table:
            return draw(1, width)
        if self.site.scope == "sample":
            return self.masked(self.share.own(draw(self.share.total, width)))
        whole = tf.reshape(draw(1, self.share.total * width), (self.share.total, width))
        return self.masked(self.share.own(whole))


def _floatx(tensor):
    return tf.cast(tf.convert_to_tensor(tensor), keras.config.floatx())  # adds up a table's sparse gradient, too


def _spread(mask, place):
    """A mask (B, T) over the numbers of a place (B, T, ...)."""
    mask = tf.cast(mask, keras.config.floatx())
    if mask.shape.rank != 2 or place.shape.rank < 2:
        raise ValueError(
            f"mask: got shape {mask.shape} for a place of shape {place.shape}, expected (B, T), (B, T, ...)"
        )
    mask = tf.reshape(mask, tf.concat([tf.shape(mask), tf.ones(place.shape.rank - 2, tf.int32)], 0))
    return mask * tf.ones(tf.shape(place), keras.config.floatx())


def _seeds(seed, number):
    return tf.stack([tf.cast(seed, tf.int64), tf.cast(number, tf.int64)])


def _normal(seed, number, shape):
    """Philox: the same numbers in every mode, and XLA's own generator is slow on a CPU."""
    return tf.random.stateless_normal(shape, _seeds(seed, number), dtype=keras.config.floatx(), alg="philox")


def _ball(seed, number, samples, n, norm):
    if norm == "l2":  # the sphere of n + 2 dimensions, seen in n of them
        return unit(_normal(seed, number, (samples, n + 2)))[:, :n]
    floatx = keras.config.floatx()
    width = n if norm == "linf" else 2 * n + 1
    draws = tf.random.stateless_uniform((samples, width), _seeds(seed, number), dtype=floatx, alg="philox")
    if norm == "linf":
        return 2 * draws - 1
    exponential = -tf.math.log1p(-draws[:, n:])  # (R, n + 1)
    signs = 1 - 2 * tf.cast(draws[:, :n] < 0.5, floatx)
    return signs * exponential[:, :n] / tf.reduce_sum(exponential, 1, keepdims=True)
