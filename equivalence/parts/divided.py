"""Training steps on a batch that is divided, against the same step on the whole of it (H1, H2)."""

from typing import Any

import numpy as np

from equivalence import divided
from equivalence.measure import equal
from equivalence.parts.training import CASES as CASES
from equivalence.problem import Problem

FGM, FREELB, PENALTY, VAT = METHODS = (
    "adversarial_training", "freelb_training", "gradient_penalty_training", "virtual_adversarial_training",
)  # fmt: skip
SIZES = (3, 1)  # of micro-batches: with equal ones a mean of means would do
PGD = {"radius": 0.5, "norm": "linf", "steps": 2}
ASCENT = {"radius": 0.5, "step": 0.3, "steps": 2}
Options = dict[str, Any]
Kinds = dict[str, tuple[str, Options]]  # in words: method and options


class Training:
    """The network of a problem, trained by its methods."""

    def __init__(self, problem: Problem):
        self.methods, self.whole = problem.methods, divided.load(problem.bridge, problem.case)

    def step(self, batch: divided.Divided, method: str, options: Options) -> np.ndarray:
        """The mean objective and its gradient, (n, 1 + P)."""
        return getattr(self.methods, method)(batch, **options)

    def compared(self, batch: divided.Divided, method: str, options: Options) -> dict[str, Any]:
        """Measure that every replica, or the sum over micro-batches, has what the whole batch gives."""
        found, wanted = self.step(batch, method, options), self.step(batch.undivided(), method, options)
        return equal(found, np.broadcast_to(wanted, found.shape))


def plain(methods: Any, batch: divided.Divided, **options: Any) -> np.ndarray:
    """What training without a perturbation gives, of the same parameters."""
    target = {name: value for name, value in options.items() if name == "target"}
    return methods.adversarial_training(batch, radius=0.0, **target)


def mean(method: Any, batch: divided.Divided, weighted: bool = True, **options: Any) -> np.ndarray:
    """The mean over a batch's parts, of which each trains as if it were all there is."""
    shares = [batch.share(part) if weighted else 1 / len(batch.parts) for part in batch.parts]
    return sum(share * method(part, **options) for share, part in zip(shares, batch.apart(), strict=True))
