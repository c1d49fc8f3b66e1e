"""Where a foreign function first differs from the reference: both called, usage by usage, with the same numbers."""

from collections.abc import Mapping
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from equivalence.cases import build
from equivalence.foreign.guard import Guard, leaves
from equivalence.judge import EXACT_UNITS
from equivalence.measure import ROUNDING_UNIT
from equivalence.problem import Problem
from equivalence.usages import usages

SHOWN = 4  # numbers of a row


class Found(Exception):
    """Ends the search: two results differ."""

    def __init__(self, what: dict[str, Any]):
        super().__init__()
        self.what = what


def measure(
    bridge: ModuleType, methods: SimpleNamespace, device: str, function: str, case: str, dtype: str, names: list[str]
) -> dict[str, Any]:
    """The first difference that the usages meet, uncompiled so that there are numbers; or how many calls agree."""
    recorder = Recorder(getattr(methods, function), dtype)
    watched = SimpleNamespace(**(vars(methods) | {function: recorder}))
    problem = Problem(build([case])[case], bridge, watched, dtype, device)
    for name in names:
        try:
            usages()[name].call(watched, problem.at(*problem.arrays))
        except Found as found:
            return {"usage": name, "case": case, "dtype": dtype, **found.what}
    return {"agree": recorder.calls}


class Recorder:
    """A foreign function beside the reference's; compares what they return wherever there are numbers."""

    def __init__(self, guard: Guard, dtype: str):
        self.guard, self.dtype = guard, dtype
        self.calls = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        given = self.guard.signature.bind(*args, **kwargs).arguments
        arrays = self.numbers(dict(leaves(given)))
        theirs, right = self.guard(*args, **kwargs), self.guard.reference(*args, **kwargs)
        for mine, wanted in zip(self.parts(theirs), self.parts(right), strict=True):
            pair = self.numbers({"yours": mine, "reference": wanted})
            if len(pair) == 2:
                self.calls += 1
                self.compare(**pair, inputs=arrays, options=options(given))
        return right  # so that what follows is called with the right numbers

    def parts(self, result: Any) -> tuple[Any, ...]:
        return tuple(result) if isinstance(result, tuple | list) else (result,)

    def numbers(self, arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Turn what has values into NumPy arrays."""
        bridge = self.guard.bridge
        return {name: bridge.to_numpy(array) for name, array in arrays.items() if bridge.finite(array) is not None}

    def compare(
        self, yours: np.ndarray, reference: np.ndarray, inputs: Mapping[str, np.ndarray], options: dict[str, Any]
    ) -> None:
        """Raise Found with the first row that differs by more than rounding."""
        unit = ROUNDING_UNIT[self.dtype] * float(np.abs(reference).max() or 1)
        units = np.atleast_1d(np.abs(yours.astype(float) - reference) / unit)
        rows = units.reshape(len(units), -1).max(1)
        if not (rows > EXACT_UNITS).any():
            return
        row = int((rows > EXACT_UNITS).argmax())
        name = next((name for name, array in inputs.items() if array.shape[:1] == (len(rows),)), None)
        what = {"sample": row, "options": options, "units": float(rows[row])}
        what |= {"input": first(inputs[name], row), "argument": name} if name else {}
        what |= {"factor": k} if (k := factor(yours, reference, EXACT_UNITS * unit)) else {}
        raise Found(what | {"yours": first(yours, row), "reference": first(reference, row)})


def factor(yours: np.ndarray, reference: np.ndarray, rounding: float) -> float | None:
    """What all of the reference must be multiplied with; None where there is no such factor, or it is 0."""
    yours, reference = yours.astype(float), reference.astype(float)
    square = float((reference * reference).sum())
    k = float((yours * reference).sum()) / square if np.count_nonzero(reference) > 1 else 0.0
    return k if k and (np.abs(yours - k * reference) <= rounding * max(1.0, abs(k))).all() else None


def first(array: np.ndarray, row: int) -> list[float]:
    """A few numbers of a row: those from the largest on would hide where it is, so the first."""
    return np.atleast_1d(array)[row].ravel()[:SHOWN].astype(float).tolist()


def options(given: Mapping[str, Any]) -> dict[str, Any]:
    """What was passed beside arrays and closures."""
    return {name: value for name, value in given.items() if isinstance(value, int | float | str | tuple)}
