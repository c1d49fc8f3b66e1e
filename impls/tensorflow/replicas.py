"""The batch of one replica as a part of the whole one, in a `tf.distribute` strategy; without any it is the whole.

Keras divides a replica's mean loss by the number of replicas and adds up the replicas' gradients.
"""

import tensorflow as tf


class Share:
    """The samples of this replica, which are some rows of the whole batch."""

    def __init__(self, samples):
        self.samples = samples
        self.replicas = tf.distribute.get_strategy().num_replicas_in_sync
        self._asked = None

    def summed(self, value):
        """The sum over all replicas."""
        if self.replicas == 1:
            return value
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)

    def largest(self, value):
        """The largest over all replicas of what is not negative."""
        place = tf.reshape(tf.one_hot(self._place, self.replicas, dtype=value.dtype), (-1, *[1] * value.shape.rank))
        return tf.reduce_max(self.summed(place * value), 0)

    def gathered(self, rows):
        """The rows of all replicas, in the order of the whole batch; by a sum, the collective that strategies order."""
        if self.replicas == 1:
            return rows
        return self.summed(tf.pad(rows, [[self._first, self.total - self._first - self.samples], [0, 0]]))

    def own(self, rows):
        """Select this replica's rows from those of the whole batch."""
        return rows if self.replicas == 1 else rows[self._first : self._first + self.samples]

    @property
    def total(self):
        return self.samples if self.replicas == 1 else tf.reduce_sum(self._counts)

    @property
    def _first(self):
        return tf.reduce_sum(self._counts[: self._place])

    @property
    def _place(self):
        return tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.int32)

    @property
    def _counts(self):
        """Samples by replica: the last batch need not be even. Asked for where needed, once: it is a message."""
        if self._asked is None:
            own = tf.one_hot(self._place, self.replicas) * tf.cast(self.samples, tf.float32)
            self._asked = tf.cast(self.summed(own), tf.int32)
        return self._asked
