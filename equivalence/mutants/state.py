"""What a training step should have left alone: tables, statistics, gradients, the optimiser, random numbers.

Most are FGM's usual snippet with one part done wrong, as the frameworks' training loops have it.
"""

import numpy as np

from equivalence.mutant import Mutant, collect
from equivalence.parts.by_hand import ByHand, topic, training, with_trace
from equivalence.trainees import NAMES, OTHER_TABLE, TABLE

MUTANTS: list[Mutant] = []
mistake = collect(MUTANTS, "state")


def snippet(name, copies, **options):
    """Registers a kind of step."""

    def add(kind):
        mistake(f"training: {name}", copies, **options)(lambda m, bridge: training(kind))
        return kind

    return add


# Tables that do not come back.


@snippet("the table is restored by subtracting", "bojone/keras_adversarial_training: 6.7 % of float32 entries change")
class RestoredBySubtracting(ByHand):
    def restore(self):
        self.trainee.assign({TABLE: self.trainee.state()[TABLE] - self.r[TABLE]})


@snippet("the table is never restored", "lili0710432/Adversarial-Train")
class NeverRestored(ByHand):
    def restore(self):
        pass


@snippet("the backup is cleared in the loop over tables", "TorchBlocks fgm.py: the second table is not restored")
class BackupCleared(ByHand):
    tables = (TABLE, OTHER_TABLE)

    def restore(self):
        backup = {table: self.begun[table] for table in self.tables}
        for table in self.tables:
            if table in backup:
                self.trainee.assign({table: backup[table]})
            backup = {}


@snippet("the table is restored after the optimiser's step", "restore() one line too low: the table is never trained")
class RestoredTooLate(ByHand):
    def restore(self):
        pass

    def update(self, gradients):
        self.trainee.apply(gradients)
        super().restore()


@snippet("the perturbation stays when the step raises", "no try … finally in any published snippet")
class LeftPerturbed(ByHand):
    def undo(self):
        self.trainee.assign({name: value for name, value in self.begun.items() if name not in self.tables})


@snippet("the table alone comes back when the step raises", "try … finally: restore() thinks of the table only")
class TableAlone(ByHand):
    def undo(self):
        self.restore()


# One memory under two names, seen from outside.


@snippet("the backup is the table itself", "backup[name] = param.data without clone()")
class AliasedBackup(ByHand):
    def restore(self):
        perturbed = self.trainee.state()
        self.begun |= {table: perturbed[table] for table in self.tables}
        super().restore()


@snippet("the gradient is zeroed through a view before it is used", "MadryLab/robustness attacker.py: the attack is 0")
class ZeroedView(ByHand):
    def perturb(self, gradients):
        view = gradients[TABLE].reshape(-1)
        view[...] = 0
        super().perturb(gradients)


# Gradients and the optimiser.


@snippet("the attack's gradient is added to the step's", "cleverhans fast_gradient_method.py: it accumulates in .grad")
class Accumulated(ByHand):
    def mix(self, adversarial, clean):
        return adversarial + clean


@snippet(
    "gradients of the step before are added",
    "no zero_grad between steps",
    impossible={
        "jax": "a gradient is a value that a function returns; none is left from the step before",
        "tensorflow": "a gradient is a value that a tape returns; none is left from the step before",
    },
)
class NotZeroed(ByHand):
    def update(self, gradients):
        left = {name: self.begun[name.replace("parameters", "gradients")] for name in gradients}
        self.trainee.apply(
            {name: found + left[name] if left[name].size else found for name, found in gradients.items()}
        )


@snippet(
    "the optimiser steps for the attack too",
    "optimizer.step() after zero_grad() too: momentum moves the parameters, and fades",
)
class SteppedTwice(ByHand):
    def update(self, gradients):
        self.trainee.apply({name: np.zeros_like(value) for name, value in gradients.items()})  # momentum alone
        self.trainee.apply(gradients)


# Statistics.


@snippet("the adversarial pass moves the statistics", "lyakaap/VAT-pytorch#12, pytorch/pytorch#44415")
class StatisticsOfBoth(ByHand):
    def settle(self):
        self.trainee.assign(topic(self.clean, "random"))


@snippet("statistics are the adversarial pass's", "the last pass's new statistics are kept, as has_aux invites one to")
class StatisticsOfTheLast(StatisticsOfBoth):
    def second_pass(self):
        self.trainee.assign(topic(self.begun, "statistics"))
        return super().second_pass()


@mistake("training: passes of the regulariser move the statistics", "lyakaap/VAT-pytorch#12: power iterations do")
def moved_by_every_pass(m, bridge):
    return {name: with_trace(getattr(m, name), "statistics") for name in NAMES}


# Random numbers.


@mistake(
    "training: passes of the regulariser draw from the global state", "a random start by randn, a dropout each pass"
)
def drawn_by_every_pass(m, bridge):
    return {name: with_trace(getattr(m, name), "random") for name in NAMES}


@snippet(
    "the generator is seeded anew in each step", "manual_seed before each pass, so that they share masks: all steps do"
)
class Reseeded(ByHand):
    def settle(self):
        super().settle()
        self.trainee.assign(topic(self.begun, "random"))
