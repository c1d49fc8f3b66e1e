"""Normalisation's running statistics are moved by the clean batch, once."""

import numpy as np

from equivalence.claim import Claim
from equivalence.measure import equal
from equivalence.parts.by_hand import topic, with_trace
from equivalence.parts.training import CASES, SWITCHED_ON, Training
from equivalence.parts.untouched import changed, none
from equivalence.trainees import OTHER_TABLE, STATISTICS_RATE, TABLE


def running_mean(state):
    """Read the running statistics of the normalisation that is trained."""
    return next(value for name, value in topic(state, "statistics/norm").items() if name.endswith("mean"))


def measure(problem, reference):
    steps = Training(problem)
    tables = [steps.begun[name].astype(float) for name in (TABLE, OTHER_TABLE)]
    batch = np.tanh(tables[0][problem.case.tokens] + tables[1]).mean((0, 1))
    before = running_mean(steps.begun)
    expected = before + STATISTICS_RATE * (batch - before)
    usual = steps.plain()
    for method, options in SWITCHED_ON.items():
        state = steps.after(method, options)
        yield f"{method}: to the clean batch's mean", equal(running_mean(state), expected, 1.0, "float32")
        yield none(f"{method}: as after a plain step", changed(usual, state, "statistics"))


CLAIM = Claim(
    id="G4",
    title="Normalisation statistics see the clean batch, once, and never the adversarial one",
    formula="running mean after = m + a(mean of the clean batch - m)",
    source="the contract of training; lyakaap/VAT-pytorch#12, pytorch/pytorch#44415",
    methods=tuple(SWITCHED_ON),
    cases=CASES,
    measure=measure,
    wrong={
        "the penalty's batch moves them again": lambda m, bridge: {
            "gradient_penalty_training": with_trace(m.gradient_penalty_training, "statistics")
        },
        "a power iteration moves them": lambda m, bridge: {
            "virtual_adversarial_training": with_trace(m.virtual_adversarial_training, "statistics")
        },
    },
    control=CASES[0],
)
