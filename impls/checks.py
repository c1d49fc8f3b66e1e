"""Arguments checked against the contract, in one place for all frameworks.

`@checked` stands over every implementation. It finds the stub of the same name, takes its docstring, and holds what is
passed against the stub's annotations before the body runs, and what closures return when they are called. Values are
looked at only when they are concrete (a traced step pays nothing); shapes and dtypes are always looked at. What one
method hands on to another has been looked at: only the outermost is checked, and whatever a closure calls. A reader
who copies a body leaves the decorator behind.
"""

import functools
import importlib
import inspect
import math
import re
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from numbers import Integral
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from impls.contract.types import Count, Interval, Returns, Shape, Tree

COMPUTED_IN = re.compile(r"(bfloat16|float16|float32|float64)\b")  # in a dtype's name
WITHIN = ContextVar("WITHIN", default=False)  # a method whose arguments have been checked
# Names of the methods that are entered, where somebody asks: whether other people's code falls back on them.
ENTERED: ContextVar[set[str] | None] = ContextVar("ENTERED", default=None)


@contextmanager
def within(method: bool) -> Iterator[None]:
    """Skip the checks inside a checked method; resume them in the user's closure."""
    token = WITHIN.set(method)
    try:
        yield
    finally:
        WITHIN.reset(token)


def checked(function: Callable) -> Callable:
    """Wrap a method so that a wrong argument raises an error that names it, what came and what was expected."""
    package, _, module = function.__module__.rpartition(".")
    stub = find_stub(module, function.__name__)
    signature = inspect.signature(function)  # the stub's, but for what a framework's idiom puts before the options
    asked = inspect.signature(stub).parameters
    rules = {name: rule(asked[name].annotation) if name in asked else None for name in signature.parameters}

    @functools.wraps(function)
    def method(*args: Any, **kwargs: Any) -> Any:
        if (entered := ENTERED.get()) is not None:
            entered.add(function.__name__)
        if WITHIN.get():
            return function(*args, **kwargs)
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        call = Call(bound.arguments, sys.modules[package])
        for name, value in bound.arguments.items():
            bound.arguments[name] = call.check(name, value, rules[name])
        with within(True):
            result = function(*bound.args, **bound.kwargs)
        call.check_result(result)
        return result

    method.__doc__ = function.__doc__ or stub.__doc__
    return method


def find_stub(module: str, name: str) -> Callable:
    """The contract's function of that name; an objective has the options of the training that stands on it."""
    if name.endswith("_objective"):
        module, name = "training", name.replace("_objective", "_training")
    return getattr(importlib.import_module(f"impls.contract.{module}"), name)


def rule(annotation: Any) -> Any:
    """What an annotation asks for: a Literal, or what stands in an Annotated; a pair with None for an option."""
    if get_origin(annotation) in (Union, types.UnionType):
        return next(rule(part) for part in get_args(annotation) if part is not type(None)), None
    return annotation if get_origin(annotation) is Literal else getattr(annotation, "__metadata__", (None,))[-1]


class Call:
    """One call's arguments, and the sizes that the letters of its shapes stand for so far."""

    def __init__(self, given: dict[str, Any], bridge: Any):
        self.given, self.bridge = given, bridge
        self.sizes: dict[str, Any] = {}
        self.closures: dict[str, Callable] = {}

    def check(self, name: str, value: Any, wanted: Any) -> Any:
        """Check one argument; closures come back wrapped so that what they return is checked too."""
        if isinstance(wanted, tuple):
            return value if value is None else self.check(name, value, wanted[0])
        if get_origin(wanted) is Literal and value not in get_args(wanted):
            raise ValueError(f"{name}: got {value!r}, expected one of {', '.join(map(repr, get_args(wanted)))}")
        if isinstance(wanted, Returns):
            return self.returning(name, value, wanted)
        if isinstance(wanted, Shape):
            self.check_array(name, value, wanted)
        elif isinstance(wanted, Interval):
            if wanted.scheduled and callable(value) and not hasattr(value, "shape"):
                return value
            number = check_number(name, value, wanted)
            if hasattr(number, "shape") and self.bridge.finite(number) is not None:
                check_number(name, self.bridge.span(number)[0], wanted)  # not traced: it has a value to look at
            return number
        elif isinstance(wanted, Count):
            return self.count(name, value, wanted)
        elif isinstance(wanted, Tree):
            self.check_tree(name, value, wanted.copies)
        elif get_origin(wanted) is Annotated:
            self.check_each(name, value, rule(wanted))
        elif wanted == "labels":
            self.check_labels(name, value)
        elif wanted == "bounds":
            self.check_bounds(name, value)
        return value

    def check_array(self, name: str, value: Any, wanted: Shape) -> None:
        """Shape and dtype; where there are values and the contract asks for it, their range too."""
        if not hasattr(value, "shape") or not hasattr(value, "dtype"):
            raise TypeError(f"{name}: got a {type(value).__name__}, expected an array ({wanted.sizes}), floating point")
        if wanted.kind == "floating" and not COMPUTED_IN.search(str(value.dtype)):
            raise TypeError(
                f"{name}: got {value.dtype}, expected floating point of 16 bits or more: bfloat16, float16, float32 or"
                " float64. Perturbations need real inputs; for integer tokens perturb the embedding's output. float8 is"
                " for storage: convert it first"
            )
        self.check_shape(name, value, wanted.sizes)
        if wanted.softmax:
            check_classes(name, value)
        finite = self.bridge.finite(value) if wanted.finite or wanted.lowest > -math.inf else None
        if finite is False:
            raise ValueError(f"{name}: got NaN or infinity among its values, expected finite numbers")
        if finite and wanted.lowest > -math.inf and (lowest := self.bridge.span(value)[0]) < wanted.lowest:
            raise ValueError(f"{name}: got {lowest} among its values, expected numbers ≥ {wanted.lowest}")

    def check_shape(self, name: str, value: Any, sizes: str) -> None:
        """Sizes must agree with what the letters stand for; one that is new takes any size ≥ 1.

        A size that is None is not known before the traced step runs. It agrees with any.
        """
        if getattr(value.shape, "rank", 0) is None:  # not even the number of axes is known
            return
        letters, shape = sizes.split(), tuple(value.shape)
        expected = [size for letter in letters for size in self.known(letter)]
        agree, rest = True, list(shape)
        for letter in letters:  # at most one *, and last
            if letter.startswith("*"):
                found, rest = tuple(rest), []
                known = self.sizes.get(letter, (None,) * len(found))
                agree &= len(found) == len(known) and all(map(agrees, found, known))
                self.sizes[letter] = tuple(map(either, known, found))
            elif rest:
                found, known = rest.pop(0), self.sizes.get(letter)
                agree &= agrees(found, known)
                self.sizes[letter] = either(known, found)
            else:
                agree = False
                break
        if agree and not rest and "K" in letters and shape[0] is None:
            raise ValueError(
                f"{name}: got shape {shape} while traced, expected a known K: the step is built of K copies"
            )
        if not agree or rest:
            at_least = ", at least one of each" if 0 in shape else ""
            raise ValueError(f"{name}: got shape {shape}, expected ({', '.join(map(str, expected))}){at_least}")

    def known(self, letter: str) -> list[Any]:
        """What a letter stands for, to be read by people."""
        found = either(self.sizes.get(letter), letter)
        return list(found) if isinstance(found, tuple) else [found]

    def check_labels(self, name: str, value: Any) -> None:
        """Class numbers (B,) or probabilities (B, C); integers taken as one-hot would be a wrong loss, silently."""
        like = self.given["logits"] if "logits" in self.given else self.given["like"]
        classes = like.shape[-1]
        if len(value.shape) == 1 and "int" in str(value.dtype):
            self.sizes.setdefault("B", like.shape[0])
            self.check_shape(name, value, "B")
            if self.bridge.finite(like) is not None and self.bridge.finite(value) is not None:
                lowest, highest = self.bridge.span(value)
                if lowest < 0 or highest >= classes:
                    found = f"{lowest:g} to {highest:g}"
                    raise ValueError(f"{name}: got class numbers {found}, expected 0 to {classes - 1}")
        elif len(value.shape) == 2 and "float" in str(value.dtype):
            self.sizes.update(B=like.shape[0], C=classes)
            self.check_shape(name, value, "B C")
        else:
            raise ValueError(
                f"{name}: got shape {tuple(value.shape)} of {value.dtype}, expected (B,) integer class numbers or"
                " (B, C) floating-point probabilities"
            )

    def count(self, name: str, value: Any, wanted: Count) -> Any:
        """A whole number, as Python's own. A traced scalar has no value to look at, and passes."""
        array = hasattr(value, "dtype") and not isinstance(value, Integral)  # NumPy's numbers have a dtype too
        if wanted.traced and array and value.shape == () and "int" in str(value.dtype):
            if self.bridge.finite(value) is None:
                return value
            value = int(value)
        return check_count(name, value, wanted)

    def check_tree(self, name: str, value: Any, copies: bool) -> None:
        """A dict of floating-point arrays; K copies of each of `params`."""
        if not isinstance(value, dict) or not value:
            raise TypeError(f"{name}: got {value!r:.60}, expected a dict of arrays by name")
        params = self.given["params"] if copies else value
        if value.keys() != params.keys():
            raise ValueError(f"{name}: got {', '.join(sorted(value))}, expected {', '.join(sorted(params))}")
        for key, array in value.items():
            if copies:
                self.sizes[f"*{key}"] = tuple(params[key].shape)
            self.check_array(f"{name}[{key!r}]", array, Shape(f"K *{key}" if copies else f"*{key}", finite=not copies))

    def check_each(self, name: str, value: Any, wanted: Shape) -> None:
        """A sequence of arrays, letters anew for each; those of one layer share the first size."""
        if not isinstance(value, list | tuple) or not value:
            raise TypeError(f"{name}: got {value!r:.60}, expected a list of arrays, one a layer")
        if name != "weights" and len(value) != len(self.given["weights"]):
            raise ValueError(f"{name}: got {len(value)} arrays, expected {len(self.given['weights'])}, one a layer")
        for layer, array in enumerate(value):
            self.sizes = {} if name == "weights" else {"O": self.given["weights"][layer].shape[0]}
            self.check_array(f"{name}[{layer}]", array, wanted)

    def check_bounds(self, name: str, value: Any) -> None:
        """A lowest and a highest number, between which x lies already."""
        if value is None:
            return
        if not isinstance(value, tuple) or len(value) != 2 or not value[0] < value[1]:
            raise ValueError(f"{name}: got {value!r}, expected a pair of numbers, the lower one first")
        x = self.given.get("x")  # training gets its batches later
        if x is not None and self.bridge.finite(x) is not None:
            lowest, highest = self.bridge.span(x)
            if lowest < value[0] or highest > value[1]:
                found = f"{lowest:.4g} to {highest:.4g}"
                raise ValueError(f"x: got values from {found}, expected them within the bounds {value}")

    def returning(self, name: str, closure: Callable, wanted: Returns) -> Callable:
        """The closure, with the shape of its result checked: a reduced loss would scale every gradient by 1/B."""
        if not callable(closure):
            raise TypeError(f"{name}: got {closure!r:.60}, expected a function of arrays that returns ({wanted.sizes})")
        self.closures[name] = closure
        softmax = wanted.softmax is True or self.given.get(str(wanted.softmax)) == "kl_divergence"

        @functools.wraps(closure)
        def checked_closure(*arrays: Any) -> Any:
            with within(False):
                result = closure(*arrays)
            if not hasattr(result, "shape"):
                raise ValueError(
                    f"what {name}(x) returned: got a {type(result).__name__}, expected an array ({wanted.sizes}):"
                    " one result a sample, not reduced over the batch. Return that part alone, as in `lambda x:"
                    " model(x)[0]` or `lambda x: model(x).logits`"
                )
            try:
                self.check_shape(f"what {name}(x) returned", result, wanted.sizes)
            except ValueError as error:
                raise ValueError(f"{error}: one result a sample, not reduced over the batch") from None
            if softmax:
                check_classes(f"what {name}(x) returned", result)
            return result

        return checked_closure

    def check_result(self, result: Any) -> None:
        """NaN from finite arguments comes out of a closure: say so before it reaches an optimiser."""
        arrays = result if isinstance(result, tuple) else (result,)
        if self.closures and any(self.bridge.finite(array) is False for array in arrays):
            names = " or ".join(self.closures)
            raise ValueError(
                f"{names}: got NaN or infinity from it or its derivatives, expected finite numbers where all arguments"
                " are finite. Too large a step, or an operation without a derivative at these values"
            )


def agrees(found: int | None, known: int | None) -> bool:
    """Whether a size is what it is known to be, or at least 1."""
    return found is None or (found >= 1 if known is None else found == known)


def either(known: Any, found: Any) -> Any:
    """What is known, or else what was found."""
    return found if known is None else known


def check_classes(name: str, logits: Any) -> None:
    """Two or more: what a softmax over one class says is always 1, and every divergence of it 0."""
    if getattr(logits.shape, "rank", 2) is not None and logits.shape[-1] == 1:
        raise ValueError(
            f"{name}: got shape {tuple(logits.shape)}, expected logits of two classes or more, since a softmax over one"
            " is constant. Write a single logit z as two, [z, 0]: class 0 then has the probability sigmoid(z)"
        )


def check_number(name: str, value: Any, wanted: Interval) -> Any:
    """A number within the interval, as Python's own: NumPy's float64 would widen float32. A traced scalar passes."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        above = value > wanted.lowest if wanted.open == "low" else value >= wanted.lowest
        below = value < wanted.highest if wanted.open == "high" else value <= wanted.highest
        if not (math.isfinite(value) and above and below):
            raise ValueError(f"{name}: got {value}, expected a finite number{show_interval(wanted)}")
        return float(value) if isinstance(value, float) else value
    if not hasattr(value, "shape") or not wanted.traced:
        scalar = " or a scalar array" if wanted.traced else ", since its being 0 decides what is computed"
        raise TypeError(f"{name}: got {value!r:.60}, expected a number{scalar}")
    if len(value.shape) != 0:
        raise ValueError(f"{name}: got an array of shape {tuple(value.shape)}, expected a number or a scalar")
    return value


def show_interval(wanted: Interval) -> str:
    """An interval in symbols."""
    low = f" {'>' if wanted.open == 'low' else '≥'} {wanted.lowest:g}" if wanted.lowest > -math.inf else ""
    high = f" {'<' if wanted.open == 'high' else '≤'} {wanted.highest:g}" if wanted.highest < math.inf else ""
    return low + (" and" if low and high else "") + high


def check_step(xi: Any, smallest: float, dtype: Any) -> None:
    """A step that is 0 in the dtype of x leaves nothing of a difference. `smallest`: its smallest number above 0."""
    if isinstance(xi, (int, float)) and xi <= smallest / 2:  # the rest of what is lost depends on x's values
        raise ValueError(
            f"xi: got {xi}, which is 0 in {dtype}, expected a step that x's dtype holds, {smallest:.1g} at least; None"
            " chooses one"
        )


def check_count(name: str, value: Any, wanted: Count) -> int:
    """A whole number, as Python's own: NumPy's are not what a framework's seeds and sizes take."""
    highest = math.inf if wanted.highest is None else wanted.highest
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or not wanted.lowest <= int(value) <= highest:
        most = "" if wanted.highest is None else f" and ≤ {wanted.highest}"
        raise ValueError(f"{name}: got {value!r}, expected a whole number ≥ {wanted.lowest}{most}")
    return int(value)
