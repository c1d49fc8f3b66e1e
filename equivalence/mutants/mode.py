"""Passes of one step that are not the same function: masks, training and evaluation, what is frozen."""

import numpy as np

from equivalence.mutant import Mutant, collect
from equivalence.parts.by_hand import ByHand, topic, training
from equivalence.trainees import NAMES

MUTANTS: list[Mutant] = []
mistake = collect(MUTANTS, "mode")


@mistake("training: the adversarial pass has no dropout", "DSXiangLi/SimpleClassification model/fgm.py")
def evaluated_adversary(m, bridge):
    class Evaluated(ByHand):
        def second_pass(self):
            return self.trainee.backward(training=False)

    return training(Evaluated)


@mistake("training: the attack is made in evaluation mode", "torchattacks attack.py calls model.eval() by default")
def evaluated_attack(m, bridge):
    class Attacked(ByHand):
        def attack(self):
            return self.trainee.backward(training=False)

    return training(Attacked)


@mistake("training: each pass draws its own dropout mask", "enricivi/adversarial_training_methods#4")
def masks_differ(m, bridge):
    class Drawn(ByHand):
        def second_pass(self):
            return self.trainee.backward()

    return training(Drawn)


def leaving(m, value, wanted):
    """The steps, after which flags are as a careless train() or eval() leaves them."""

    def left(step):
        def steps(trainee, **options):
            found = step(trainee, **options)
            flags = [name for name in topic(trainee.state(), "flags") if wanted(name)]
            trainee.assign(dict.fromkeys(flags, np.array(value)))
            return found

        return steps

    return {name: left(getattr(m, name)) for name in NAMES}


@mistake(
    "training: frozen modules come back unfrozen",
    "torchattacks attack.py: train() for all of them, as trainable = True for all layers",
    impossible={"jax": "a function has no flags; what is frozen is not among what is trained"},
)
def unfrozen(m, bridge):
    return leaving(m, 1, lambda name: True)


@mistake(
    "training: modules stay in evaluation mode",
    "torchattacks attack.py: eval() for the attack, and an early return",
    impossible={
        "jax": "a function has no mode",
        "tensorflow": "the mode is an argument of each call, no state of the model",
    },
)
def stays_evaluated(m, bridge):
    return leaving(m, 0, lambda name: name.endswith(".training"))
