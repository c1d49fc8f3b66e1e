"""An embedding's table is what it was, bit for bit, when the perturbation is over; also when the step raises."""

import contextlib

import numpy as np

from equivalence.claim import Claim
from equivalence.measure import bound
from equivalence.parts.by_hand import topic
from equivalence.parts.training import CASES, SWITCHED_ON, Training
from equivalence.parts.untouched import changed, none
from equivalence.trainees import TABLE, Interrupted


def measure(problem, reference):
    steps = Training(problem)
    still = {name: np.zeros_like(value) for name, value in topic(steps.begun, "optimiser").items()}  # moves nothing
    for method, options in SWITCHED_ON.items():
        state = steps.after(method, options, still)
        yield none(f"{method} without a learning rate moves no parameter", changed(steps.begun, state, "parameters"))
        left = steps.interrupted(method, options)
        yield f"{method} has passes that can fail", bound(np.array([len(left)]), 1.0)
        for number, state in enumerate(left, 1):
            yield none(f"{method} whose pass {number} fails leaves everything", changed(steps.begun, state))


def rounded(step):
    def steps(trainee, **options):
        value, table = step(trainee, **options), trainee.state()[TABLE]
        trainee.assign({TABLE: (table + 1) - 1})
        return value

    return steps


def forgiving(step):
    def steps(trainee, **options):
        with contextlib.suppress(Interrupted):
            return step(trainee, **options)

    return steps


CLAIM = Claim(
    id="G3",
    title="An embedding's table comes back bit for bit, also when the step raises",
    formula="table after = table before; where the step raises, the whole state",
    source="the contract of training; bojone/keras_adversarial_training, lili0710432/Adversarial-Train",
    methods=tuple(SWITCHED_ON),
    cases=CASES,
    measure=measure,
    wrong={
        "restored by adding and subtracting 1": lambda m, bridge: {
            "gradient_penalty_training": rounded(m.gradient_penalty_training)
        },
        "an error is swallowed": lambda m, bridge: {"adversarial_training": forgiving(m.adversarial_training)},
    },
    control=CASES[0],
)
