"""All passes of a step have one dropout mask: without a perturbation, the second is the first over again."""

import functools

import numpy as np

from equivalence.claim import Claim
from equivalence.measure import equal
from equivalence.parts.by_hand import ByHand, topic, training
from equivalence.parts.training import CASES, Training

NOTHING = np.zeros(())  # an array: a number would leave the passes out
METHODS = ("adversarial_training", "virtual_adversarial_training")
MIXED = {"radius": 0.5, "clean_weight": 0.25}


def compare(step, found, wanted):
    """Measure that objective, momentum (by which gradients show) and parameters are the same to rounding."""
    yield f"{step}: objective", equal(found["objective"], wanted["objective"], 1.0, "float32")
    for words in ("optimiser", "parameters"):
        names = [name for name, value in topic(wanted, words).items() if value.ndim]  # not the count of steps
        vectors = [np.concatenate([np.ravel(state[name]) for name in names]) for state in (found, wanted)]
        yield f"{step}: {words}", equal(*vectors, dtype="float32")


def measure(problem, reference):
    steps = Training(problem)
    usual = steps.plain()
    for method in METHODS:
        yield from compare(f"{method} at radius 0", steps.after(method, {"radius": NOTHING}), usual)
    found, wanted = steps.after("adversarial_training", MIXED), steps.by_hand(MIXED)
    yield from compare("adversarial_training and by hand", found, wanted)


class OwnMasks(ByHand):
    def second_pass(self):
        return self.trainee.backward()


CLAIM = Claim(
    id="G5",
    title="Both passes of a step share their dropout mask",
    formula="at r = 0: loss(x + r) = loss(x), KL(p(x)‖p(x+r)) = 0; the step at r ≠ 0 is that of the usual snippet",
    source="the contract of training; DSXiangLi/SimpleClassification fgm.py, enricivi/adversarial_training_methods#4",
    methods=METHODS,
    cases=CASES,
    measure=measure,
    wrong={
        "the second pass has masks of its own": lambda m, bridge: training(OwnMasks),
        "the radius is 3 % too long": lambda m, bridge: {
            "adversarial_training": lambda t, radius, **more: m.adversarial_training(t, radius=1.03 * radius, **more)
        },
        "some entropy is added": lambda m, bridge: {
            "virtual_adversarial_training": functools.partial(m.virtual_adversarial_training, entropy_weight=0.01)
        },
    },
    control=CASES[0],
)
