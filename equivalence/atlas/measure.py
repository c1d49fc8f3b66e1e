"""Measure one entry: every composition in every mode, along several directions, and what happens at kinks."""

import functools
import math
import warnings
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import numpy as np

from equivalence.atlas import by_hand, judge
from equivalence.atlas.compositions import METRIC, PENALTY, VALUE, order
from equivalence.atlas.entry import ALONG, Entry
from equivalence.atlas.judge import Estimate

DIRECTIONS = 2  # triples of directions; a wrong term is along none of them with probability 0
MESSAGE = 300  # characters of an error that are kept
LEAST = 1e-3  # what a relative error is of, at least: some derivatives are 0, and known to rounding
Row = dict[str, Any]


def measure(entry: Entry, transforms: ModuleType, asked: dict[str, Iterable[str]]) -> dict[str, Any]:
    """What was found, by mode and by the compositions that are asked for in it; at "kinks", what happens there."""
    with warnings.catch_warnings(action="ignore"):  # what a framework says of itself is not what is measured
        probe = Probe(entry, transforms)
        found: dict[str, Any] = {mode: probe.rows(mode, list(words)) for mode, words in asked.items()}
        plainest = transforms.MODES[0]
        kinks = entry.kinks.items() if plainest in asked else ()
        return found | {"kinks": {name: probe.kink(inputs, plainest) for name, inputs in kinks}}


class Probe:
    """An entry at its input, with the derivatives that are expected there."""

    def __init__(self, entry: Entry, transforms: ModuleType):
        self.entry, self.transforms = entry, transforms
        arrays = entry.arrays()
        self.shapes = [array.shape for array in arrays]
        self.x = np.concatenate([array.ravel() for array in arrays])
        rng = np.random.default_rng(entry.seed + 1)
        self.directions = rng.uniform(-1, 1, size=(DIRECTIONS, 3, self.x.size))
        self.function = transforms.function(entry, self.shapes)
        self.linear = transforms.function(entry, self.shapes, linear=True)

    @functools.cached_property
    def values(self) -> judge.Values:
        """The operation's values: by hand in extended precision where it is so written, else the framework's."""
        return self.of_hand() if self.entry.hand else self.transforms.values(self.function, self.entry.dtype)

    def of_hand(self, linear: bool = False) -> judge.Values:
        names = self.entry.inputs
        operation = eval(f"lambda {', '.join(names)}: {self.entry.hand}", {"np": np, "hand": by_hand})

        def value(point: np.ndarray) -> Any:
            output = np.asarray(operation(*self.parted(point))).ravel()
            weighted = output * np.linspace(0.5, 1.5, output.size, dtype=output.dtype)
            return weighted.sum() if linear else np.sin(weighted).sum()

        return lambda points: np.array([value(point.astype(np.longdouble)) for point in points])

    def parted(self, point: np.ndarray) -> Iterable[np.ndarray]:
        ends = np.cumsum([math.prod(shape) for shape in self.shapes])
        return (part.reshape(shape) for part, shape in zip(np.split(point, ends[:-1]), self.shapes, strict=True))

    @functools.cache  # noqa: B019 - a probe lives as long as one task
    def expected(self, composition: str, number: int, linear: bool = False) -> Estimate:
        """What a composition should give along a triple of directions."""
        values = self.values
        if linear:
            values = self.of_hand(True) if self.entry.hand else self.transforms.values(self.linear, self.entry.dtype)
        s = self.directions[number][2]
        if composition == VALUE:
            return Estimate(float(values(self.x[None])[0]), 0.0)
        if composition == PENALTY:
            steepest = judge.gradient(values, self.x) * np.linspace(*METRIC, self.x.size)
            length = np.abs(steepest).max() or 1.0  # the steps are meant for directions of size 1
            half = judge.derivative(values, self.x, [steepest / length, s])
            return Estimate(2 * length * half.value, 2 * length * half.error)
        if order(composition) < 3:
            return self.lower(values, order(composition), number, linear)
        return self.third(values, number, linear)

    @functools.cache  # noqa: B019
    def lower(self, values: judge.Values, times: int, number: int, linear: bool) -> Estimate:
        return judge.derivative(values, self.x, list(self.directions[number][:times]))

    @functools.cache  # noqa: B019
    def third(self, values: judge.Values, number: int, linear: bool) -> Estimate:
        return judge.derivative(values, self.x, list(self.directions[number]))

    def rows(self, mode: str, words: list[str]) -> dict[str, Row]:
        """What each composition gives in a mode."""
        wanted = [word for word in words if word != VALUE or self.entry.hand]
        derived = {word: self.derived(word, self.function, mode) for word in wanted}
        answers = self.transforms.run(derived, mode, self.x, self.directions, self.entry.dtype)
        return {word: self.row(word, mode, answers[word]) for word in wanted}

    def derived(self, word: str, function: Callable[..., Any], mode: str) -> Callable[..., Any]:
        """The composition as a function of the input and three directions."""
        reverse, forward = self.transforms.operators(mode)
        if word == VALUE:
            return lambda x, v, u, s: function(x)
        if word == PENALTY:
            return lambda x, v, u, s: reverse(self.transforms.squared_gradient(function, mode), s)(x)

        def composed(x: Any, *directions: Any) -> Any:
            found = function
            for letter, direction in zip(reversed(word), directions, strict=False):
                inner = found
                found = reverse(inner, direction) if letter == "R" else forward(inner, direction)
            return found(x)

        return composed

    def row(self, word: str, mode: str, answers: list[float] | Exception) -> Row:
        """The worst of several directions, in a word."""
        if isinstance(answers, Exception):
            said = " ".join(f"{type(answers).__name__}: {answers}".split())[:MESSAGE]
            return {"word": judge.NONE if self.entry.documented else judge.RAISES, "message": said}
        expected = [self.expected(word, number) for number in range(DIRECTIONS)]
        scale = max(LEAST, *(abs(each.value) for each in expected))
        judged = [
            judge.word(answer, each, scale, self.entry.dtype) for answer, each in zip(answers, expected, strict=True)
        ]
        worst = min(range(DIRECTIONS), key=lambda number: (judge.WORDS.index(judged[number][0]), -judged[number][1]))
        verdict, off = judged[worst]
        if verdict == judge.RIGHT:
            return {"word": verdict, "off": float(f"{off:.1e}")}
        if verdict == judge.WRONG and order(word) > 0 and self.is_dropped(word, mode):
            verdict = judge.ZERO
        numbers = {"found": answers[worst], "expected": expected[worst].value, "error": expected[worst].error}
        return {"word": verdict, "off": off, **numbers, "direction": worst}

    def is_dropped(self, word: str, mode: str) -> bool:
        """Whether the operation's own derivative is quietly 0, though it has one: seen without the sine after it."""
        derived = {word: self.derived(word, self.linear, mode)}
        answers = self.transforms.run(derived, mode, self.x, self.directions, self.entry.dtype)[word]
        if isinstance(answers, Exception) or any(answer != 0 for answer in answers):
            return False
        expected = [self.expected(word, number, linear=True) for number in range(DIRECTIONS)]
        return all(abs(each.value) > judge.TRUST * each.error for each in expected)

    def kink(self, inputs: dict[str, str], mode: str) -> Row:
        """At a kink: the framework's slope in both modes and its second derivative, and the slopes on either side."""
        stated = dict(inputs)
        along = stated.pop(ALONG, "")
        arrays = self.entry.arrays(stated)
        x = np.concatenate([array.ravel() for array in arrays])
        direction = np.concatenate([each.ravel() for each in self.entry.arrays({ALONG: along})]) if along else x * 0 + 1
        function = self.transforms.function(self.entry, [array.shape for array in arrays], total=True)
        derived = {word: self.derived(word, function, mode) for word in ("R", "F", "RR")}
        found = self.transforms.run(derived, mode, x, [[direction] * 3], self.entry.dtype)
        below, above = judge.slopes(self.transforms.values(function, self.entry.dtype), x, direction)
        told = {
            word: f"raises {type(answer).__name__}" if isinstance(answer, Exception) else float(f"{answer[0]:.6g}")
            for word, answer in found.items()
        }
        return {**told, "below": float(f"{below:.4g}"), "above": float(f"{above:.4g}")}
