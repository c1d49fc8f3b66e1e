"""A file with some of the contract's functions: imported within a time limit, its signatures held to the contract's.

Whatever is wrong with the file is a Complaint: one sentence for the person who wrote it. A file may say what it does
not offer: `DTYPES = ("float32",)`, `GRADIENTS = False`, `TRACED = False`.
"""

import difflib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from inspect import Parameter
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from equivalence.foreign.limit import Overtime, limited
from equivalence.foreign.ways import may_differ, other_defaults, told, written
from equivalence.measure import FULL, ROUNDING_UNIT
from equivalence.protocol import Complaint
from impls.contract import MODULES

Function = Callable[..., Any]
Parameters = Mapping[str, Parameter]
EMPTY = Parameter.empty
MODULE = "own_implementation"  # whatever the file is called: torch.py must not take the framework's place


def stubs() -> dict[str, FunctionType]:
    """The contract's functions by name, file after file."""
    modules = [importlib.import_module(f"impls.contract.{module}") for module in MODULES]
    return {
        name: stub
        for module in modules
        for name, stub in vars(module).items()
        if isinstance(stub, FunctionType) and stub.__module__ == module.__name__
    }


@dataclass(frozen=True)
class Scope:
    """What a file offers: its functions' dtypes, whether results can be differentiated, whether they can be traced."""

    dtypes: tuple[str, ...] = FULL  # half precision where the file says so
    gradients: bool = True
    traced: bool = True


@dataclass(frozen=True)
class File:
    """The contract's functions that a file has, and what it says of them."""

    path: str
    functions: dict[str, Function]
    scope: Scope

    @property
    def offered(self) -> dict[str, Any]:
        """The same in words."""
        return {
            "functions": list(self.functions),
            "dtypes": self.scope.dtypes,
            "gradients": self.scope.gradients,
            "traced": self.scope.traced,
            "defaults": [
                told(name, own, stubs()[name], written(self.path)) for name, own in self.defaults.items() if own
            ],
        }

    @property
    def defaults(self) -> dict[str, dict[str, Any]]:
        """Each function's own defaults of options that choose a way."""
        return {name: other_defaults(function, stubs()[name]) for name, function in self.functions.items()}


def load(path: str, seconds: float) -> File:
    """The contract's functions that the file has, less those that it only imports from the reference."""
    module = imported(path, seconds)
    found = {name: getattr(module, name) for name in stubs() if hasattr(module, name)}
    own = {name: function for name, function in found.items() if not is_reference(function)}
    if not own:
        raise Complaint(f"defines no function of the contract: {nearest(module)}")
    problems = [problem for name, function in own.items() for problem in [signature_problem(name, function)] if problem]
    if problems:
        raise Complaint("; ".join(problems))
    return File(path, own, scope(module))


def scope(module: Any) -> Scope:
    """What the file says of itself."""
    dtypes = getattr(module, "DTYPES", Scope.dtypes)
    if not isinstance(dtypes, tuple | list) or not dtypes or not set(map(str, dtypes)) <= ROUNDING_UNIT.keys():
        raise Complaint(f"DTYPES is {dtypes!r}, expected a tuple of some of {', '.join(map(repr, ROUNDING_UNIT))}")
    return Scope(tuple(map(str, dtypes)), flag(module, "GRADIENTS"), flag(module, "TRACED"))


def flag(module: Any, name: str) -> bool:
    """What the file says that it can or cannot; it can where it says nothing."""
    value = getattr(module, name, True)
    if not isinstance(value, bool):
        raise Complaint(f"{name} is {value!r}, expected True or False")
    return value


def is_reference(function: Any) -> bool:
    """Whether it is one of the reference's own; not where something was made of one, under its name."""
    owner = getattr(function, "__module__", "") or ""
    if not owner.startswith("impls."):
        return False
    return getattr(sys.modules.get(owner), getattr(function, "__name__", ""), None) is function


def imported(path: str, seconds: float) -> ModuleType:
    """The file as a module; its neighbours can be imported by it, after everything that is installed."""
    spec = importlib.util.spec_from_file_location(MODULE, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module
    sys.path.append(str(Path(path).parent))
    sys.dont_write_bytecode = True  # nothing is left beside the file
    try:
        with limited(seconds):
            spec.loader.exec_module(module)
    except Overtime as error:
        raise Complaint(f"{error} while it was imported{line(error, path)}") from None
    except SystemExit as error:
        raise Complaint(f"calls exit({exit_code(error)}) when it is imported{line(error, path)}") from None
    except BaseException as error:
        raise Complaint(f"cannot be imported: {brief(error)}{line(error, path)}") from None
    return module


def exit_code(error: SystemExit) -> str:
    """What was passed to exit()."""
    return "" if error.code is None else repr(error.code)


def brief(error: BaseException) -> str:
    """The error's type and the first line of what it says: some libraries print whole graphs."""
    first = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {first:.200}" if first else type(error).__name__


def line(error: BaseException, path: str) -> str:
    """The line of the file that an error came through last."""
    numbers = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return f" (line {numbers[-1]})" if numbers else ""


def stated(error: BaseException, path: str) -> bool:
    """Whether the file itself raised an error: not a library that it calls, which means something else by it."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and frames[-1].filename == path


def nearest(module: ModuleType) -> str:
    """The names that the file has, each with the nearest one of the contract."""
    names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
    own = [name for name in names if getattr(getattr(module, name), "__module__", None) == MODULE]
    said = [
        f"{name} (nearest: {near[0]})" if (near := difflib.get_close_matches(name, stubs(), 1, 0.5)) else name
        for name in own
    ]
    return f"it has {', '.join(said) or 'no function'}, the contract {', '.join(stubs())}"


def signature_problem(name: str, function: Any) -> str:
    """What in a signature refuses or misreads a call that the contract allows; nothing where all are taken."""
    if not callable(function):
        return f"{name}: got a {type(function).__name__}, expected a function"
    try:
        theirs = inspect.signature(function)
    except (TypeError, ValueError):  # compiled code need not tell
        return ""
    wanted = inspect.signature(stubs()[name])
    if hasattr(function, "__wrapped__"):
        theirs = by_place(theirs, wanted)
    problems = list(by_name(theirs.parameters, wanted.parameters))
    problems = problems or list(by_position(theirs.parameters, wanted.parameters))
    if not problems:
        return ""
    return f"{name}{bare(theirs)}: {', '.join(problems)}; expected {name}{bare(wanted)}"


def by_place(theirs: inspect.Signature, wanted: inspect.Signature) -> inspect.Signature:
    """The signature with the contract's names for arguments that are passed in their places.

    What a transformation makes, `jax.vmap` say, tells the signature of the function that it was made of: of one sample,
    whose arguments may well have names of their own.
    """
    asked = [name for name, p in wanted.parameters.items() if p.kind is Parameter.POSITIONAL_OR_KEYWORD]
    mine = [p for p in theirs.parameters.values() if p.kind is Parameter.POSITIONAL_OR_KEYWORD]
    if len(mine) < len(asked) or set(theirs.parameters) & set(asked):  # the contract's names, in whichever order
        return theirs
    named = [p.replace(name=name) for p, name in zip(mine, asked, strict=False)]
    return theirs.replace(parameters=[*named, *list(theirs.parameters.values())[len(named) :]])


def bare(signature: inspect.Signature) -> str:
    """A signature without annotations."""
    parameters = [parameter.replace(annotation=EMPTY) for parameter in signature.parameters.values()]
    return str(inspect.Signature(parameters))


def by_name(theirs: Parameters, wanted: Parameters) -> Iterator[str]:
    """What keeps the contract's parameters from being passed by name, or left out. **kwargs takes any of them."""
    rest = {parameter.kind for parameter in theirs.values()} & {Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD}
    named = {name: parameter for name, parameter in theirs.items() if parameter.kind not in rest}
    for name, asked in wanted.items():
        mine = named.get(name)
        if mine is None:
            if Parameter.VAR_KEYWORD not in rest:
                yield f"{name!r} is missing"
        elif mine.kind is Parameter.POSITIONAL_ONLY:
            yield f"{name!r} cannot be passed by name"
        elif asked.default is not EMPTY and mine.default is EMPTY:
            yield f"{name!r} has no default, the contract's is {asked.default!r}"
        elif asked.default is not EMPTY and not (
            same(mine.default, asked.default) or may_differ(mine.default, asked, name)
        ):
            yield f"the default of {name!r} is {mine.default!r}, the contract's is {asked.default!r}"
    yield from (f"{name!r} is required" for name, p in named.items() if name not in wanted and p.default is EMPTY)


def same(default: Any, contract: Any) -> bool:
    """Equal; what a default is compared with is a number, a word or None."""
    return default is contract or (isinstance(default, int | float | str) and default == contract)


def by_position(theirs: Parameters, wanted: Parameters) -> Iterator[str]:
    """What keeps the contract's first parameters, the arrays and closures, from being passed in their places."""
    mine = [name for name, p in theirs.items() if p.kind is Parameter.POSITIONAL_OR_KEYWORD]
    places = [name for name, p in wanted.items() if p.kind is Parameter.POSITIONAL_OR_KEYWORD]
    for place, name in enumerate(places):
        if place < len(mine) and mine[place] != name:
            yield f"argument {place + 1} is {mine[place]!r}, not {name!r}"
        if place >= len(mine) and not any(p.kind is Parameter.VAR_POSITIONAL for p in theirs.values()):
            yield f"{name!r} cannot be passed by position"
