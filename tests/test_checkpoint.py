"""Checkpoints are read as they were written, under old and new names; what cannot be used is named."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from bench.costs.workloads import bert_from, build
from equivalence.bert import Size
from equivalence.cases import bert_params
from equivalence.checkpoint import HEADS, SIZES, BadCheckpoint, load
from equivalence.reference import Reference

SIZE = Size(vocabulary=11, width=8, hidden=12, layers=2, positions=9)
WEIGHT = "encoder.layer.1.attention.self.query.weight"


@pytest.fixture
def params():
    return bert_params(np.random.default_rng(0), SIZE, classes=3)


def config(**changed):
    sizes = {key: getattr(SIZE, name) for name, key in SIZES.items()}
    return {"model_type": "bert", "hidden_act": "gelu", HEADS: 2} | sizes | changed


def saved(folder, params, settings=None):
    """A checkpoint's folder."""
    save_file({name: np.asarray(value) for name, value in params.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config() if settings is None else settings), encoding="utf-8")
    return folder


def same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert value.dtype == np.float64
        np.testing.assert_array_equal(value, expected[name])


def without_classifier(params):
    return {name: value for name, value in params.items() if not name.startswith("classifier")}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_checkpoint_comes_back(tmp_path, params, dtype):
    found, options = load(saved(tmp_path, {name: value.astype(dtype) for name, value in params.items()}))
    same(found, params)
    assert options == {"heads": 2}
    same(load(tmp_path / "model.safetensors")[0], params)


def test_older_names_are_understood_and_what_is_not_needed_is_ignored(tmp_path, params):
    def older(name):
        name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        return name if name.startswith("classifier") else f"bert.{name}"

    more = {"bert.embeddings.position_ids": np.arange(9)[None], "cls.predictions.bias": np.zeros(11)}
    same(load(saved(tmp_path, {older(name): value for name, value in params.items()} | more))[0], params)


def test_a_classifier_is_drawn_where_there_is_none(tmp_path, params):
    folder = saved(tmp_path, without_classifier(params))
    first, again, other = (load(folder, classes=4, seed=seed)[0] for seed in (1, 1, 2))
    same(first, again)
    same(without_classifier(first), without_classifier(params))
    assert first["classifier.weight"].shape == (4, 8) and first["classifier.bias"].shape == (4,)
    assert (first["classifier.weight"] != other["classifier.weight"]).all()


def test_numbers_are_rounded_to_float32(tmp_path, params):
    found = load(saved(tmp_path, params | {WEIGHT: np.full((8, 8), 0.1)}))[0][WEIGHT]
    np.testing.assert_array_equal(found, np.float32(0.1).astype(np.float64))


UNSUPPORTED = {
    "model_type: got 'roberta', expected 'bert'": {"model_type": "roberta"},
    "hidden_act: got 'gelu_new', expected 'gelu'": {"hidden_act": "gelu_new"},
    "layer_norm_eps: got 1e-05, expected 1e-12": {"layer_norm_eps": 1e-5},
    "position_embedding_type: got 'relative_key', expected 'absolute'": {"position_embedding_type": "relative_key"},
    "is_decoder: got True, expected False": {"is_decoder": True},
    "num_hidden_layers: got None, expected a whole number from 1 to 10,000,000": {"num_hidden_layers": None},
    "hidden_size: got 0, expected a whole number from 1 to 10,000,000": {"hidden_size": 0},
    "num_hidden_layers: got 1000000, expected at most 1000": {"num_hidden_layers": 1_000_000},
    "num_attention_heads: got 3, expected a divisor of the hidden_size, 8": {HEADS: 3},
}


@pytest.mark.parametrize(("message", "changed"), UNSUPPORTED.items(), ids=UNSUPPORTED)
def test_an_unsupported_configuration_is_named(tmp_path, params, message, changed):
    with pytest.raises(BadCheckpoint) as refused:
        load(saved(tmp_path, params, config(**changed)))
    assert f"config.json: {message}" in str(refused.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_numbers_that_are_none_are_refused(tmp_path, params, value):
    folder = saved(tmp_path, params | {WEIGHT: np.full((8, 8), value)})
    with pytest.raises(BadCheckpoint, match=f"got NaN or infinity, beyond float32's range too, in {WEIGHT}"):
        load(folder)


def test_every_tensor_that_does_not_fit_is_named(tmp_path, params):
    wrong = {WEIGHT: np.zeros((8, 9)), "classifier.bias": np.zeros(5), "pooler.dense.bias": np.zeros(8, np.int64)}
    del params["embeddings.LayerNorm.bias"]
    with pytest.raises(BadCheckpoint) as refused:
        load(saved(tmp_path, params | wrong))
    assert str(refused.value).startswith(f"{tmp_path / 'model.safetensors'}: 4 tensors do not fit")
    assert set(map(str.strip, str(refused.value).splitlines()[1:])) == {
        "embeddings.LayerNorm.bias: missing, expected (8,)",
        f"{WEIGHT}: got (8, 9), expected (8, 8)",
        "classifier.bias: got (5,), expected (3,)",
        "pooler.dense.bias: got I64, expected one of F16, F32, F64",
    }


def broken(path, text):
    path.write_text(text, encoding="utf-8")


BROKEN = {
    "no folder": (lambda folder: folder / "missing", "not found, expected a checkpoint's folder"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "no model.safetensors in this folder"),
    "no configuration": (lambda folder: (folder / "config.json").unlink(), "copy the model's config.json beside"),
    "no JSON": (lambda folder: broken(folder / "config.json", "{"), "config.json: not JSON"),
    "nested JSON": (lambda folder: broken(folder / "config.json", "[" * 100_000), "config.json: not JSON"),
    "no object": (lambda folder: broken(folder / "config.json", "[]"), "got list, expected an object"),
    "no tensors": (lambda folder: broken(folder / "model.safetensors", "PK"), "not a readable .safetensors file"),
}


@pytest.mark.parametrize(("breaking", "message"), BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_read_is_named(tmp_path, params, breaking, message):
    folder = saved(tmp_path, params)
    with pytest.raises(BadCheckpoint, match=message):
        load(breaking(folder) or folder)


def test_a_workload_from_a_checkpoint(tmp_path, params):
    case = build(f"checkpoint {saved(tmp_path, params)} batch=3 length=9")
    assert case.tokens.shape == case.mask.shape == (3, 9) and case.tokens.max() < SIZE.vocabulary
    assert case.extra["start"].shape == (3, 9, 8) and case.extra["class_probes"].shape == (1, 3, 3)
    point = Reference(case).point
    assert np.isfinite(point.loss(point.x)).all()


@pytest.mark.parametrize(("batch", "length", "message"), [(3, 10, "length: got 10.* 1 to 9"), (0, 9, "batch: got 0")])
def test_a_workload_has_no_more_tokens_than_the_checkpoint_has_positions(tmp_path, params, batch, length, message):
    with pytest.raises(ValueError, match=message):
        bert_from(saved(tmp_path, params), batch, length)
