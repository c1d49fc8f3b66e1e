"""Two replicas of a Keras model on two logical CPUs train as one does with the whole batch.

Devices are set before TensorFlow starts, and so all cases are run in one process of their own, which is this file.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow  # they take a process
ROOT = Path(__file__).parents[3]
SAMPLES = 8

# name: whether it is of tokens, the one-liner and its arguments.
CASES = {
    "fgm": (False, "adversarial_training", (), {"radius": 0.5}),
    "fgm, raw": (False, "adversarial_training", (), {"radius": 0.5, "norm": "raw"}),
    "fgm, tensor": (False, "adversarial_training", (), {"radius": 0.5, "scope": "tensor", "clean_weight": 0.25}),
    "fgm, tensor, l1": (False, "adversarial_training", (), {"radius": 0.5, "scope": "tensor", "norm": "l1"}),
    "pgd, random": (False, "adversarial_training", (), {"radius": 0.5, "steps": 2, "start": "random"}),
    "fgm, table": (True, "adversarial_training", ("tokens",), {"radius": 0.5}),
    "pgd, table, random": (True, "adversarial_training", ("tokens",), {"radius": 0.5, "steps": 2, "start": "random"}),
    "freelb": (False, "freelb_training", (), {"radius": 0.5, "step": 0.2, "steps": 2}),
    "penalty": (False, "gradient_penalty_training", (), {"weight": 0.5}),
    "penalty, table": (True, "gradient_penalty_training", ("tokens",), {"weight": 0.5}),
    "penalty, table, l2": (True, "gradient_penalty_training", ("tokens",), {"weight": 0.5, "norm": "l2"}),
    "vat": (False, "virtual_adversarial_training", (), {"radius": 0.5, "entropy_weight": 0.5}),
    "vat, table": (True, "virtual_adversarial_training", ("tokens",), {"radius": 0.5}),
}
# A last batch that is smaller than the others, (samples in all, the weight that Keras gives each of the last): of five
# samples one replica has three, of one sample one has none.
UNEVEN = {"five": (13, [5 / 6] * 3 + [5 / 4] * 2), "one": (9, [1 / 2])}
UNLIKE = ("fgm, table", {"replicas": "local"})  # each replica's own norm: not what the whole batch has


def measured():
    """{case: largest difference from the whole batch after two steps, in rounding units}."""
    import keras
    import tensorflow as tf

    from impls.tensorflow import training

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])  # one for all: TensorFlow confuses messages of two
    rng = np.random.default_rng(0)
    x, tokens = rng.normal(size=(2 * SAMPLES, 4)), rng.integers(0, 7, (2 * SAMPLES, 5)).astype("int32")
    labels = rng.integers(0, 3, 2 * SAMPLES)

    def trained(strategy, case, *, samples=SAMPLES, weights=None, **more):
        of_tokens, name, target, options = CASES[case]
        with strategy.scope():
            model = network(keras, of_tokens)
        getattr(training, name)(model, *target, **options, **more)
        data = (tokens if of_tokens else x)[:samples], labels[:samples]
        options = {"batch_size": SAMPLES, "epochs": 2, "shuffle": False, "verbose": 0}
        loss = model.fit(*data, sample_weight=weights, **options).history["loss"]
        return [*([np.array(loss)] if samples == SAMPLES else []), *model.get_weights()]

    def apart(found, expected):
        eps = np.finfo(float).eps
        return max(np.abs(a - b).max() / max(1, np.abs(b).max()) / eps for a, b in zip(found, expected, strict=True))

    alone = tf.distribute.get_strategy()
    results = {case: apart(trained(mirrored, case), trained(alone, case)) for case in CASES}
    for name, (samples, weights) in UNEVEN.items():
        weighted = np.array([1.0] * SAMPLES + weights)
        wanted = trained(alone, "fgm", samples=samples, weights=weighted)
        results[f"uneven: {name}"] = apart(trained(mirrored, "fgm", samples=samples), wanted)
        for case in ("vat", "penalty"):
            found = trained(mirrored, case, samples=samples)
            results[f"{case}, uneven: {name}"] = 0.0 if all(np.isfinite(each).all() for each in found) else np.inf
    case, more = UNLIKE
    return results | {"local": apart(trained(mirrored, case, **more), trained(alone, case))}


def network(keras, of_tokens):
    first = [keras.Input((4,))]
    if of_tokens:
        embedding = keras.layers.Embedding(7, 4, name="tokens")
        first = [keras.Input((5,), dtype="int32"), embedding, keras.layers.GlobalAveragePooling1D()]
    model = keras.Sequential([*first, keras.layers.Dense(5, "tanh"), keras.layers.Dense(3)])
    rng = np.random.default_rng(1)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(size=weight.shape))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss)
    return model


@pytest.fixture(scope="module")
def results(bridge):
    code = "import json; from tests.training.tensorflow.test_replicas import measured\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}print(json.dumps(measured()))"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("case", CASES)
def test_two_replicas_train_as_the_whole_batch(results, case):
    assert results[case] <= 50


@pytest.mark.parametrize("name", UNEVEN)
def test_an_uneven_last_batch_weighs_replicas_as_plain_training_does(results, name):
    """Keras weighs replicas alike, whatever they have, and so do we; one that has nothing adds nothing."""
    assert results[f"uneven: {name}"] <= 50
    assert results[f"vat, uneven: {name}"] == results[f"penalty, uneven: {name}"] == 0


def test_a_norm_of_each_replicas_own_is_another(results):
    assert results["local"] > 1e6
