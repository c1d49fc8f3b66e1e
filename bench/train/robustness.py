"""Accuracy under perturbations of what a model gets: PGD-20 on its loss, and Gaussian noise."""

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.train.data import Batch, rows, size, trimmed
from equivalence.cases import Case
from equivalence.problem import Point, Problem

STEPS = 20
SAMPLES = 500  # of the test part that are attacked
COSTLY = 200  # where the model is an encoder, of which one costs as much as several to train on
CHUNK = 100
ENCODER = "bert"  # the model's start, for which strengths are relative
NOISE = {"digits": 0.3, "reviews": 1.0}  # standard deviation, by the model's start
RADIUS = {"digits": 1.0, "reviews": 1.0}  # of a sample's L2 ball
# Of the norm of a word's embedding at the start: what both leave right is neither nothing nor chance.
NOISE_SHARE, RADIUS_SHARE = 1.0, 0.1


def robustness(problem: Problem, params: Any, test: Batch, seed: int, granule: int = 0) -> dict[str, float]:
    """Accuracy on the first samples of the test part, attacked and noisy; text is perturbed at its embedding's output.

    `problem` holds the methods and the model in a framework, `params` the trained parameters there.
    """
    most = COSTLY if problem.case.name == ENCODER else SAMPLES
    few = rows(test, np.arange(min(most, size(test))))
    radius, scale = strengths(problem.case, few)

    def ascended(p: Point) -> Any:
        """One step from where the last one ended: a program of all of them would be compiled for minutes."""
        options = {"radius": radius, "step": 2.5 * radius / STEPS, "steps": 1}
        return problem.methods.pgd(p.loss, p.x, p.extra.r, **options)

    ascend, predict = compiled(problem, ascended), compiled(problem, lambda p: p.f(p.x + p.extra.r))
    rng, right = np.random.default_rng((seed, 5)), {"pgd": 0, "noise": 0}
    for start in range(0, size(few), CHUNK):
        chunk = trimmed(rows(few, np.arange(start, min(start + CHUNK, size(few)))), granule)
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


def strengths(case: Case, batch: Batch) -> tuple[float, float]:
    """Radius of the attack's ball and standard deviation of the noise: fixed, or by the norm of a word's embedding."""
    if case.name != ENCODER:
        return RADIUS[case.name], NOISE[case.name]
    table = case.params[str(case.table)]
    norm = float(np.linalg.norm(table[batch["tokens"][batch["mask"] > 0]], axis=1).mean())
    return RADIUS_SHARE * norm, NOISE_SHARE * norm / table.shape[1] ** 0.5


def compiled(problem: Problem, function: Callable[[Point], Any]) -> Callable[..., Any]:
    """function(point at the parameters, the data and the extra arrays), as the framework runs many calls."""
    mode = problem.bridge.SWEEP_MODE
    return problem.bridge.compiled(lambda params, data, extra: function(problem.at(params, data, extra)), mode)
