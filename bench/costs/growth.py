"""How cost grows: one size of a workload or of a method at a time, and the exponent that its work predicts."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from bench.costs.cells import QUICK_MODE, Cell


@dataclass(frozen=True)
class Sweep:
    """One size, and the methods whose cost it changes. Each method's work is in multiply-adds, up to a factor."""

    name: str
    sizes: tuple[int, ...]
    workload: str  # with {} where the size goes, unless it goes into the method
    methods: dict[str, Callable[[int], float]]  # the name, with {} where the size goes

    def cells(self, framework: str, device: str = "cpu") -> list[Cell]:
        """List the cells to time, in the mode of quick runs: what grows is the work, whatever runs it."""
        return [
            Cell(method.format(size), framework, QUICK_MODE[framework], self.workload.format(size), device=device)
            for size in self.sizes
            for method in self.methods
        ]

    def predicted(self, method: str, sizes: Iterable[int]) -> float:
        """The exponent that a power law fitted to the work has over these sizes."""
        chosen = list(sizes)
        return exponent(chosen, [self.methods[method](size) for size in chosen])


def exponent(sizes: Iterable[float], costs: Iterable[float]) -> float:
    """Fit a power law by least squares of the logarithms; NaN unless there are two sizes and every cost is > 0."""
    x, y = np.asarray(list(sizes), float), np.asarray(list(costs), float)
    if len(set(x)) < 2 or not ((x > 0).all() and (y > 0).all()):
        return float("nan")
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def dense(side: int = 28, width: int = 1024, classes: int = 10) -> float:
    """A sample's forward pass through the dense network."""
    return side * side * width + width * width + width * classes


def encoder(length: int, width: int = 128, hidden: int = 512, layers: int = 2) -> float:
    """A sequence's forward pass through BERT: dense layers, then scores and what they mix."""
    return layers * length * (4 * width * width + 2 * width * hidden + 2 * length * width)


SWEEPS = {
    sweep.name: sweep
    for sweep in (
        Sweep(
            "batch",
            (1, 4, 16, 64, 256, 1024),
            "digits-mlp batch={}",
            dict.fromkeys(("plain", "fgm", "gradient_penalty", "vat"), lambda batch: batch * dense()),
        ),
        Sweep(
            "width",
            (64, 128, 256, 512, 1024, 2048),
            "digits-mlp width={}",
            dict.fromkeys(("plain", "fgm", "gradient_penalty", "vat"), lambda width: dense(width=width)),
        ),
        Sweep(
            "sequence length",
            (16, 32, 64, 128, 256),
            "bert-tiny batch=8 length={}",
            dict.fromkeys(("plain", "fgm", "gradient_penalty", "vat"), encoder),
        ),
        Sweep(
            "number of classes",
            (2, 4, 8, 16, 32, 64),
            "digits-mlp batch=32 width=256 classes={}",
            {
                "plain": lambda classes: dense(width=256, classes=classes),
                "jacobian_penalty": lambda classes: dense(width=256, classes=classes),
                "jacobian_penalty exact": lambda classes: (1 + classes) * dense(width=256, classes=classes),
            },
        ),
        Sweep(
            "input side",
            (2, 3, 4, 6, 8),
            "digits-mlp batch=16 width=256 side={}",
            {
                "plain": lambda side: dense(side, 256),
                "laplacian": lambda side: dense(side, 256),
                "laplacian exact": lambda side: (1 + side * side) * dense(side, 256),
                "laplacian exact forward": lambda side: (1 + side * side) * dense(side, 256),
            },
        ),
        Sweep(
            "steps",
            (1, 3, 10, 30),
            "digits-mlp",
            {"pgd-{}": lambda steps: 2 * steps + 3, "vat-{}": lambda steps: 2 * steps + 6},
        ),
    )
}
