"""A method under watch: what a call of it changes, sets, prints and returns, beside what the oracle's returns."""

import contextlib
import io
from typing import Any

import numpy as np

from equivalence import trainees
from equivalence.foreign.guard import memory
from equivalence.mutant import planted
from equivalence.oracle import values
from equivalence.parts.untouched import changed
from equivalence.problem import Problem
from equivalence.reference import Reference
from equivalence.state import Kept
from equivalence.usages import USAGES, Usage

Shapes = list[tuple[int, ...]]


def drawing(name: str, **options: Any) -> Usage:
    return Usage(name, name, lambda m, p: getattr(m, name)(3, tuple(p.x.shape), like=p.x, **options))


SAMPLERS = ("rademacher", "gaussian", "uniform", "uniform_sphere", "uniform_ball", "dropout_mask")
DIRECT = (  # methods that no usage stands for
    Usage("l2_norm", "l2_norm", lambda m, p: m.l2_norm(p.x)),
    Usage("unit", "unit", lambda m, p: m.unit(p.x)),
    Usage("steepest", "steepest", lambda m, p: m.steepest(p.x, norm="linf")),
    *map(drawing, SAMPLERS[:-1]),
    drawing("dropout_mask", rate=0.5),
)
WATCHED = tuple(dict.fromkeys(usage.method for usage in (*DIRECT, *USAGES)))


def watch(problem: Problem, reference: Reference, name: str) -> dict[str, dict[str, int]]:
    """What one call of a method does that it must not: by topic, how much of what. Empty where it has none to do."""
    for usage in (*DIRECT, *USAGES):
        if usage.method == name and usage.applies(problem.case) and (shapes := expected(reference, usage)):
            watched = Watched(problem, name, shapes)
            methods = planted(problem.methods, {name: watched})
            concrete = name in SAMPLERS  # they ask where `like` is, which one that is traced does not know
            run = (lambda function, *arrays: function(*arrays)) if concrete else trainees.module(problem.bridge).called
            run(lambda *arrays, usage=usage, m=methods: usage.call(m, problem.at(*arrays)), *problem.arrays)
            return watched.found
    return {}


def expected(reference: Reference, usage: Usage) -> Shapes:
    """Shapes of what the oracle's method returns, which draws nothing: samples have the inputs' shape."""
    found: list[Shapes] = []

    def method(*args: Any, **kwargs: Any) -> Any:
        known = getattr(values, usage.method, None)
        result = known(*args, **kwargs) if known else reference.point.x
        found.append([np.shape(array) for array in leaves(result).values()])
        return result

    usage.call(planted(values, {usage.method: method}), reference.point)
    return found[0] if found else []


class Watched:
    """Stands for a method; what its first call does is found."""

    def __init__(self, problem: Problem, name: str, shapes: Shapes):
        self.problem, self.name, self.shapes = problem, name, shapes
        self.method, self.called = getattr(problem.methods, name), False
        self.found: dict[str, dict[str, int]] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.called:
            return self.method(*args, **kwargs)
        self.called, said = True, io.StringIO()
        given = {"argument": (args, kwargs), "problem": self.problem.arrays}
        arrays, kept = self.numbers(given), Kept(self.problem.bridge)
        with kept, contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            result = self.method(*args, **kwargs)
            again = self.method(*args, **kwargs)
        results = list(leaves(result).values())
        self.found = {
            "changes": changed(arrays, self.numbers(given)),
            "sets": {f"{name} {what}": 1 for name, what in kept.changes.items()},
            "prints": {repr(said.getvalue()[:40]): len(said.getvalue())} if said.getvalue() else {},
            "returns": self.unlike(results),
            "keeps": self.shared(results, leaves(given), list(leaves(again).values())),
        }
        return result

    def numbers(self, given: Any) -> dict[str, np.ndarray]:
        """Values of arrays, by place; of one that is traced, which one it is."""
        bridge, found = self.problem.bridge, leaves(given)
        asked = {  # PyTorch's flag that gradients are wanted
            f"{name} requires_grad": np.array(leaf.requires_grad)
            for name, leaf in found.items()
            if hasattr(leaf, "requires_grad")
        }
        return asked | {
            name: bridge.to_numpy(leaf) if bridge.finite(leaf) is not None else np.array(id(leaf))
            for name, leaf in found.items()
        }

    def shared(self, results: list[Any], given: dict[str, Any], again: list[Any]) -> dict[str, int]:
        """Results whose memory a second call hands out once more: who changes one in place has changed the other."""
        views = [memory(array) for array in again]
        theirs = [view for array in given.values() if (view := memory(array)) is not None]
        return {
            f"result {number}": 1
            for number, array in enumerate(results)
            if (own := memory(array)) is not None
            and any(view is not None and np.shares_memory(own, view) for view in views)
            and not any(np.shares_memory(own, view) for view in theirs)  # an argument handed back is the caller's
        }

    def unlike(self, arrays: list[Any]) -> dict[str, int]:
        """Results that are not the framework's arrays of the oracle's shapes and the problem's dtype."""
        found = {}
        if [tuple(getattr(array, "shape", ())) for array in arrays] != self.shapes:
            found[f"shapes {[tuple(getattr(array, 'shape', ())) for array in arrays]} for {self.shapes}"] = 1
        like = next(iter(self.problem.params.values()))
        for array in arrays:
            if type(array).__module__.partition(".")[0] in ("numpy", "builtins"):
                found[f"a {type(array).__name__} for an array of the framework"] = 1
            elif array.dtype != like.dtype:
                found[f"{array.dtype} for {like.dtype}"] = 1
        return found


def leaves(tree: Any, name: str = "") -> dict[str, Any]:
    """The arrays in nested tuples, lists and dicts, by their place."""
    if not isinstance(tree, dict | tuple | list):
        return {name: tree} if hasattr(tree, "shape") else {}
    found: dict[str, Any] = {}
    for key, part in tree.items() if isinstance(tree, dict) else enumerate(tree):
        found |= leaves(part, f"{name} {key}".strip())
    return found
