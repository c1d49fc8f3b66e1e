"""Calls measured in one framework: what a function returns and its gradients, as raw numbers; and those judged."""

import functools
import itertools
import operator
from collections.abc import Mapping, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from equivalence.agreement import KEPT, UNDERFLOW
from equivalence.calls import called, calls
from equivalence.calls.call import Call, Part, directions, references, weights
from equivalence.calls.scalars import ONE, SCALARS, with_arrays
from equivalence.calls.settings import PRECISION, SETTINGS, dtype_in
from equivalence.cases import build
from equivalence.foreign.loading import is_reference
from equivalence.measure import ROUNDING_UNIT, not_covered
from equivalence.oracle import values
from equivalence.problem import Problem
from equivalence.protocol import Complaint, NotCovered, describe_error
from equivalence.reference import Reference
from impls import NotOffered

Array = np.ndarray
APART = " · "  # between a call's name and its setting
Missing = dict[str, str]  # why there are no numbers, under "error" or "not covered"
MOST = 1e100  # units that an error is counted in: their squares are numbers, too
Raw = list[dict[str, Any]]  # of each result its value, and its gradients by the argument's name
Expected = tuple[list[Part], list[tuple[float, float]]]  # of each result, and the scales of errors in it


def run(bridge: ModuleType, methods: SimpleNamespace, device: str, dtype: str, method: str) -> dict[str, Raw | Missing]:
    """Map each call of the method in this setting to its raw numbers, or to the error that it raised."""
    found: dict[str, Raw | Missing] = {}
    by_case = operator.attrgetter("case")
    for setting in bridge.SETTINGS:
        if setting == PRECISION and is_reference(getattr(methods, method)):
            continue  # it keeps nothing, and what it computes in other precisions is judged by usages
        for case, own in itertools.groupby(sorted(called(method, setting), key=by_case), key=by_case):
            problem = Problem(build([case])[case], bridge, methods, dtype_in(setting, dtype), device)
            found |= {in_setting(name, setting): raw for name, raw in run_on(problem, setting, list(own)).items()}
    return found


def run_one(bridge: ModuleType, methods: SimpleNamespace, device: str, dtype: str, name: str) -> Raw | Missing:
    """What came of one call, named with its setting."""
    plain, _, setting = name.partition(APART)
    call = calls()[plain]
    problem = Problem(build([call.case])[call.case], bridge, methods, dtype_in(setting, dtype), device)
    return run_on(problem, setting, [call])[plain]


def dtype_of(name: str, dtype: str) -> str:
    """The dtype in which a call is made that is named with its setting, where others are made in this one."""
    return dtype_in(name.partition(APART)[2], dtype)


def in_setting(name: str, setting: str) -> str:
    """The name of a call whose arguments come in a setting."""
    return f"{name}{APART}{setting}" if setting else name


def run_on(problem: Problem, setting: str, chosen: Sequence[Call]) -> dict[str, Raw | Missing]:
    """The calls on one problem as one program; where it raises, each by itself."""
    point = Reference(problem.case).point
    shapes = {call.name: [np.shape(part) for part in call.results(values, point)] for call in chosen}
    try:
        return evaluate(problem, setting, chosen, shapes)
    except Exception as error:
        if len(chosen) == 1:
            kind = "not covered" if isinstance(error, NotCovered | NotOffered) else "error"
            return {chosen[0].name: {kind: describe_error(error)}}
    found: dict[str, Raw | Missing] = {}
    for call in chosen:
        found |= run_on(problem, setting, [call])
    return found


def evaluate(
    problem: Problem, setting: str, chosen: Sequence[Call], shapes: Mapping[str, list[tuple[int, ...]]]
) -> dict[str, Any]:
    """The calls as one program: values and gradients of every result in every floating-point array."""
    bridge = problem.bridge
    params, data, extra = problem.arrays
    leaves = {f"θ {name}": array for name, array in params.items()} | extra
    leaves |= {"x": data["x"]} if "x" in data else {}
    leaves |= {ONE: problem.array(1.0)} if setting == SCALARS else {}
    rest = {name: array for name, array in data.items() if name != "x"}

    def weighted(call: Call) -> Any:
        def results(leaves: dict[str, Any], rest: dict[str, Any]) -> tuple[Any, ...]:
            given = SETTINGS[setting](bridge, leaves)
            own = {name[2:]: array for name, array in given.items() if name.startswith("θ ")}
            batch = rest | {name: given[name] for name in ("x",) if name in given}
            point = problem.at(own, batch, {name: given[name] for name in extra})
            methods = with_arrays(problem.methods, call.method, given[ONE]) if setting == SCALARS else problem.methods
            found = call.results(methods, point)
            if len(found) != len(shapes[call.name]):
                raise Complaint(f"{call.method} returned {len(found)} results, expected {len(shapes[call.name])}")
            weighing = [problem.array(weights(shape)) for shape in shapes[call.name]]
            for result, own in zip(found, weighing, strict=True):
                if result.dtype != own.dtype:  # the product would hide it
                    raise Complaint(f"{call.method} returned {result.dtype}, expected {own.dtype} as in its arguments")
            return tuple(result * own for result, own in zip(found, weighing, strict=True))

        return bridge.values_and_grads(results)

    def everything(leaves: dict[str, Any], rest: dict[str, Any]) -> dict[str, Any]:
        return {call.name: weighted(call)(leaves, rest) for call in chosen}

    found = problem.numpy(bridge.compiled(everything, bridge.SETTINGS[setting])(leaves, rest))
    return {
        call.name: [raw(part, shape) for part, shape in zip(found[call.name], shapes[call.name], strict=True)]
        for call in chosen
    }


def raw(found: tuple[Array, Mapping[str, Array]], shape: tuple[int, ...]) -> dict[str, Any]:
    """One result's weighted value and its gradients as numbers in lists; the weights are taken off."""
    weighted, gradients = found
    if weighted.shape != shape:
        raise Complaint(f"got shape {weighted.shape}, expected {shape}")
    value = (weighted / weights(shape)).tolist()
    return {"value": value, "gradients": {name: array.tolist() for name, array in gradients.items()}}


@functools.cache
def expectations(name: str) -> Expected:
    """What the oracle expects of a call, however its arguments come."""
    call = calls()[name.partition(APART)[0]]
    return references(call, Reference(build([call.case])[call.case]))


def judged(found: Raw | Missing, expected: Expected, dtype: str) -> dict[str, Any]:
    """The measurement of one call, or the error that it raised."""
    if isinstance(found, dict):
        return not_covered(found["not covered"]) if "not covered" in found else dict(found)
    try:
        return compare(found, *expected, dtype)
    except (KeyError, ValueError, TypeError) as error:  # numbers that are not those of such a call
        return {"error": describe_error(error)}


def compare(found: Raw, parts: Sequence[Part], scales: Sequence[tuple[float, float]], dtype: str) -> dict[str, Any]:
    """Signed errors of values and gradients in units of rounding, as one measurement that `judge_agreement` decides."""
    unit = ROUNDING_UNIT[dtype]
    value_errors, gradient_errors, conditions = [], [], []
    for mine, part, (size, slope) in zip(found, parts, scales, strict=True):
        value = np.asarray(mine["value"], float) - part.value
        value_errors.append(counted(np.ravel(value), unit * size + UNDERFLOW[unit]))
        for name, wanted in part.gradients.items():
            if name == ONE and name not in mine["gradients"]:
                continue  # the numbers of this setting are Python's own
            gradient = np.asarray(mine["gradients"][name], float)
            if name in part.errors:
                gradient = np.tensordot(directions(gradient.shape), gradient, gradient.ndim)
            off = unit * slope + part.errors.get(name, 0.0) + UNDERFLOW[unit]
            gradient_errors.append(counted(np.ravel(gradient - wanted), off))
        conditions.append([size / (np.abs(part.value).max() or 1), slope / (largest(part) or 1)])
    errors, slopes = np.concatenate(value_errors), np.concatenate(gradient_errors)
    return {
        "kind": "agreement",
        "value": errors.tolist(),
        "gradient": slopes[np.linspace(0, len(slopes) - 1, min(KEPT, len(slopes))).astype(int)].tolist(),
        "worst gradient": float(np.abs(slopes).max()),
        "rounding unit": unit,
        "condition": np.max(conditions, axis=0).tolist(),
    }


def counted(errors: Array, unit: float) -> Array:
    """Errors in units; MOST of them where what is wrong should be 0, whose unit is hardly a number."""
    return errors / np.maximum(unit, np.nan_to_num(np.abs(errors), nan=0, posinf=0) / MOST)


def largest(part: Part) -> float:
    return max(float(np.abs(gradient).max()) for gradient in part.gradients.values())
