"""Options that choose the way to a number and not the number: there a file may have other defaults than the contract.

Which way is best is found anew from time to time, and a right file does not become wrong by it: `how` names a way to a
derivative, and `xi` the step of a difference. A file's function is called so that it gives the number which the
contract's default gives; where it cannot, the call is not covered.
"""

import ast
import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from equivalence.protocol import NotCovered

WAYS = ("how", "xi")
DIFFERENCE = "finite_difference"
# Files that differentiate the divergence twice were written before there was the Fisher metric, which is the same at 0.
# In single precision it is not where predictions hardly change: what is differentiated twice is then below all numbers.
SAME_NUMBER = {"fisher": "exact"}


def other_defaults(function: Callable[..., Any], stub: Callable[..., Any]) -> dict[str, Any]:
    """The file's defaults that differ from the contract's, where they may."""
    try:
        theirs = inspect.signature(function).parameters
    except (TypeError, ValueError):  # compiled code need not tell
        return {}
    wanted = inspect.signature(stub).parameters
    return {
        name: theirs[name].default
        for name in WAYS
        if name in theirs and name in wanted and may_differ(theirs[name].default, wanted[name], name)
    }


def may_differ(default: Any, asked: inspect.Parameter, name: str) -> bool:
    """Whether a default is another one of the contract's ways, or a step where the contract leaves it to the method."""
    if name not in WAYS:
        return False
    if get_origin(asked.annotation) is Literal:
        return default != asked.default and default in get_args(asked.annotation)
    number = isinstance(default, int | float) and not isinstance(default, bool)
    return asked.default is None and number and default > 0


@functools.cache
def written(path: str) -> frozenset[str]:
    """The ways for which another may stand, of those that the file's code names: these it has after all."""
    constants = (node.value for node in ast.walk(ast.parse(Path(path).read_bytes())) if isinstance(node, ast.Constant))
    return frozenset(SAME_NUMBER) & set(constants)


def as_known(
    name: str,
    own: Mapping[str, Any],
    given: Mapping[str, Any],
    options: Mapping[str, Any],
    double: bool = True,
    has: Collection[str] = (),
) -> dict[str, Any]:
    """The options of one call as a file with defaults of its own knows them; NotCovered where it has no such number.

    `given` are all arguments of the call, the contract's defaults among them, `options` those that it named; `double`
    says whether its arrays are in float64, and `has` are ways that the file has and that no other stands for.
    """
    known = dict(options)
    if "how" in own and given["how"] != own["how"]:
        known["how"] = given["how"] if given["how"] in has else SAME_NUMBER.get(given["how"], given["how"])
        if known["how"] != given["how"] and not double:
            raise NotCovered(f"{name}: how={given['how']!r} in single precision: the file's default is {own['how']!r}")
    if "xi" in own and given["xi"] is None:
        if given["how"] == DIFFERENCE:
            raise NotCovered(f"{name}: xi=None: the file's default is {own['xi']!r}")
        known.pop("xi", None)
    return known


def told(name: str, own: Mapping[str, Any], stub: Callable[..., Any], has: Collection[str] = ()) -> str:
    """What a person should know of a function's own defaults."""
    wanted = inspect.signature(stub).parameters
    differ = [
        f"the default of {key!r} is {value!r}, the contract's is {wanted[key].default!r}" for key, value in own.items()
    ]
    if (contract := wanted["how"].default if "how" in own else None) in SAME_NUMBER.keys() - has:
        differ.append(
            f"where the contract's way is {contract!r} it is called with how={SAME_NUMBER[contract]!r}, the same number"
        )
    return f"{name}: {'; '.join(differ)}"
