"""What a process has of global state, and blocks of code that must leave all of it as it was.

A setting is read before and after a block. A generator of random numbers is put into a state that nothing but this
block has had: code that seeds it is seen even where an earlier call has left the very state that the seed gives.
Frameworks have files of their own, loaded by name; importing this package imports none of them.
"""

import contextlib
import ctypes
import functools
import gc
import importlib
import inspect
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

SEEDS = random.Random()  # seeded by the system
SHOWN = 60  # characters of a value, in words
HANDLED = ("SIGINT", "SIGTERM", "SIGPIPE", "SIGFPE")  # signals that people handle


class Setting(NamedTuple):
    """A value that the whole process shares.

    Libraries set some values where they are first imported, which may be within a block (`by_imports`). `other` is a
    value that the setting could be given by mistake.
    """

    read: Callable[[], Any]
    write: Callable[[Any], object]
    other: Any
    by_imports: bool = False


Generator = Callable[[int], Callable[[], str]]
"""Begins a block, given a fresh seed; what comes back ends it, and says in words what was done, "" if nothing was."""


def directory() -> str:
    """The current directory, "" where it is gone."""
    with contextlib.suppress(FileNotFoundError):
        return os.getcwd()
    return ""


def environment() -> dict[Any, Any]:
    """The environment as the system has it: decoding it would take longer than all other settings together."""
    return dict(os.environ._data)  # type: ignore[attr-defined]


def set_environment(values: Mapping[Any, Any]) -> None:
    """Set the environment to what `environment` gave; the system's own is changed where it differs."""
    for name in environment().keys() - values.keys():
        del os.environ[os.fsdecode(name)]
    for name, value in values.items():
        os.environ[os.fsdecode(name)] = os.fsdecode(value)


def set_filters(filters: tuple[Any, ...]) -> None:
    """Set the filters of warnings; resetting them first is what makes Python forget which warnings it has shown."""
    warnings.resetwarnings()
    warnings.filters[:] = filters  # type: ignore[index]


def set_path(path: tuple[str, ...]) -> None:
    """Set where modules are looked for."""
    sys.path[:] = path


def attribute(module: Any, name: str, other: Any, **options: Any) -> Setting:
    """A setting that is a module's attribute."""
    return Setting(functools.partial(getattr, module, name), functools.partial(setattr, module, name), other, **options)


def handler(name: str) -> Setting:
    """What handles a signal; None, where that was not set from Python, cannot be set.

    It is read by the function in C: Python's, around it, looks among all constants, which takes as long as the rest.
    """
    number = getattr(signal, name)
    read = functools.partial(inspect.unwrap(signal.getsignal), int(number))
    return Setting(read, lambda how: how is None or signal.signal(number, how), int(signal.SIG_IGN))


SETTINGS = {
    "os.environ": Setting(environment, set_environment, {b"EQUIREG_OTHER": b"1"}, by_imports=True),
    "the current directory": Setting(directory, os.chdir, os.sep),
    "sys.path": Setting(lambda: tuple(sys.path), set_path, (), by_imports=True),
    "warnings.filters": Setting(lambda: tuple(warnings.filters), set_filters, (), by_imports=True),
    "warnings.showwarning": attribute(warnings, "showwarning", print, by_imports=True),
    "sys.excepthook": attribute(sys, "excepthook", print, by_imports=True),
    "sys.stderr": attribute(sys, "stderr", None),
    "the trace function": Setting(sys.gettrace, sys.settrace, lambda *event: None),
    "the recursion limit": Setting(sys.getrecursionlimit, sys.setrecursionlimit, 5000),
    "garbage collection": Setting(gc.isenabled, lambda on: gc.enable() if on else gc.disable(), False),
    "NumPy's error handling": Setting(np.geterr, lambda how: np.seterr(**how), dict.fromkeys(np.geterr(), "print")),
    "NumPy's print options": Setting(
        np.get_printoptions, lambda how: np.set_printoptions(**how), np.get_printoptions() | {"precision": 3}
    ),
} | {f"the handler of {name}": handler(name) for name in HANDLED if hasattr(signal, name)}

if hasattr(os, "sched_setaffinity"):
    SETTINGS["the cores that may be used"] = Setting(
        lambda: os.sched_getaffinity(0), lambda cores: os.sched_setaffinity(0, cores), frozenset({0})
    )


class Pair:
    """A Mersenne Twister of Python's and a twin: what draws from the one, or seeds it, brings the two out of step.

    Keeping the state and putting it back would be exact too, and take fifty times as long as a number of each.
    """

    def __init__(self, generator: Any):
        self.generator, self.twin, self.breaks = generator, random.Random(), 0

    def meet(self, seed: int) -> None:
        """Draw a number of each; where they differ, seed both and count it, for blocks within this one count too."""
        if self.generator.random() != self.twin.random():
            self.generator.seed(seed)
            self.twin.seed(seed)
            self.breaks += 1

    def stir(self, seed: int) -> Callable[[], str]:
        """Begin a block."""
        self.meet(seed)
        breaks = self.breaks

        def end() -> str:
            self.meet(seed ^ 1)
            return "" if self.breaks == breaks else "drawn from, or seeded"

        return end


class MersenneTwister(ctypes.Structure):
    """The state of NumPy's MT19937 in memory: reading it so takes a hundredth of the time of its `state`."""

    _fields_ = (("key", ctypes.c_uint32 * 624), ("position", ctypes.c_int))


def stir_numpy(seed: int) -> Callable[[], str]:
    """Put NumPy's global generator into a state that no seed gives; another one may have been set in its place."""
    generator = np.random.get_bit_generator()  # type: ignore[attr-defined]
    state = MersenneTwister.from_address(generator.ctypes.state_address)
    before = bytes(state)
    state.key[1], state.key[2] = seed & 0xFFFFFFFF, seed >> 32
    fresh = bytes(state)

    def end() -> str:
        own = np.random.get_bit_generator() is generator  # type: ignore[attr-defined]
        same = own and bytes(state) == fresh
        np.random.set_bit_generator(generator)  # type: ignore[attr-defined]
        ctypes.memmove(ctypes.addressof(state), before, len(before))
        return "" if same else "drawn from, or seeded"

    return end


GENERATORS: dict[str, Generator] = {
    "Python's random generator": Pair(random).stir,
    "NumPy's global random generator": stir_numpy,
}


def framework(bridge: ModuleType) -> str:
    """The framework's name."""
    return bridge.__name__.rpartition(".")[2]


@functools.cache
def module(bridge: ModuleType) -> ModuleType:
    """The framework's file: its settings and generators, and how people seed it, where it has something to seed."""
    return importlib.import_module(f"{__name__}.{framework(bridge)}")


def asides(bridge: ModuleType) -> contextlib.AbstractContextManager[list[str]]:
    """A block after which the list says what its code did that is no mistake, and should be known all the same."""
    watch = getattr(module(bridge), "asides", None)
    return watch() if watch else contextlib.nullcontext([])


@functools.cache
def settings(bridge: ModuleType) -> dict[str, Setting]:
    """The process's settings and the framework's, by name."""
    return SETTINGS | module(bridge).SETTINGS


@functools.cache
def generators(bridge: ModuleType) -> dict[str, Generator]:
    """The process's generators and the framework's, by name."""
    return GENERATORS | module(bridge).GENERATORS


def read(bridge: ModuleType) -> list[Any]:
    """The values of all settings."""
    return [setting.read() for setting in settings(bridge).values()]


def restore(bridge: ModuleType, before: list[Any]) -> dict[str, tuple[Any, Any]]:
    """Set whatever has another value than before, and return those values, before and after, by the setting's name."""
    after = read(bridge)
    if after == before:
        return {}
    changed = {}
    for (name, setting), was, found in zip(settings(bridge).items(), before, after, strict=True):
        if found != was:
            setting.write(was)
            changed[name] = (was, found)
    return changed


class Kept:
    """A block of code that begins with generators in a fresh state, and after which settings are as they were.

    Then `changes` says by name what the block did to which of them. What it imports for the first time may set some.
    """

    def __init__(self, bridge: ModuleType):
        self.bridge, self.changes = bridge, dict[str, str]()

    def __enter__(self) -> "Kept":
        self.modules, self.before = len(sys.modules), read(self.bridge)
        self.ends = [stir(SEEDS.getrandbits(63)) for stir in generators(self.bridge).values()]
        return self

    def __exit__(self, *exception: object) -> None:
        for name, end in zip(generators(self.bridge), self.ends, strict=True):
            if said := end():
                self.changes[name] = said
        imported = len(sys.modules) > self.modules
        for name, (was, found) in restore(self.bridge, self.before).items():
            if not (imported and settings(self.bridge)[name].by_imports):
                self.changes[name] = difference(was, found)

    def __str__(self) -> str:
        """What was changed, in words."""
        return ", ".join(f"{name} ({said})" for name, said in self.changes.items())


def difference(before: Any, after: Any) -> str:
    """Tell from what to what a value was changed; of many values, those that were."""
    if isinstance(before, dict) and isinstance(after, dict):
        names = [name for name in before | after if before.get(name) != after.get(name)]
        return ", ".join(f"{shown(name)}: {difference(before.get(name), after.get(name))}" for name in names)
    if isinstance(before, tuple) and isinstance(after, tuple):
        gone, new = [each for each in before if each not in after], [each for each in after if each not in before]
        parts = [f"{word} {shown(each[0])}" for word, each in (("without", gone), ("with", new)) if each]
        return " and ".join(parts) or "in another order"
    return f"from {shown(before)} to {shown(after)}"


def shown(value: Any) -> str:
    """A value in few characters."""
    said = str(os.fsdecode(value) if isinstance(value, bytes) else value if isinstance(value, str) else repr(value))
    return said if len(said) <= SHOWN else f"{said[:SHOWN]}…"
