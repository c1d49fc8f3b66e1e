"""Radius 0, or weight 0: training is bit for bit what it is without."""

import numpy as np

from equivalence.claim import Claim
from equivalence.measure import bound
from equivalence.parts.by_hand import ByHand, training
from equivalence.parts.training import CASES, SWITCHED_ON, Training
from equivalence.parts.untouched import changed, none

SWITCHED_OFF = (
    ("adversarial_training", {"radius": 0.0}),
    ("adversarial_training", {"radius": 0.0, "clean_weight": 0.3}),
    ("gradient_penalty_training", {"weight": 0.0}),
    ("virtual_adversarial_training", {"radius": 0.0}),
    ("virtual_adversarial_training", {"radius": 0.5, "weight": 0.0}),
)


def measure(problem, reference):
    steps = Training(problem)
    usual = steps.plain()
    for method, options in SWITCHED_OFF:
        words = ", ".join(f"{name} {value:g}" for name, value in options.items())
        yield none(f"{method}, {words}: state and objective", changed(usual, steps.after(method, options)))
    for method, options in SWITCHED_ON.items():
        moved = changed(usual, steps.after(method, options), "parameters")
        yield f"{method} switched on changes parameters", bound(np.array([sum(moved.values())]), 1.0)


class Scaled(ByHand):
    """Gradients are divided and multiplied by 3, as a loss scale would do that is no power of two."""

    def mix(self, adversarial, clean):
        return adversarial / np.float32(3) * np.float32(3)


CLAIM = Claim(
    id="G6",
    title="With radius 0 or weight 0 training is bit for bit the plain one",
    formula="step(0) = step, in every bit of the state and of the loss",
    source="the contract of training",
    methods=tuple(SWITCHED_ON),
    cases=CASES,
    measure=measure,
    wrong={
        "gradients are scaled and scaled back": lambda m, bridge: training(Scaled),
        "the penalty is never computed": lambda m, bridge: {
            "gradient_penalty_training": lambda trainee, **options: trainee.plain()
        },
    },
    control=CASES[0],
)
