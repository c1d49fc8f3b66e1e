"""Dropout on the input of a linear model, by every mask that there is: a ridge scaled by the data."""

import numpy as np

from equivalence.claim import Claim
from equivalence.measure import every
from equivalence.parts.noise import exactly
from equivalence.parts.ridge import ridge

# a component's values, equally likely, by the rate at which it is dropped
MASKS = {1 / 3: [0.0, 1.5, 1.5], 2 / 3: [0.0, 0.0, 3.0]}


def measure(problem, reference):
    """Nine masks for each of nine copies of the batch."""
    methods, x, targets = problem.methods, reference.case.x, reference.case.extra["targets"]

    def dropped(point, masks, targets):
        return methods.dropout_loss(lambda x: methods.squared_error(point.f(x), targets), point.x, masks)

    arguments = []
    for values in MASKS.values():
        masks = np.repeat(every(values, x.shape[1]).reshape(9, 9, -1), len(x), axis=1)  # (9, 9·B, n)
        arguments.append((masks, np.tile(targets, (9, 1))))
    expected = [ridge(reference, rate / (1 - rate) * x**2) for rate in MASKS]
    yield from exactly(problem, dropped, arguments, expected, copies=9)


CLAIM = Claim(
    id="A5",
    title="Dropout on the input of a linear model is ridge regression with each weight scaled by its input",
    formula="E‖W(x∘m)-y‖² = ‖Wx-y‖² + q/(1-q) Σⱼ xⱼ²‖W₍:,ⱼ₎‖², m = 0 with probability q, else 1/(1-q)",
    source="Wager et al. 2013; Srivastava et al. 2014, §9.1",
    methods=("dropout_loss", "squared_error"),
    cases=("softmax",),
    measure=measure,
    wrong={
        "what is kept is not scaled up": lambda m, bridge: {
            "dropout_loss": lambda loss, x, masks: m.dropout_loss(loss, x, masks / 1.5)
        },
        "the noise is added, not multiplied": lambda m, bridge: {
            "dropout_loss": lambda loss, x, masks: m.noisy_loss(loss, x, masks - 1)
        },
        "one mask stands for all": lambda m, bridge: {
            "dropout_loss": lambda loss, x, masks: m.dropout_loss(loss, x, masks[:1])
        },
        "one mask for the whole batch": lambda m, bridge: {
            "dropout_loss": lambda loss, x, masks: m.dropout_loss(loss, x, 0 * masks + masks[:, :1])
        },
    },
    control="softmax",
)
