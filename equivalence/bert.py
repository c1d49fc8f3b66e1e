"""The parameters of a BERT of any size, under the names that they have in a Hugging Face checkpoint."""

from dataclasses import dataclass

import numpy as np

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Size:
    """What a BERT's shapes follow from."""

    vocabulary: int
    width: int
    hidden: int  # of the layers' MLPs
    layers: int
    positions: int = 512
    types: int = 2


def shapes(size: Size) -> Shapes:
    """Every parameter's shape but the classifier's."""
    tables = {"word": size.vocabulary, "position": size.positions, "token_type": size.types}
    found: Shapes = {f"embeddings.{name}_embeddings.weight": (rows, size.width) for name, rows in tables.items()}
    found |= norm("embeddings.LayerNorm", size.width)
    for number in range(size.layers):
        found |= layer(f"encoder.layer.{number}", size)
    return found | affine("pooler.dense", size.width, size.width)


def layer(name: str, size: Size) -> Shapes:
    found: Shapes = {}
    for part in ("self.query", "self.key", "self.value", "output.dense"):
        found |= affine(f"{name}.attention.{part}", size.width, size.width)
    found |= norm(f"{name}.attention.output.LayerNorm", size.width)
    found |= affine(f"{name}.intermediate.dense", size.hidden, size.width)
    found |= affine(f"{name}.output.dense", size.width, size.hidden)
    return found | norm(f"{name}.output.LayerNorm", size.width)


def affine(name: str, outputs: int, inputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def draw_parameters(rng: np.random.Generator, wanted: Shapes) -> dict[str, np.ndarray]:
    """Random parameters that give every part a share in the outputs.

    BERT's own start, 0.02 throughout, would leave attention even, MLPs next to nothing, biases 0 and all weights of
    norms 1: a mistake in them would hardly show. Here each layer's outputs have the size of its inputs.
    """
    return {name: drawn_value(rng, name, shape) for name, shape in wanted.items()}


def drawn_value(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name.endswith("bias"):
        return 0.1 * rng.standard_normal(shape)
    if name.endswith("LayerNorm.weight"):
        return rng.uniform(0.5, 1.5, shape)
    return rng.standard_normal(shape) / (1 if name.startswith("embeddings") else shape[1] ** 0.5)
