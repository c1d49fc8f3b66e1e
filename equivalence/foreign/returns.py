"""What one call of a contract's function returns, read off the stub's annotations: how many arrays, of which shapes."""

import functools
import inspect
import types
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin

from impls.checks import Call, rule
from impls.contract.types import Returns

Size = int | None  # None where a framework does not know it yet: within a tf.function, say


def letters(annotation: Any, given: Mapping[str, Any]) -> tuple[str, ...]:
    """The shapes of what comes back, in the contract's letters; more than one stand for a tuple of arrays.

    Where the contract says `A | tuple[A, B]`, the options whose names begin with `with_` decide.
    """
    if get_origin(annotation) in (Union, types.UnionType):
        pair = any(wanted for name, wanted in given.items() if name.startswith("with_"))
        annotation = next(part for part in get_args(annotation) if (get_origin(part) is tuple) == pair)
    parts = get_args(annotation) if get_origin(annotation) is tuple else (annotation,)
    return tuple(rule(part).sizes for part in parts)


def shape_of(array: Any) -> tuple[Size, ...] | None:
    """An array's shape; None where not even its number of axes is known."""
    try:
        return tuple(array.shape)
    except ValueError:  # TensorFlow's, of an unknown rank
        return None


class Returned:
    """The shapes that one call must return; what its arguments do not tell is learned from the closures it calls."""

    def __init__(self, signature: inspect.Signature, given: Mapping[str, Any], bridge: types.ModuleType):
        self.letters = letters(signature.return_annotation, given)
        self.call = Call(dict(given), bridge)
        if "shape" in given:
            self.call.sizes["*shape"] = tuple(given["shape"])
        for name, value in given.items():
            self.call.check(name, value, rule(signature.parameters[name].annotation))
        wanted = {name: rule(parameter.annotation) for name, parameter in signature.parameters.items()}
        self.closures = {id(given[name]): asked.sizes for name, asked in wanted.items() if isinstance(asked, Returns)}

    def heard(self, argument: Any) -> Any:
        """The argument; a closure, if it may tell a size that no argument has, so that it is heard when it returns."""
        sizes = self.closures.get(id(argument))
        if sizes is None or not self.unknown(sizes):
            return argument

        @functools.wraps(argument)
        def closure(*arrays: Any) -> Any:
            result = argument(*arrays)
            self.learn(sizes, shape_of(result) if hasattr(result, "shape") else None)
            return result

        return closure

    def unknown(self, sizes: str) -> bool:
        return any(letter not in self.call.sizes for letter in sizes.split())

    def learn(self, sizes: str, shape: tuple[Size, ...] | None) -> None:
        for letter, size in zip(sizes.split(), shape or (), strict=False):
            if size is not None:
                self.call.sizes.setdefault(letter, size)

    def shapes(self) -> list[tuple[Any, ...]]:
        """Map each array to its sizes, as far as they are known; a letter stands for a size that is not."""
        return [tuple(size for letter in each.split() for size in self.call.known(letter)) for each in self.letters]


def fits(shape: tuple[Size, ...] | None, expected: tuple[Any, ...]) -> bool:
    """Whether a shape is the expected one, as far as both are known."""
    if shape is None or any(isinstance(size, str) and size.startswith("*") for size in expected):
        return True
    known = zip(shape, expected, strict=False)
    return len(shape) == len(expected) and all(
        size is None or wanted is None or isinstance(wanted, str) or size == wanted for size, wanted in known
    )
