"""cleverhans in TensorFlow: the signs of “uniformly random vectors” of the L1 ball."""

import tensorflow as tf
from cleverhans.tf2.utils import random_lp_vector

tf.random.set_seed(0)
r = random_lp_vector((20000, 10), 1, 1.0)
share = float(tf.reduce_mean(tf.cast(r > 0, tf.float32)))
print(f"P(r > 0) {share:.3f}, of a uniform point 0.500; of a Laplace variable about 1 it is 1 − 1/2e = 0.816")
