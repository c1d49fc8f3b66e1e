"""Accuracy under perturbations of what a model gets: PGD-20 on its loss, and Gaussian noise."""

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
    name, few = problem.case.name, rows(test, np.arange(min(SAMPLES, size(test))))
    radius, scale = RADIUS.get(name, USUAL), NOISE.get(name, USUAL)

    def attacked(p: Point) -> Any:
        options = {"radius": radius, "step": 2.5 * radius / STEPS, "steps": STEPS}
        return p.f(p.x + problem.methods.pgd(p.loss, p.x, 0 * p.x, **options))

    def noisy(p: Point) -> Any:
        return p.f(p.x + scale * p.extra.noise)

    rng, right = np.random.default_rng((seed, 5)), {"pgd": 0.0, "noise": 0.0}
    tries = {"pgd": compiled(problem, attacked), "noise": compiled(problem, noisy)}
    for start in range(0, size(few), CHUNK):
        chunk = rows(few, np.arange(start, min(start + CHUNK, size(few))))
        one = chunk["x"] if "x" in chunk else problem.case.params[str(problem.case.table)][chunk["tokens"]]
        extra = {"noise": rng.standard_normal(one.shape)}
        arrays = [{key: problem.array(value) for key, value in each.items()} for each in (chunk, extra)]
        for key, run in tries.items():
            logits = problem.bridge.to_numpy(run(params, *arrays))
            right[key] += float((logits.argmax(1) == chunk["labels"]).sum())
    return {f"{key}_accuracy": count / size(few) for key, count in right.items()}


def compiled(problem: Problem, predict: Any) -> Any:
    mode = problem.bridge.SWEEP_MODE
    return problem.bridge.compiled(lambda params, data, extra: predict(problem.at(params, data, extra)), mode)
