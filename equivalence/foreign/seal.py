"""Whether code that is measured has replaced something that measures it: in our own modules, or in what they use.

A function of ours that returns what it is told to, a comparison that finds all numbers equal, a framework's norm that
is another: each would let a wrong file pass. What the modules hold is noted before the file is imported, and looked at
again after that and after each task. Code in one process cannot be kept from undoing even this, if that is what it was
written for; so the numbers of agreement are compared with the oracle's in the run, where the file never is.
"""

import builtins
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from types import CellType, CodeType, FunctionType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from equivalence.claim import claims
from equivalence.protocol import Complaint

Result = dict[str, Any]
OURS = ("impls", "equivalence")
ABSENT = object()
EMPTY = CellType()  # of a variable that has no value
MUTABLE = SimpleNamespace(frozen=False)
SHOWN = 3  # replaced things that are named


class Seal:
    """What our modules held when it was made, and what those modules held that ours use, as far as ours name it."""

    def __init__(self, bridge: ModuleType):
        claims()  # imports them all: what comes in later cannot be known to be whole
        self.held: list[tuple[str, Mapping[Any, Any], Any, Any]] = []  # place, where it is held, under which key, what
        self.functions: list[tuple[str, FunctionType, Any, Any, Any]] = []  # with code and defaults
        self.cells: list[tuple[str, Any, Any]] = []  # variables that functions take from around them
        self.keys: list[tuple[str, Mapping[Any, Any], set[Any]]] = []  # of modules and classes, where more would hide
        self.seen: set[int] = set()
        self.names: set[str] = set()
        self.others: list[tuple[str, Mapping[Any, Any], Any, Any]] = []  # as `held`, of what is not ours
        self.used: dict[str, ModuleType] = {"builtins": builtins}  # others' modules
        for module in [module for name, module in sys.modules.items() if name.partition(".")[0] in OURS]:
            self.held.append((f"sys.modules.{module.__name__}", sys.modules, module.__name__, module))
            self.hold_names(module.__name__, vars(module))
        array = bridge.from_numpy(np.zeros(1))
        for kind in type(array).__mro__[:-1]:
            self.note_class(kind)
        for module in list(self.used.values()):
            self.note_module(module)

    def hold_names(self, place: str, holder: Mapping[Any, Any]) -> None:
        """Note everything that a module or a class of ours holds, and that it holds no more."""
        self.keys.append((place, holder, set(holder)))
        self.hold(place, holder)

    def hold(self, place: str, holder: Mapping[Any, Any]) -> None:
        """Note everything that something of ours holds."""
        for key, value in list(holder.items()):
            if matters(key, value):
                self.held.append((f"{place}.{key}", holder, key, value))
                self.look_into(f"{place}.{key}", value)

    def look_into(self, place: str, value: Any) -> None:
        """Note what a value consists of, if it is ours, and modules of others that it stands for."""
        if id(value) in self.seen:
            return
        self.seen.add(id(value))
        if isinstance(value, ModuleType):
            if value.__name__.partition(".")[0] not in OURS:
                self.used[value.__name__] = value
        elif isinstance(value, dict):
            self.hold(place, value)
        elif isinstance(value, tuple | list):
            for number, part in enumerate(value):
                self.look_into(f"{place}[{number}]", part)
        elif isinstance(value, FunctionType) and ours(value):
            place = f"{value.__module__}.{value.__qualname__}"
            self.functions.append((place, value, value.__code__, value.__defaults__, value.__kwdefaults__))
            self.names.update(names(value.__code__))
            self.look_into(place, value.__kwdefaults__)
            for cell in value.__closure__ or ():
                if cell != EMPTY:
                    self.cells.append((place, cell, cell.cell_contents))
                    self.look_into(place, cell.cell_contents)
        elif isinstance(value, type) and ours(value):
            self.hold_names(f"{value.__module__}.{value.__qualname__}", vars(value))
        elif isinstance(value, property):
            self.look_into(place, value.fget)
        elif hasattr(value, "__wrapped__"):  # static and cached ones
            self.look_into(place, value.__wrapped__)
        elif ours(type(value)) and getattr(value, "__dataclass_params__", MUTABLE).frozen:
            self.hold(place, vars(value))

    def note_module(self, module: ModuleType) -> None:
        """Note what another's module holds under a name that ours mention, and what modules do that it so holds."""
        holder = vars(module)
        for name in self.names & holder.keys():
            value = holder[name]
            if isinstance(value, ModuleType):
                if value.__name__ not in self.used:
                    self.used[value.__name__] = value
                    self.note_module(value)
            elif callable(value):
                self.others.append((f"{module.__name__}.{name}", holder, name, value))

    def note_class(self, kind: type) -> None:
        """Note what arrays can do, and what they have not under a name that ours mention: it would hide another's."""
        place, holder = f"{kind.__module__}.{kind.__name__}", vars(kind)
        there = {name: value for name, value in holder.items() if callable(value)}
        missing = {name: ABSENT for name in self.names - holder.keys() if not name.startswith("__")}
        self.others += [(f"{place}.{name}", holder, name, value) for name, value in (there | missing).items()]

    def broken(self) -> Iterator[str]:
        """The names of what is not what it was."""
        yield from (place for place, holder, key, value in self.held if holder.get(key, ABSENT) is not value)
        for place, holder, key, value in self.others:
            if (found := holder.get(key, ABSENT)) is not value and not its_own(place, found):
                yield place
        for place, function, code, defaults, options in self.functions:
            found = function.__code__, function.__defaults__, function.__kwdefaults__
            if found[0] is not code or found[1] is not defaults or found[2] is not options:
                yield place
        yield from (place for place, cell, value in self.cells if cell == EMPTY or cell.cell_contents is not value)
        for place, holder, keys in self.keys:
            for key in holder.keys() - keys:
                if matters(key, holder[key]) and not isinstance(holder[key], ModuleType):  # imported since
                    yield f"{place}.{key}"

    def check(self, said: str) -> None:
        """Raise a Complaint that says what was replaced, after words that say by what."""
        if found := list(dict.fromkeys(self.broken())):
            more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
            raise Complaint(
                f"{said} replaces {', '.join(found[:SHOWN])}{more}: expected a file that leaves this program, and what"
                " it uses, as they are; else nothing that is measured can be believed"
            )


def sealed(bridge: ModuleType, measure: Callable[[Any], Result]) -> Callable[[Any], Result]:
    """Measure a task; what was replaced before it ends, or when the file was imported, is why it fails."""
    seal = Seal(bridge)

    def measured(task: Any) -> Result:
        try:
            return measure(task)
        finally:
            seal.check("the file")

    return measured


def matters(key: Any, value: Any) -> bool:
    """Whether what something holds is code or data; Python notes more of its own under such names."""
    special = isinstance(key, str) and key.startswith("__")
    return not special or isinstance(value, FunctionType | staticmethod | classmethod | property)


def ours(value: Any) -> bool:
    return (getattr(value, "__module__", None) or "").partition(".")[0] in OURS


def its_own(place: str, value: Any) -> bool:
    """Whether a package has put its own code in a place of its own, as PyTorch does once its compiler is imported."""
    folder = os.path.dirname(getattr(sys.modules.get(place.partition(".")[0]), "__file__", None) or "")
    code = getattr(value, "__code__", None)
    return bool(folder) and isinstance(code, CodeType) and code.co_filename.startswith(folder + os.sep)


def names(code: CodeType) -> Iterator[str]:
    """Every name that code mentions, and the code within it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names(constant)
