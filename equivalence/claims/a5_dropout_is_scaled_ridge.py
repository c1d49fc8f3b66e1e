"""Dropout on the input of a linear model, by every mask that there is: a ridge scaled by the data."""

from equivalence.claim import Claim
from equivalence.measure import every
from equivalence.parts.noise import exactly, spread
from equivalence.parts.ridge import error, ridge

MASKS = {
    1 / 3: [0.0, 1.5, 1.5],
    2 / 3: [0.0, 0.0, 3.0],
}  # a component's values, equally likely, by the rate of dropping


def measure(problem, reference):
    x = reference.case.x

    def dropped(point, masks):
        return problem.methods.dropout_loss(error(problem, point), point.x, masks)

    masks = [(spread(every(values, x.shape[1]), len(x)),) for values in MASKS.values()]
    expected = [ridge(reference, rate / (1 - rate) * x**2) for rate in MASKS]
    yield from exactly(problem, dropped, masks, expected)


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
        "half the squared error": lambda m, bridge: {"squared_error": lambda a, b: m.squared_error(a, b) / 2},
    },
    control="softmax",
)
