"""A small problem in one framework, for tests of single methods."""

import importlib
from types import SimpleNamespace

import numpy as np

BATCH, WIDTH, CLASSES = 3, 4, 2


def point(bridge):
    """A network's loss and outputs, a quadratic's, and a batch to call them with; `array` makes the framework's."""
    rng = np.random.default_rng(0)
    models = importlib.import_module(f"{bridge.__name__}.models")
    array = bridge.from_numpy
    params = {
        "0.weight": array(rng.standard_normal((5, WIDTH))),
        "0.bias": array(rng.standard_normal(5)),
        "1.weight": array(rng.standard_normal((CLASSES, 5))),
        "1.bias": array(rng.standard_normal(CLASSES)),
    }

    def f(x):
        return models.mlp(params, x)

    def quadratic(params):
        return lambda x: models.quadratic(params, x)[:, 0]

    return SimpleNamespace(
        array=array,
        params=params,
        models=models,
        f=f,
        loss=lambda x: f(x)[:, 0],
        quadratic=quadratic,
        x=array(rng.standard_normal((BATCH, WIDTH))),
        other=array(rng.standard_normal((BATCH, WIDTH))),
        logits=array(rng.standard_normal((BATCH, CLASSES))),
        labels=array(np.array([0, 1, 1], np.int32)),
    )


def numbers(dtype, *shape):
    return np.random.default_rng(1).standard_normal(shape).astype(dtype)


def zeros(*shape):
    return np.zeros(shape)


def ascent(m, p, **options):
    """Three steps of PGD with options changed."""
    options = {"start": p.other, "radius": 1.0, "step": 0.5, "steps": 3} | options
    return m.pgd(p.loss, p.x, options.pop("start"), **options)
