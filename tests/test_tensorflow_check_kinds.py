"""`check` on kinds of Keras models: what a kind's own way is no fault, and what is one is found and named."""

import pytest

from equivalence.own_models import load
from equivalence.protocol import Complaint
from tests.own_models.looked import bad, looked, verdicts

pytestmark = pytest.mark.usefixtures("bridge", "precision")

START = """
import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
batch = rng.normal(size=(5, 6)).astype("float32"), np.array([0, 1, 2, 1, 0])
"""


OWN_LOSS = """
class Model(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden, self.output_layer = layers.Dense(8, activation="tanh"), layers.Dense(3)
    def call(self, x):
        return self.output_layer(self.hidden(x))
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        crossed = keras.losses.sparse_categorical_crossentropy(y, y_pred, from_logits=True)
        return tf.reduce_mean(crossed) + 0.1 * tf.reduce_mean(y_pred**2)
model = Model()
model.compile("adam")
"""
TWO_OUTPUTS = """
x = layers.Input((6,), name="x")
hidden = layers.Dense(8, activation="tanh")(x)
model = keras.Model(x, {"class": layers.Dense(3, name="class")(hidden), "size": layers.Dense(1, name="size")(hidden)})
model.compile("adam", {"class": keras.losses.SparseCategoricalCrossentropy(from_logits=True), "size": "mse"})
batch = batch[0], {"class": batch[1], "size": rng.normal(size=(5, 1))}
"""


@pytest.mark.slow
@pytest.mark.parametrize("code", [OWN_LOSS, TWO_OUTPUTS], ids=["a compute_loss of its own", "a loss an output"])
def test_the_loss_is_what_keras_trains_on(code, write):
    own = load("tensorflow", write(code), double=True)
    assert own.one_number
    assert float(own.read(own.outputs(own.parameters()))) == pytest.approx(trained_on(own), rel=1e-12)
    assert not bad(looked("tensorflow", write(code), "derivatives")["derivatives"])


def trained_on(own):
    """The loss that Keras says of a step on the batch."""
    return own.model.evaluate(own.x, own.labels, verbose=0, return_dict=True)["loss"]


def test_a_loss_that_cannot_be_called_says_what_to_do(write):
    with pytest.raises(Complaint, match="or a model that is compiled with one loss an output"):
        load("tensorflow", write("model = keras.Sequential([layers.Dense(3)])\nloss = {'a': 'mse'}\n"), double=False)


ENDS = {
    "a softmax": ("layers.Dense(3, activation='softmax')", "sparse_categorical_crossentropy", "batch[1]"),
    "a sigmoid": (
        "layers.Dense(1, activation='sigmoid')",
        "binary_crossentropy",
        "np.array([[0.0], [1], [1], [0], [1]])",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("end", "loss", "labels"), ENDS.values(), ids=ENDS)
def test_the_metric_of_probabilities_is_that_of_their_logits(end, loss, labels, write):
    code = "model = keras.Sequential([layers.Input((6,)), layers.Dense(8, activation='tanh'), {end}])\n"
    code += "batch = batch[0], {labels}\nloss = {loss}\n"
    found = write(code.format(end=end, loss=repr(loss), labels=labels))
    numbers = looked("tensorflow", found, "curvature")["curvature"].numbers
    plain = end.partition(", activation")[0] + ")"
    of_logits = f"lambda y, y_pred: keras.losses.{loss}(y, y_pred, from_logits=True)"
    expected = looked("tensorflow", write(code.format(end=plain, loss=of_logits, labels=labels)), "curvature")
    assert numbers["λ1"] == pytest.approx(expected["curvature"].numbers["λ1"], rel=1e-6)


def test_what_is_held_in_float32_is_looked_at_as_it_is(write):
    own = load(
        "tensorflow",
        write(
            "class Scaled(layers.Layer):\n"
            "    def call(self, x):\n"
            "        return x * tf.constant([0.5] * 8)\n"
            "model = keras.Sequential([layers.Dense(8), Scaled(), layers.Dense(3)])\n"
            "loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)\n"
        ),
        double=True,
    )
    assert own.dtype == "float32" and "no float64 copy of it runs" in own.remarks[0] and "\x1b" not in own.remarks[0]


def test_layers_of_bfloat16_are_seen_behind_a_loss_in_float32(write):
    own = load(
        "tensorflow",
        write(
            "keras.mixed_precision.set_global_policy('mixed_bfloat16')\n"
            "model = keras.Sequential([layers.Input((6,)), layers.Dense(8), layers.Dense(3, dtype='float32')])\n"
            "loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)\n"
        ),
        double=True,
    )
    assert own.dtype == "bfloat16"


@pytest.mark.slow
def test_a_model_in_bfloat16_is_not_called_wrong(write):
    path = write(
        "keras.mixed_precision.set_global_policy('mixed_bfloat16')\n"
        "ends = layers.Dense(3, dtype='float32')\n"
        "model = keras.Sequential([layers.Input((6,)), layers.Dense(8, activation='tanh'), ends])\n"
        "loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)\n"
    )
    section = looked("tensorflow", path, "derivatives")["derivatives"]
    assert not bad(section) and set(verdicts(section).values()) <= {"right", "undecided", "raises"}
