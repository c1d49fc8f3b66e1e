"""BERT's parameters from a checkpoint as Hugging Face writes it: config.json and a .safetensors file beside it."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from equivalence.bert import Shapes, Size, affine, draw_parameters, shapes
from equivalence.cases import Params, float32_exact

SIZES = {  # of `Size`, under their names in config.json
    "vocabulary": "vocab_size",
    "width": "hidden_size",
    "hidden": "intermediate_size",
    "layers": "num_hidden_layers",
    "positions": "max_position_embeddings",
    "types": "type_vocab_size",
}
HEADS = "num_attention_heads"
LARGEST, DEEPEST = 10_000_000, 1000  # of any size and of layers: what is beyond is no BERT, and would take all memory
SUPPORTED = {  # what `bert` computes; what a configuration leaves out is so
    "model_type": "bert",
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "position_embedding_type": "absolute",
    "is_decoder": False,
}
FLOATS = ("F16", "F32", "F64")
LEGACY = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}


class BadCheckpoint(Exception):
    """A checkpoint cannot be read, or is not of a BERT that `bert` computes."""


def load(path: str | Path, classes: int = 2, seed: int = 0) -> tuple[Params, dict[str, Any]]:
    """The parameters and options of `bert` from a checkpoint's folder or .safetensors file.

    A leading "bert." of names is dropped, LayerNorm's gamma and beta are its weight and bias, and tensors that `bert`
    does not have are not read. Numbers are rounded to float32.

    Args:
        path: of the folder, or of the file beside its config.json.
        classes: of a classifier that is draw_parameters where the checkpoint has none.
        seed: that it is draw_parameters with.

    Returns:
        {name: float64 array} and {"heads": number}.

    Raises:
        BadCheckpoint: a file is missing or unreadable, the configuration is not a supported BERT's, or tensors are
            missing or have other shapes than it says; all of them are named.
    """
    file = weights_file(Path(path))
    size, heads = configured(file.parent / "config.json")
    wanted = shapes(size)
    params = read(file, wanted, size.width)
    if "classifier.weight" not in params:
        rng = np.random.default_rng(seed)
        fresh = draw_parameters(rng, affine("classifier", classes, size.width))
        params |= {name: float32_exact(array) for name, array in fresh.items()}
    return params, {"heads": heads}


def weights_file(path: Path) -> Path:
    """The .safetensors file that a path means."""
    if not path.exists():
        raise BadCheckpoint(f"{path}: not found, expected a checkpoint's folder or its .safetensors file")
    file = path / "model.safetensors" if path.is_dir() else path
    if not file.exists():
        raise BadCheckpoint(
            f"{path}: no model.safetensors in this folder; name the .safetensors file itself, or save the model again"
            " with save_pretrained"
        )
    return file


def configured(path: Path) -> tuple[Size, int]:
    """Sizes and the number of heads, from config.json."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadCheckpoint(
            f"{path}: not found; copy the model's config.json beside its weights: no shape tells how many heads it has"
        ) from None
    except (ValueError, RecursionError) as error:
        raise BadCheckpoint(f"{path}: not JSON: {error}") from None
    if not isinstance(config, dict):
        raise BadCheckpoint(f"{path}: got {type(config).__name__}, expected an object with BERT's configuration")
    wrong = [
        f"{key}: got {config[key]!r}, expected {expected!r}"
        for key, expected in SUPPORTED.items()
        if config.get(key, expected) != expected
    ]
    for key in (*SIZES.values(), HEADS):
        if type(config.get(key)) is not int or not 1 <= config[key] <= LARGEST:
            wrong.append(f"{key}: got {config.get(key)!r:.60}, expected a whole number from 1 to {LARGEST:,}")
    if type(layers := config.get("num_hidden_layers")) is int and layers > DEEPEST:
        wrong.append(f"num_hidden_layers: got {layers}, expected at most {DEEPEST}")
    if not wrong and config["hidden_size"] % config[HEADS]:
        wrong.append(f"{HEADS}: got {config[HEADS]}, expected a divisor of the hidden_size, {config['hidden_size']}")
    if wrong:
        raise BadCheckpoint(f"{path}: {'; '.join(wrong)}. Only BERT as it was published is supported")
    return Size(**{name: config[key] for name, key in SIZES.items()}), config[HEADS]


def read(file: Path, wanted: Shapes, width: int) -> Params:
    """The wanted tensors, and the classifier if there is one."""
    from safetensors import SafetensorError, safe_open  # only now: what times steps imports this module

    try:
        with safe_open(file, framework="np") as tensors:
            names = {strip_prefix(name): name for name in tensors.keys()}  # noqa: SIM118, it is no dict
            found = {name: tensors.get_slice(stored) for name, stored in names.items()}
            if "classifier.weight" in found:
                classes = (*found["classifier.weight"].get_shape(), 0)[0]
                wanted = wanted | affine("classifier", classes, width)
            refuse_misfits(file, wanted, found)
            with np.errstate(over="ignore"):  # what float32 does not hold is said below
                params = {name: float32_exact(tensors.get_tensor(names[name])) for name in wanted}
    except (SafetensorError, OSError) as error:
        raise BadCheckpoint(f"{file}: not a readable .safetensors file: {error}") from None
    if broken := [name for name, array in params.items() if not np.isfinite(array).all()]:
        raise BadCheckpoint(f"{file}: got NaN or infinity, beyond float32's range too, in {', '.join(broken[:5])}")
    return params


def strip_prefix(name: str) -> str:
    """A tensor's name as `bert` has it."""
    name = name.removeprefix("bert.")
    for old, new in LEGACY.items():
        name = name.replace(old, new)
    return name


def refuse_misfits(file: Path, wanted: Shapes, found: dict[str, Any]) -> None:
    """Name every tensor that is missing, has another shape than the configuration says, or holds no numbers."""
    wrong = []
    for name, shape in wanted.items():
        if name not in found:
            wrong.append(f"{name}: missing, expected {shape}")
        elif tuple(found[name].get_shape()) != shape:
            wrong.append(f"{name}: got {tuple(found[name].get_shape())}, expected {shape}")
        elif found[name].get_dtype() not in FLOATS:
            wrong.append(f"{name}: got {found[name].get_dtype()}, expected one of {', '.join(FLOATS)}")
    if wrong:
        lines = "\n  ".join(wrong)
        raise BadCheckpoint(f"{file}: {len(wrong)} tensors do not fit the config.json beside it:\n  {lines}")
