"""Arguments checked against the contract, in one place for all frameworks.

`@checked` stands over every implementation. It finds the stub of the same name, takes its docstring, and checks what
is passed before the body runs. Values are looked at only when they are concrete (a traced step pays nothing); shapes
and dtypes are always looked at. A reader who copies a body leaves the decorator behind.
"""

import functools
import importlib
import inspect
import math
import sys
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin


def checked(function: Callable) -> Callable:
    """Wrap a method so that a wrong argument raises an error that names it, what came and what was expected."""
    package, _, module = function.__module__.rpartition(".")
    stub = getattr(importlib.import_module(f"impls.contract.{module}"), function.__name__)
    signature = inspect.signature(stub)

    @functools.wraps(function)
    def method(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given, finite = bound.arguments, sys.modules[package].finite
        for name in sorted(signature.parameters, key=lambda name: name != "x"):  # the others are held against x
            given[name] = check(name, signature.parameters[name].annotation, given, finite)
        return function(*bound.args, **bound.kwargs)

    method.__doc__ = stub.__doc__
    return method


def check(name: str, annotation: Any, given: dict[str, Any], finite: Callable) -> Any:
    """Check one argument; closures come back wrapped so that what they return is checked too."""
    value = given[name]
    if get_origin(annotation) is Literal and value not in get_args(annotation):
        raise ValueError(f"{name}: got {value!r}, expected one of {', '.join(map(repr, get_args(annotation)))}")
    if name in ("radius", "xi"):
        check_scale(name, value)
    elif name == "steps":
        check_count(name, value, lowest=1 if "xi" in given else 0)
    elif name == "x":
        check_batch(name, value, finite)
    elif name in ("vector", "start"):
        check_shape(name, value, tuple(given["x"].shape))
    elif name == "noise" or (name == "probes" and "loss" in given and value is not None):
        check_shape(name, value, ("K", *given["x"].shape))
    elif name == "probes" and value is not None:
        check_shape(name, value, ("K", given["x"].shape[0], "C"))
    elif name == "weights" and value is not None:
        check_shape(name, value, (given["x"].shape[0], "C"))
    elif name == "seed":
        check_count(name, value, lowest=0)
    elif name == "labels":
        check_labels(value, given["logits"])
    elif name in ("targets", "q_logits"):
        check_shape(name, value, tuple(next(iter(given.values())).shape))
    elif name == "loss":
        return returning(name, value, (given["x"].shape[0],))
    elif name == "f":
        return returning(name, value, (given["x"].shape[0], "C"))
    return value


def check_scale(name: str, value: Any) -> None:
    """A size: a finite number, not negative (ξ: positive). A traced scalar passes."""
    if isinstance(value, (int, float)):
        lowest = "> 0" if name == "xi" else "≥ 0"
        if not (math.isfinite(value) and (value > 0 or (value == 0 and name == "radius"))):
            raise ValueError(f"{name}: got {value}, expected a finite number {lowest}")
    elif not hasattr(value, "shape"):
        raise TypeError(f"{name}: got {value!r}, expected a number or a scalar array")
    elif len(value.shape) != 0:
        raise ValueError(f"{name}: got an array of shape {tuple(value.shape)}, expected a number or a scalar")


def check_count(name: str, value: Any, lowest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise ValueError(f"{name}: got {value!r}, expected a whole number ≥ {lowest}")


def check_labels(value: Any, logits: Any) -> None:
    """Class numbers (B,) or probabilities (B, C); integers taken as one-hot would be a wrong loss without an error."""
    if len(value.shape) == 1 and "int" in str(value.dtype):
        check_shape("labels", value, (logits.shape[0],))
    elif len(value.shape) == 2 and "float" in str(value.dtype):
        check_shape("labels", value, tuple(logits.shape))
    else:
        raise ValueError(
            f"labels: got shape {tuple(value.shape)} of {value.dtype}, expected (B,) integer class numbers or"
            " (B, C) floating-point probabilities"
        )


def check_batch(name: str, value: Any, finite: Callable) -> None:
    """The array that is perturbed: (B, *S), floating point, not empty, finite."""
    if "float" not in str(getattr(value, "dtype", type(value).__name__ + " without a dtype")):
        raise TypeError(
            f"{name}: got {getattr(value, 'dtype', type(value))}, expected floating point. Perturbations need real"
            " inputs; for integer tokens perturb the embedding's output"
        )
    if len(value.shape) == 0 or 0 in tuple(value.shape):
        raise ValueError(f"{name}: got shape {tuple(value.shape)}, expected (B, *S) with at least one sample")
    if finite(value) is False:
        raise ValueError(f"{name}: got NaN or infinity among its values, expected finite numbers")


def check_shape(name: str, value: Any, expected: tuple) -> None:
    """Sizes must agree; a letter in `expected` stands for any size ≥ 1."""
    if not hasattr(value, "shape"):
        raise TypeError(f"{name}: got a {type(value).__name__}, expected an array of shape {expected}")
    shape = tuple(value.shape)
    agree = len(shape) == len(expected) and all(
        size is None or want is None or (size >= 1 if isinstance(want, str) else size == want)
        for size, want in zip(shape, expected, strict=True)
    )
    if not agree:
        raise ValueError(f"{name}: got shape {shape}, expected ({', '.join(map(str, expected))})")


def returning(name: str, closure: Callable, expected: tuple) -> Callable:
    """The closure, with the shape of its result checked: a reduced loss would scale every gradient by 1/B."""

    @functools.wraps(closure)
    def checked_closure(x: Any) -> Any:
        result = closure(x)
        try:
            check_shape(f"what {name}(x) returned", result, expected)
        except ValueError as error:
            raise ValueError(f"{error}: one result a sample, not reduced over the batch") from None
        return result

    return checked_closure
