"""The batch of one replica as a part of the whole one, in a `tf.distribute` strategy; without any it is the whole.

Keras divides a replica's mean loss by the number of replicas and adds up the replicas' gradients.
"""

import tensorflow as tf


class Share:
    """The samples of this replica: rows first, first + 1, ... of the whole batch's `total`."""

    def __init__(self, samples):
        self.samples = samples
        self.replicas = tf.distribute.get_strategy().num_replicas_in_sync
        self.first, self.total = 0, samples
        if self.replicas > 1:
            counts = self.gathered(tf.reshape(samples, (1,)))  # the last batch need not be even
            place = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.int32)
            self.first, self.total = tf.reduce_sum(counts[:place]), tf.reduce_sum(counts)

    def gathered(self, rows):
        """The rows of all replicas, in the order of the whole batch."""
        if self.replicas == 1:
            return rows
        return tf.distribute.get_replica_context().all_gather(rows, axis=0)

    def summed(self, value):
        """The sum over all replicas."""
        if self.replicas == 1:
            return value
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)

    def own(self, rows):
        """Of the whole batch's rows those of this replica."""
        return rows if self.replicas == 1 else rows[self.first : self.first + self.samples]
