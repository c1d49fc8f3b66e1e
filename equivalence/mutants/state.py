"""What should have been left alone: by a training step tables, statistics, gradients, the optimiser, random numbers;
by a method whatever its process shares.

Most of the former are FGM's usual snippet with one part done wrong, as the frameworks' training loops have it.
"""

import os
import random
import sys
import warnings

import numpy as np

from equivalence import state
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


@snippet("the generators are seeded in each step", "random.seed(0), np.random.seed(0) in a step, so that runs repeat")
class SeededAgain(ByHand):
    def settle(self):
        super().settle()
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002


@snippet("the recursion limit is raised", "sys.setrecursionlimit(10**4) for a deep model, in each step")
class RecursionLimit(ByHand):
    def settle(self):
        super().settle()
        sys.setrecursionlimit(10_000)


# What a process shares. No number is wrong: what is trained beside the method, or after it, is another.

PURE = ("G1",)
NO_GENERATOR = {"jax": "it has no generator of its own: keys are arguments"}


def after(m, name, act):
    """The method, and something done when it is over."""

    def method(*args, **options):
        result = getattr(m, name)(*args, **options)
        act()
        return result

    return {name: method}


def before(m, name, act):
    """The method, and something done before it begins."""

    def method(*args, **options):
        act()
        return getattr(m, name)(*args, **options)

    return {name: method}


def set_wrongly(bridge, names, **values):
    """Give a setting of the framework another value: by framework its name, and where one is meant the value."""
    framework = state.framework(bridge)
    setting = state.settings(bridge)[names[framework]]
    setting.write(values.get(framework, setting.other))


@mistake("fgm: seeds Python's generator", "random.seed(0) at the top of a function, for reproducibility", claims=PURE)
def seeds_python(m, bridge):
    return before(m, "fgm", lambda: random.seed(0))


@mistake("pgd: seeds NumPy's generator", "np.random.seed(0) before a random start", claims=PURE)
def seeds_numpy(m, bridge):
    return before(m, "pgd", lambda: np.random.seed(0))  # noqa: NPY002 - that is the mistake


@mistake(
    "vat_perturbation: seeds the framework's generator",
    "torch.manual_seed, tf.random.set_seed for a random start",
    claims=PURE,
    impossible=NO_GENERATOR,
)
def seeds_framework(m, bridge):
    return before(m, "vat_perturbation", lambda: state.module(bridge).seed(0))


@mistake(
    "gaussian: seeds the framework's generator",
    "torch.manual_seed(seed); torch.randn(shape): the numbers are right",
    claims=PURE,
    impossible=NO_GENERATOR,
)
def sampler_seeds_framework(m, bridge):
    def gaussian(seed, shape, *, like):
        state.module(bridge).seed(seed)
        return m.gaussian(seed, shape, like=like)

    return {"gaussian": gaussian}


@mistake("noisy_loss: draws from NumPy's generator", "an np.random.randn that is used no more", claims=PURE)
def draws_from_numpy(m, bridge):
    return after(m, "noisy_loss", lambda: np.random.standard_normal())  # noqa: NPY002


@mistake("hvp: the default dtype is changed", "float64 for a second derivative, and not set back", claims=PURE)
def dtype_left(m, bridge):
    names = {
        "torch": "PyTorch's default dtype",
        "jax": "JAX's configuration",
        "tensorflow": "Keras's default dtype",
    }
    return after(m, "hvp", lambda: set_wrongly(bridge, names))


@mistake(
    "laplacian: deterministic algorithms are switched on",
    "torch.use_deterministic_algorithms(True), tf.config.experimental.enable_op_determinism() in a function",
    claims=PURE,
    impossible={"jax": "it has no such flag"},
)
def deterministic_left(m, bridge):
    names = {
        "torch": "PyTorch's deterministic algorithms",
        "tensorflow": "TensorFlow's deterministic operations",
    }
    return after(m, "laplacian", lambda: set_wrongly(bridge, names))


@mistake(
    "spectral_norm: the number of threads is changed",
    "torch.set_num_threads(1) for small matrices",
    claims=PURE,
    impossible={
        "jax": "its threads are the cores that the process may use when it starts",
        "tensorflow": "its threads cannot be changed once it has started",
    },
)
def threads_left(m, bridge):
    return after(m, "spectral_norm", lambda: set_wrongly(bridge, {"torch": "PyTorch's number of threads"}))


@mistake(
    "input_gradient_penalty: grad mode is left off",
    "torch.set_grad_enabled(False) as a function in the place of a with",
    claims=PURE,
    impossible={
        "jax": "it has no such mode: gradients are transformations",
        "tensorflow": "it has no such mode: gradients are what a tape records",
    },
)
def grad_mode_left(m, bridge):
    return after(m, "input_gradient_penalty", lambda: set_wrongly(bridge, {"torch": "PyTorch's grad mode"}))


@mistake(
    "lipschitz_bound: the precision of products is changed",
    "torch.set_float32_matmul_precision('medium'), for speed",
    claims=PURE,
)
def precision_left(m, bridge):
    names = {
        "torch": "PyTorch's float32 matmul precision",
        "jax": "JAX's configuration",
        "tensorflow": "TensorFlow's use of TensorFloat-32",
    }
    low = {"jax_default_matmul_precision": "bfloat16"}
    return after(m, "lipschitz_bound", lambda: set_wrongly(bridge, names, jax=low))


@mistake("kl_divergence: warnings are silenced", "warnings.simplefilter('ignore') around a logarithm", claims=PURE)
def warnings_left(m, bridge):
    return after(m, "kl_divergence", lambda: warnings.simplefilter("ignore"))


@mistake("entropy: NumPy's errors are silenced", "np.seterr(all='ignore') in the place of np.errstate", claims=PURE)
def errors_left(m, bridge):
    return after(m, "entropy", lambda: np.seterr(all="ignore"))


@mistake("dropout_loss: the environment is changed", "os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3' in it", claims=PURE)
def environment_left(m, bridge):
    return after(m, "dropout_loss", lambda: os.environ.update(EQUIREG_SILENT="1"))


@mistake(
    "weight_noise: the recursion limit is raised", "sys.setrecursionlimit(10**4) for nested parameters", claims=PURE
)
def recursion_left(m, bridge):
    return after(m, "weight_noise", lambda: sys.setrecursionlimit(10_000))
