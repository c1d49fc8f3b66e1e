"""What the atlas finds wrong in TensorFlow, our methods do not pass on: layers that are made of `tf.nn.moments`.

Each method is held against differences of the operation's value, which no derivative enters.
"""

import importlib

import numpy as np
import pytest
import tensorflow as tf

from equivalence.atlas import entries, judge
from equivalence.atlas.measure import Probe
from equivalence.divided.tensorflow import in_double
from impls.tensorflow.curvature import hvp
from impls.tensorflow.penalty import input_gradient_penalty
from tests.quick import mostly_slow

WRONG = (  # as the published atlas has them
    "keras.layers.LayerNormalization",
    "keras.layers.GroupNormalization",
    "keras.layers.BatchNormalization, training",
    "keras.ops.layer_normalization",
    "tf.nn.moments",
    "tf.nn.moments, variance",
)


@pytest.fixture(autouse=True)
def _double(bridge):
    with in_double():
        yield


@pytest.mark.parametrize("name", mostly_slow(WRONG, WRONG[:1]))
def test_no_method_passes_on_what_the_atlas_finds_wrong(name):
    transforms = importlib.import_module("equivalence.atlas.tensorflow.transforms")
    probe = Probe(entries("tensorflow")[name], transforms)
    v, u, s = probe.directions[0]
    x = tf.constant(probe.x)[None]
    t = tf.Variable(0.0, dtype=tf.float64)

    def loss(rows):
        return probe.function(rows[0] + t * s)[None]

    steepest = judge.gradient(probe.values, probe.x)
    length = np.abs(steepest).max()
    half = judge.derivative(probe.values, probe.x, [steepest / length, s])
    with tf.GradientTape() as tape:
        penalty = tf.reduce_sum(input_gradient_penalty(loss, x))
    np.testing.assert_allclose(penalty, steepest @ steepest, rtol=1e-7)
    np.testing.assert_allclose(tape.gradient(penalty, t), 2 * length * half.value, rtol=1e-6, atol=1e-8)
    with tf.GradientTape() as tape:
        product = tf.reduce_sum(hvp(loss, x, tf.constant(v)[None]) * u)
    third = judge.derivative(probe.values, probe.x, [v, u, s])
    np.testing.assert_allclose(product, judge.derivative(probe.values, probe.x, [v, u]).value, rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(product, t), third.value, rtol=1e-5, atol=30 * third.error)
