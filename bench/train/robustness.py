"""Accuracy under perturbations of what a model gets: PGD-20 on its loss, and Gaussian noise."""

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.train.data import Batch, rows, size
from equivalence.problem import Point, Problem

STEPS = 20
SAMPLES = 500  # of the test part that are attacked
CHUNK = 100
NOISE = {"digits": 0.3, "reviews": 1.0}  # standard deviation, by the model's start
RADIUS = {"digits": 1.0, "reviews": 1.0}  # of a sample's L2 ball
USUAL = 1.0


def robustness(problem: Problem, params: Any, test: Batch, seed: int) -> dict[str, float]:
    """Accuracy on the first samples of the test part, attacked and noisy; text is perturbed at its embedding's output.

    `problem` holds the methods and the model in a framework, `params` the trained parameters there.
    """
    kind, few = problem.case.name, rows(test, np.arange(min(SAMPLES, size(test))))
    radius, scale = RADIUS.get(kind, USUAL), NOISE.get(kind, USUAL)

    def ascended(p: Point) -> Any:
        """One step from where the last one ended: a program of all of them would be compiled for minutes."""
        options = {"radius": radius, "step": 2.5 * radius / STEPS, "steps": 1}
        return problem.methods.pgd(p.loss, p.x, p.extra.r, **options)

    ascend, predict = compiled(problem, ascended), compiled(problem, lambda p: p.f(p.x + p.extra.r))
    rng, right = np.random.default_rng((seed, 5)), {"pgd": 0, "noise": 0}
    for start in range(0, size(few), CHUNK):
        chunk = rows(few, np.arange(start, min(start + CHUNK, size(few))))
        data = {name: problem.array(array) for name, array in chunk.items()}
        one = chunk["x"] if "x" in chunk else problem.case.params[str(problem.case.table)][chunk["tokens"]]
        r = problem.array(np.zeros(one.shape))
        for _ in range(STEPS):
            r = ascend(params, data, {"r": r})
        tried = {"pgd": r, "noise": problem.array(scale * rng.standard_normal(one.shape))}
        for name, perturbation in tried.items():
            logits = problem.bridge.to_numpy(predict(params, data, {"r": perturbation}))
            right[name] += int((logits.argmax(1) == chunk["labels"]).sum())
    return {f"{name}_accuracy": count / size(few) for name, count in right.items()}


def compiled(problem: Problem, function: Callable[[Point], Any]) -> Callable[..., Any]:
    """function(point at the parameters, the data and the extra arrays), as the framework runs many calls."""
    mode = problem.bridge.SWEEP_MODE
    return problem.bridge.compiled(lambda params, data, extra: function(problem.at(params, data, extra)), mode)
