"""A regularised step moves what the usual step moves: flags, settings and random numbers are as that leaves them."""

import numpy as np

from equivalence.claim import Claim
from equivalence.parts.by_hand import topic, with_trace
from equivalence.parts.training import CASES, SWITCHED_ON, Training
from equivalence.parts.untouched import changed, none

TOPICS = ("flags", "hooks", "random", "settings")


def measure(problem, reference):
    steps = Training(problem)
    usual = steps.plain()
    none_left = dict.fromkeys(topic(steps.begun, "gradients"), np.empty(0))
    for method, options in SWITCHED_ON.items():
        state = steps.after(method, options)
        yield none(f"{method} leaves what a plain step leaves", changed(usual, state, *TOPICS))
        if none_left:
            first = steps.after(method, options, none_left)
            yield none(f"{method} does not add to gradients of the step before", changed(first, state))


CLAIM = Claim(
    id="G2",
    title="A regularised step leaves flags, hooks, settings and the random state as a plain step does",
    formula="state after step(r) = state after step(0), bit for bit, but for what is trained and its statistics",
    source="the contract of training; adversarial-attacks-pytorch attack.py, cleverhans fast_gradient_method.py",
    methods=tuple(SWITCHED_ON),
    cases=CASES,
    measure=measure,
    wrong={
        "adversarial training draws once more": lambda m, bridge: {
            "adversarial_training": with_trace(m.adversarial_training, "random")
        },
        "virtual adversarial training draws once more": lambda m, bridge: {
            "virtual_adversarial_training": with_trace(m.virtual_adversarial_training, "random")
        },
    },
    control=CASES[0],
)
