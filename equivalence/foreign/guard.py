"""A foreign function, watched: whatever it does that a method must not do becomes a sentence that names it.

It is called with the framework's arrays exactly as the reference is. While a step is traced, arrays have no values:
then shapes and dtypes are looked at alone.
"""

import contextlib
import inspect
import io
from collections.abc import Iterator, Mapping
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from equivalence.alternatives import loops_over_draws
from equivalence.foreign.journal import Journal, ended_in
from equivalence.foreign.limit import Overtime, limited
from equivalence.foreign.loading import Function, Scope, brief, exit_code, line, load, stated, stubs
from equivalence.foreign.returns import Returned, fits, shape_of
from equivalence.foreign.state import left_alone, put_back
from equivalence.foreign.ways import as_known, other_defaults, written
from equivalence.protocol import Complaint, NotCovered
from equivalence.state import asides
from impls.frameworks import DESCRIBED

WORDS = {"numpy": "a NumPy array"} | {name: each.words for name, each in DESCRIBED.items()}
# PyTorch's code is often run as it is, where it may look at values; the other frameworks' is traced by whoever uses it.
UNTRACEABLE = ": the step was traced; TRACED = False says that the file's functions are never traced or compiled"


def guarded(
    methods: SimpleNamespace, bridge: ModuleType, path: str, importing: float, seconds: float, journal: str
) -> tuple[SimpleNamespace, dict[str, Any]]:
    """The methods, those that the file has in the place of the reference; and what the file offers.

    `importing` and `seconds` are what an import and a call may take. What ended a process is not called again.

    Where sweeps are not compiled, draws are looped over: no map over all of them, as the reference's, takes every
    function that the framework runs, and a loss of the file is called from there.
    """
    written = Journal(journal)
    dead = set(ended_in(journal).values())
    with put_back(bridge) as kept:
        file = load(path, importing)
    guards = {
        name: Guard(name, function, getattr(methods, name), path, bridge, written, seconds, file.scope)
        for name, function in file.functions.items()
    }
    for name in dead & guards.keys():
        guards[name].given_up = f"{name} is not called again: it ended its process, or had to be ended with it"
    loops = loops_over_draws(methods, bridge) if bridge.MODES[0] == bridge.SWEEP_MODE else {}
    return SimpleNamespace(**(vars(methods) | loops | guards)), file.offered | {"changes": str(kept)}


def asked_about(methods: SimpleNamespace) -> set[str]:
    """The names of the methods that someone else's file replaces; of all methods where there is no such file.

    A claim that looks at each method by itself says nothing about a file by looking at the reference's.
    """
    return {name for name, method in vars(methods).items() if isinstance(method, Guard)} or set(vars(methods))


class Guard:
    """Calls a function under the contract's name; a Complaint says what it did wrong."""

    def __init__(
        self,
        name: str,
        function: Function,
        reference: Function,
        path: str,
        bridge: ModuleType,
        journal: Journal,
        seconds: float,
        scope: Scope,
    ):
        self.name, self.function, self.reference, self.path = name, function, reference, path
        self.bridge, self.journal, self.seconds, self.scope = bridge, journal, seconds, scope
        self.stub = stubs()[name]
        self.signature = inspect.signature(self.stub)
        self.defaults = other_defaults(function, self.stub)
        self.given_up = ""  # why it is not called again

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.given_up:
            raise Complaint(self.given_up)
        given = self.signature.bind(*args, **kwargs)
        given.apply_defaults()
        like = self.like(given.arguments)
        if not self.scope.traced and self.is_traced(like):
            raise NotCovered(f"{self.name}: TRACED is False")
        dtype = str(like.dtype)
        if not any(offered in dtype for offered in self.scope.dtypes):
            raise NotCovered(f"{self.name}: DTYPES is {self.scope.dtypes!r}")
        returned = Returned(self.signature, given.arguments, self.bridge)
        before = Snapshot(given.arguments)
        known = as_known(self.name, self.defaults, given.arguments, kwargs, "64" in dtype, written(self.path))
        heard = tuple(map(returned.heard, args)), {name: returned.heard(value) for name, value in known.items()}
        result = self.run(*heard, like)
        if changed := before.restore():
            raise Complaint(f"{self.name} changed its argument {' and '.join(changed)} in place")
        self.check(result, given.arguments, returned.shapes())
        self.journal.called(self.name)
        return result

    def is_traced(self, array: Any) -> bool:
        """Whether an array has no values yet."""
        return self.bridge.finite(array) is None

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any], like: Any) -> Any:
        """Call it; nothing that it raises ends more than the call, and where `like` is traced that is said of it."""
        printed = io.StringIO()
        try:
            with (
                self.journal.entered(self.name),
                left_alone(self.name, self.bridge),
                contextlib.redirect_stdout(printed),
                limited(self.seconds),
                asides(self.bridge) as said,
            ):
                result = self.function(*args, **kwargs)
            for aside in said:
                self.journal.noted(self.name, aside)
        except Complaint:  # of another foreign function that it called
            raise
        except Overtime as error:
            self.given_up = f"{self.name} is not called again: it {error}"
            raise Complaint(f"{self.name} {error}{line(error, self.path)}") from None
        except SystemExit as error:
            raise Complaint(f"{self.name} called exit({exit_code(error)}){line(error, self.path)}") from None
        except BaseException as error:  # GeneratorExit and CancelledError are no Exception, and neither need theirs be
            kind = NotCovered if isinstance(error, NotImplementedError) and stated(error, self.path) else Complaint
            hint = UNTRACEABLE if self.framework == "torch" and self.is_traced(like) else ""
            raise kind(f"{self.name} raised {brief(error)}{line(error, self.path)}{hint}") from error
        finally:
            if text := printed.getvalue().strip():
                self.journal.printed(self.name, text)
        return result

    def check(self, result: Any, given: Mapping[str, Any], shapes: list[tuple[Any, ...]]) -> None:
        """The framework's arrays, as many as the contract says, of its shapes, in the dtype of the arguments."""
        count = len(shapes)
        if count > 1 and not (isinstance(result, tuple | list) and len(result) == count):
            raise Complaint(f"{self.name} returned {described(result)}, expected a tuple of {count} arrays")
        for array, expected in zip(result if count > 1 else [result], shapes, strict=True):
            self.check_array(array, expected, self.like(given))

    def like(self, given: Mapping[str, Any]) -> Any:
        """The argument whose dtype results have: the one that the contract calls so, or else the first."""
        if "like" in given:
            return given["like"]
        return next(array for _, array in leaves(given) if self.is_own(array) and "float" in str(array.dtype))

    def is_own(self, array: Any) -> bool:
        """Whether an array is the framework's."""
        return package(array) == self.framework

    @property
    def framework(self) -> str:
        return self.bridge.__name__.rpartition(".")[2]

    def check_array(self, array: Any, expected: tuple[Any, ...], like: Any) -> None:
        """One array of the result."""
        if not self.is_own(array) or not hasattr(array, "dtype"):
            raise Complaint(f"{self.name} returned {described(array)}, expected {WORDS[self.framework]}")
        if array.dtype != like.dtype:
            raise Complaint(f"{self.name} returned {array.dtype}, expected {like.dtype} as in its arguments")
        if not fits(shape := shape_of(array), expected):
            raise Complaint(f"{self.name} returned shape {shape}, expected {expected}")
        if hasattr(array, "set_shape") and not any(isinstance(size, str) for size in expected):
            array.set_shape(expected)  # TensorFlow's, of a function that is traced for a batch of any size
        if self.bridge.finite(array) is False:
            raise Complaint(f"{self.name} returned NaN or infinity, expected finite numbers: its arguments are finite")


class Snapshot:
    """Copies of arguments that have values, and what dicts and lists hold: what a call changes is seen and undone."""

    def __init__(self, given: Mapping[str, Any]):
        self.holders = [(name, value, value.copy()) for name, value in given.items() if isinstance(value, dict | list)]
        self.versions = [(name, array, version(array)) for name, array in leaves(given)]
        views = [(name, memory(array)) for name, array in leaves(given)]
        self.arrays = [(name, view, view.copy()) for name, view in views if view is not None]

    def restore(self) -> list[str]:
        """The names of what is not as it was; afterwards it is."""
        changed = []
        for name, holder, before in self.holders:
            if len(holder) != len(before) or any(a is not b for a, b in zip(items(holder), items(before), strict=True)):
                changed.append(name)
                holder.clear()
                holder.update(before) if isinstance(holder, dict) else holder.extend(before)
        for name, view, numbers in self.arrays:
            if view.tobytes() != numbers.tobytes():
                changed.append(name)
                view[...] = numbers
        changed += [name for name, array, before in self.versions if version(array) != before]  # traced ones too
        return list(dict.fromkeys(changed))


def version(array: Any) -> int:
    """How often an array was changed in place, where its framework counts: PyTorch does, and only there can it be."""
    return getattr(array, "_version", 0)


def memory(array: Any) -> np.ndarray | None:
    """The memory of an array on the CPU, shared; None of one that is traced, or that cannot be changed in place.

    Not the bridge's conversion: within a transformation PyTorch's would make another traced array.
    """
    try:
        view = np.from_dlpack(array.detach() if getattr(array, "requires_grad", False) else array)
    except Exception:  # each framework refuses in its own way
        return None
    return view if view.flags.writeable else None


def items(holder: dict[str, Any] | list[Any]) -> list[Any]:
    return [*holder, *holder.values()] if isinstance(holder, dict) else holder


def leaves(given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every array among arguments, in dicts and sequences too, with the argument's name."""
    for name, value in given.items():
        nested = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
        yield from ((name, leaf) for leaf in nested if hasattr(leaf, "shape") and hasattr(leaf, "dtype"))


def package(value: Any) -> str:
    """The package that a value's type comes from."""
    root = type(value).__module__.partition(".")[0]
    return "jax" if root == "jaxlib" else root


def described(value: Any) -> str:
    """What a value is, in words."""
    if value is None:
        return "None"
    return WORDS.get(package(value), f"a {type(value).__name__}")
