"""`check` on Keras models: what is planted is found and named, in what right models are made of nothing is."""

import pytest

from bench.check.template import TEMPLATES
from equivalence.own_models import load
from equivalence.protocol import Complaint
from tests.own_models.looked import bad, looked, said, verdicts

pytestmark = pytest.mark.usefixtures("bridge", "precision")


@pytest.mark.slow
def test_a_stopped_gradient_is_found_and_named():
    section = looked("tensorflow", "tensorflow_detached", "derivatives")["derivatives"]
    assert "gate (Gate): stop_gradient at line 15" in bad(section)
    assert verdicts(section)["gradient in what is perturbed", "backward"] == "wrong"


@pytest.mark.slow
def test_a_custom_gradient_that_is_held_fixed_is_found_and_named():
    section = looked("tensorflow", "tensorflow_custom_gradient", "derivatives")["derivatives"]
    assert "act (Act): it is written at tensorflow_custom_gradient.py:13" in bad(section)
    found = verdicts(section)
    assert found["gradient in what is perturbed", "backward"] == "right"
    assert found["penalty's gradient in the parameters", "double backward"] == "wrong"


def test_batch_normalization_is_named():
    found = looked("tensorflow", "tensorflow_detached", "samples")["samples"]
    assert found.numbers["coupled"] and "statistics (BatchNormalization)" in said(found)


@pytest.mark.slow
def test_a_layer_norm_is_right_by_the_methods_and_named_where_keras_is_wrong(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(TEMPLATES["keras"])
    section = looked("tensorflow", str(path), "derivatives")["derivatives"]
    assert not bad(section) and "(LayerNormalization)" in said(section)


def test_what_is_no_keras_model_says_so(tmp_path):
    path = tmp_path / "own.py"
    path.write_text("import keras\nmodel, loss, batch = 3, 4, 5\n")
    with pytest.raises(Complaint, match=r"expected a keras\.Model"):
        load("tensorflow", str(path), double=False)


@pytest.mark.slow
def test_a_functional_model_with_attention_is_right():
    section = looked("tensorflow", "tensorflow_functional", "derivatives")["derivatives"]
    assert not bad(section)
    assert verdicts(section)["penalty's gradient in the parameters", "double backward"] == "right"


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own, where it saves
@pytest.mark.slow
def test_a_saved_model_is_looked_at_without_a_file(tmp_path):
    import keras

    layers = [keras.layers.Input((5,)), keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(3)]
    model = keras.Sequential(layers)
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.save(tmp_path / "model.keras")
    assert not bad(looked("tensorflow", str(tmp_path / "model.keras"), "derivatives")["derivatives"])
