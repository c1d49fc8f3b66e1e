"""The passes of one step: all begin with the same buffers and random state, and the first alone moves them.

Later passes have copies of the buffers, so that nothing which the graph of a pass has saved is written to afterwards.
Activation checkpointing computes parts of a pass a second time, whenever its graph is differentiated: then, too, the
part is given what the pass was given.
"""

import contextlib
import functools
import random
from collections import OrderedDict

import numpy as np
import torch
from torch.nn.utils import parametrize
from torch.utils import checkpoint

from impls.torch.sites import is_compiled

BACKWARD_HOOKS = ("_backward_hooks", "_backward_pre_hooks")  # as nn.Module names them


class State:
    """A model's buffers and the random state of its devices at one moment.

    others: whether the generators of Python and NumPy, which few models draw from, are meant beside PyTorch's.
    """

    def __init__(self, model, *, others=False):
        self.modules = list(model.modules())
        self.devices = set()
        if torch.cuda.is_initialized():
            self.devices = {parameter.device for parameter in model.parameters() if parameter.is_cuda}
        self.draws = Draws(self.devices, others)
        self.buffers = [
            (module._buffers, name, buffer, None if buffer is None else buffer.detach().clone())
            for module in self.modules
            for name, buffer in module._buffers.items()
        ]

    def restore(self):
        self.draws.restore()
        for owner, name, buffer, values in self.buffers:
            if buffer is not None:
                buffer.data.copy_(values)  # `.data`: graphs that saved the buffer as it was are to go backward yet
            owner[name] = buffer

    @contextlib.contextmanager
    def copies(self, traced=None):
        """Within, the model computes with copies of the buffers as they were, which may be made part of a trace."""
        now = [(owner, name, owner.get(name)) for owner, name, *_ in self.buffers]
        try:
            for owner, name, _, values in self.buffers:
                owner[name] = None if values is None else copy_of(values, traced)
            yield
        finally:
            for owner, name, buffer in now:
                owner[name] = buffer


def copy_of(values, traced):
    """A copy; in a transform of torch.func one that may be written to, since it depends on what is transformed."""
    return values.clone() if traced is None or not values.is_floating_point() else values + 0 * traced.sum()


class Draws:
    """Random states."""

    def __init__(self, devices, others):
        self.cpu, self.cuda = torch.get_rng_state(), {device: torch.cuda.get_rng_state(device) for device in devices}
        self.others = (random.getstate(), np.random.get_state()) if others else None  # noqa: NPY002 - theirs, not ours

    def restore(self):
        torch.set_rng_state(self.cpu)
        for device, state in self.cuda.items():
            torch.cuda.set_rng_state(state, device)
        if self.others is not None:
            random.setstate(self.others[0])
            np.random.set_state(self.others[1])  # noqa: NPY002

    def differ_in_others(self, later):
        """Whether Python's or NumPy's generator was drawn from between two states."""
        (python, numpy), (python_then, numpy_then) = self.others, later.others
        return python != python_then or not all(map(np.array_equal, numpy, numpy_then))


@contextlib.contextmanager
def undone_on_failure(state):
    try:
        yield state
    except BaseException:
        state.restore()
        raise


class Passes:
    """The passes through one model in one step, from a state on."""

    def __init__(self, model, start):
        self.model, self.start, self.end = model, start, None
        self.is_compiled = any(map(is_compiled, start.modules))
        self.hooked = [module for module in start.modules if any(backward_hooks(module))]

    @contextlib.contextmanager
    def begin(self, shifts, *, parameters=True, traced=None):
        """One pass, with something added at the sites; `parameters=False` where it is not differentiated in them."""
        later = self.end is not None
        if later:
            self.start.draws.restore()

        @contextlib.contextmanager
        def surroundings(again):
            with contextlib.ExitStack() as stack:
                if later:
                    stack.enter_context(self.start.copies(traced))
                if not parameters and self.is_compiled:
                    stack.enter_context(detached(self.model))
                if not parameters and self.hooked:
                    stack.enter_context(unhooked(self.hooked))
                for shift in shifts:
                    stack.enter_context(shift.site.apply(self.model, shift, again=again))
                yield

        same = later or any(shift.r is not None for shift in shifts)
        with (
            checkpoints(lambda: surroundings(again=True)) if same else checkpoints(),
            surroundings(again=False),
            computed_anew(),
        ):
            yield
        if not later:
            self.end = Draws(self.start.devices, self.start.draws.others is not None)

    def finish(self):
        """Leave the random state as the first pass did."""
        self.end.restore()

    def drew_elsewhere(self):
        """Whether a pass draws from Python's or NumPy's generator, where the state has them."""
        return self.start.draws.others is not None and self.start.draws.differ_in_others(self.end)

    def keep_statistics(self):
        """Whether a pass moves buffers."""
        return any(module.training for module in self.start.modules if module._buffers)


@contextlib.contextmanager
def computed_anew():
    """Within, `parametrize.cached()` serves nothing of another pass, which had another table, or no gradients."""
    kept = parametrize._cache  # PyTorch has no public place for it
    parametrize._cache = {}
    try:
        yield
    finally:
        parametrize._cache = kept


@contextlib.contextmanager
def detached(model):
    """Within, parameters have no gradient: the backward pass of a compiled model computes all that it may."""
    held = [
        (module._parameters, name, parameter)
        for module in model.modules()
        for name, parameter in module._parameters.items()
        if parameter is not None
    ]
    without = {parameter: parameter.detach() for _, _, parameter in held}  # one a parameter: what is tied stays so
    try:
        for owner, name, parameter in held:
            owner[name] = without[parameter]
        yield
    finally:
        for owner, name, parameter in held:
            owner[name] = parameter


def backward_hooks(module):
    """The hooks of a module that it puts into the graph of each pass."""
    return [getattr(module, kind, None) for kind in BACKWARD_HOOKS]


@contextlib.contextmanager
def unhooked(modules):
    """Within, modules put no hooks into the graph: an attack's gradient is no backward pass that they are to see."""
    before = [(module, backward_hooks(module)) for module in modules]
    try:
        for module in modules:
            for kind in BACKWARD_HOOKS:
                setattr(module, kind, OrderedDict())
        yield
    finally:
        for module, kept in before:
            for kind, hooks in zip(BACKWARD_HOOKS, kept, strict=True):
                setattr(module, kind, hooks)


@contextlib.contextmanager
def checkpoints(surroundings=contextlib.nullcontext):
    """Within, activation checkpointing remembers in which surroundings a part of the model is to be computed again.

    A caller differentiates an objective when its passes are long over: without this, the part would be computed again
    from the clean table, silently. PyTorch offers no public place for it; its own frame is extended for the time.
    """
    before = checkpoint._CheckpointFrame, checkpoint.CheckpointFunction
    checkpoint._CheckpointFrame, checkpoint.CheckpointFunction = functools.partial(Frame, surroundings), Reentrant
    try:
        yield
    finally:
        checkpoint._CheckpointFrame, checkpoint.CheckpointFunction = before


class Frame(checkpoint._CheckpointFrame):
    """One call of `checkpoint`, which knows how to compute its part again."""

    def __init__(self, surroundings, recompute_fn, *rest):
        def recompute(*inputs):
            with surroundings():
                recompute_fn(*inputs)

        super().__init__(recompute, *rest)


class Reentrant:
    """Take the place of reentrant checkpointing, which knows no gradient of anything but parameters."""

    @staticmethod
    def apply(*_):
        raise RuntimeError(
            "model: got reentrant activation checkpointing, which has no gradient of a perturbation; expected"
            " checkpoint(..., use_reentrant=False). With transformers:"
            ' gradient_checkpointing_kwargs={"use_reentrant": False}'
        )
