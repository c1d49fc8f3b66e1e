"""A Keras model that is saved, loaded, copied, pickled or cloned trains as before, or it is said that it does not."""

import copy
import pickle
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from impls.tensorflow.training import (
    adversarial_training,
    freelb_training,
    gradient_penalty_training,
    plain_training,
    virtual_adversarial_training,
)
from tests.quick import mostly_slow

RNG = np.random.default_rng(0)
X, LABELS = RNG.standard_normal((6, 4)).astype("float32"), RNG.integers(0, 3, 6)
# Keras's own saving under NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

METHODS = {
    "fgm": lambda m, **o: adversarial_training(m, radius=0.5, **o),
    "pgd": lambda m, **o: adversarial_training(
        m, radius=0.5, steps=2, start="random", bounds=(-9.0, 9.0), norm="linf", **o
    ),
    "freelb": lambda m, **o: freelb_training(m, radius=0.5, step=0.1, steps=2, **o),
    "penalty": lambda m, **o: gradient_penalty_training(m, weight=0.5, norm="l2", how="finite_difference", **o),
    "vat": lambda m, **o: virtual_adversarial_training(m, radius=0.5, entropy_weight=0.5, seed=3, **o),
}


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    def __init__(self, units, **options):
        super().__init__(**options)
        self.units, self.hidden, self.last = units, layers.Dense(units, "tanh"), layers.Dense(3)

    def call(self, x):
        return self.last(self.hidden(x))

    def get_config(self):
        return super().get_config() | {"units": self.units}


def sequential():
    return keras.Sequential([keras.Input((4,)), layers.Dense(5, "tanh", name="hidden"), layers.Dense(3)])


def functional():
    x = keras.Input((4,))
    return keras.Model(x, layers.Dense(3)(layers.Dense(5, "tanh", name="hidden")(x)))


def subclassed():
    model = Subclassed(5)
    model(X)
    return model


MODELS = {"sequential": sequential, "functional": functional, "subclassed": subclassed}


def built(kind="functional"):
    keras.utils.set_random_seed(0)
    model = MODELS[kind]()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.05), loss, metrics=["accuracy"], run_eagerly=True)
    return model


def saved(model, folder):
    model.save(folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras")


COPIES = {
    "saved": saved,
    "pickled": lambda model, folder: pickle.loads(pickle.dumps(model)),
    "copied": lambda model, folder: copy.deepcopy(model),
}


def assert_trains_alike(one, other):
    """The next step of both is the same, bit for bit, and another than the plain one's."""
    for model in (one, other):
        model.reset_metrics()
        model.train_on_batch(X, LABELS)
    assert all(map(np.array_equal, one.get_weights(), other.get_weights()))
    assert all(np.array_equal(a, b) for a, b in zip(one.optimizer.variables, other.optimizer.variables, strict=True))


COPIED = [("fgm", kind, way) for kind in MODELS for way in COPIES] + [
    (name, "functional", "saved") for name in METHODS if name != "fgm"
]


@pytest.mark.parametrize(("name", "kind", "way"), mostly_slow(COPIED, [*COPIED[::4], ("vat", "functional", "saved")]))
def test_a_copy_goes_on_as_the_model_does(name, kind, way, tmp_path):
    """With the weights, the optimiser, and the count of random starts, which is the optimiser's."""
    model = built(kind)
    METHODS[name](model)
    model.train_on_batch(X, LABELS)
    twin = COPIES[way](model, tmp_path)
    assert twin is not model and isinstance(twin, MODELS[kind]().__class__)
    assert twin.training_objective.settings.keys() == model.training_objective.settings.keys()
    assert_trains_alike(model, twin)
    plain = keras.models.clone_model(MODELS[kind]())
    assert not hasattr(plain, "training_objective")


def test_a_radius_that_was_set_is_what_is_saved(tmp_path):
    model = built()
    adversarial_training(model, radius=0.5).radius = 0.25
    model.train_on_batch(X, LABELS)
    assert saved(model, tmp_path).training_objective.radius == 0.25


def test_loaded_without_being_compiled_and_compiled_again(tmp_path):
    model = built()
    METHODS["fgm"](model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    twin = built()
    for each in (loaded, twin):
        each.compile(keras.optimizers.SGD(0.1), "mse")
    METHODS["fgm"](twin)
    for each in (loaded, twin):
        each.train_on_batch(X, np.eye(3)[LABELS])
    assert all(map(np.array_equal, loaded.get_weights(), twin.get_weights()))


@pytest.mark.parametrize("kind", ["functional", "subclassed"])
def test_a_clone_of_a_compiled_model_trains_as_it_does(kind):
    model = built(kind)
    METHODS["fgm"](model)
    clone = keras.models.clone_model(model)
    clone(X)
    clone.set_weights(model.get_weights())
    assert_trains_alike(model, clone)


def test_a_clone_of_a_sequential_model_is_plain_and_that_is_said():
    """Keras makes such a clone by itself."""
    model = built("sequential")
    METHODS["fgm"](model)
    with pytest.warns(UserWarning, match="a clone of a model that is trained by adversarial_training trains plainly"):
        clone = keras.models.clone_model(model)
    assert not hasattr(clone, "training_objective")
    clone.train_on_batch(X, LABELS)


def test_a_clone_made_before_compiling_says_what_is_missing():
    model = functional()
    METHODS["fgm"](model)
    clone = keras.models.clone_model(model)
    clone.compile("sgd", "mse", run_eagerly=True)
    with pytest.raises(ValueError, match=r"a copy of a model with regularised training.*plain_training"):
        clone.train_on_batch(X, np.eye(3)[LABELS])
    METHODS["fgm"](clone)
    clone.train_on_batch(X, np.eye(3)[LABELS])


def test_a_config_makes_a_model_that_trains_alike():
    for model in (built("functional"), built("subclassed")):
        METHODS["fgm"](model)
        other = type(model).from_config(model.get_config())
        assert other.training_objective.settings["name"] == "adversarial_training"
        assert keras.models.model_from_json(model.to_json()).training_objective.radius == 0.5


def test_a_function_that_cannot_be_written_down_is_said(tmp_path):
    model = built()
    adversarial_training(model, radius=lambda number: 0.5)
    model.train_on_batch(X, LABELS)
    said = r"radius: got a function .* without adversarial_training, and trains plainly"
    with pytest.warns(UserWarning, match=r"trains plainly. Call"), pytest.warns(UserWarning, match=said):
        loaded = saved(model, tmp_path)
    assert not hasattr(loaded, "training_objective")


def test_a_schedule_of_kerass_is_saved(tmp_path):
    model = built()
    adversarial_training(model, radius=keras.optimizers.schedules.PolynomialDecay(0.1, 4, 0.5))
    model.train_on_batch(X, LABELS)
    assert_trains_alike(model, saved(model, tmp_path))


def test_weights_go_between_plain_models_and_others(tmp_path):
    """They are what the model has; how it is trained is not among them."""
    model, plain = built(), built()
    METHODS["vat"](model)
    for each in (model, plain):
        each.train_on_batch(X, LABELS)
    model.save_weights(tmp_path / "model.weights.h5")
    plain.load_weights(tmp_path / "model.weights.h5")
    assert all(map(np.array_equal, model.get_weights(), plain.get_weights()))


@pytest.mark.slow
def test_a_plain_model_can_be_loaded_without_this_package(tmp_path):
    model = built()
    METHODS["fgm"](model)
    plain_training(model)
    model.save(tmp_path / "model.keras")
    code = "import sys, keras; print(type(keras.saving.load_model(sys.argv[1])).__name__)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "model.keras")], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "Functional"


def test_what_is_exported_predicts_alike(tmp_path):
    model = built()
    METHODS["fgm"](model)
    model.export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(tmp_path / "exported")
    np.testing.assert_allclose(exported.serve(X), model(X), rtol=1e-6)


@pytest.mark.parametrize("name", mostly_slow(["pgd", "vat"], ["pgd"]))
def test_training_that_was_interrupted_goes_on_with_the_same_starts(name, tmp_path):
    model, straight = built(), built()
    METHODS[name](straight)
    straight.fit(X, LABELS, batch_size=6, epochs=3, shuffle=False, verbose=0)
    METHODS[name](model)
    model.fit(X, LABELS, batch_size=6, epochs=2, shuffle=False, verbose=0)
    again = saved(model, tmp_path)
    again.fit(X, LABELS, batch_size=6, epochs=1, shuffle=False, verbose=0)
    assert all(map(np.array_equal, again.get_weights(), straight.get_weights()))
