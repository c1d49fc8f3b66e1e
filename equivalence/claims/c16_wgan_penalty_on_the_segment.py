"""WGAN-GP's penalty where it is known: linear and quadratic critics, at a slope of 0, on the segment and beside it."""

import numpy as np

from equivalence.claim import Claim
from equivalence.measure import differs, equal
from equivalence.parts.wgan import along_a_line, measured, settings


def measure(problem, reference):
    for dtype in ("float32", "float64"):
        run = measured(problem.in_dtype(dtype))
        for name, setting in settings(reference.case).items():
            value, gradient = run(setting)
            yield f"{name}, {dtype}", equal(value, setting.penalty(), setting.size(), dtype)
            yield f"{name}, gradient, {dtype}", equal(gradient, setting.gradient(), setting.size(), dtype)
    on_line, beside = along_a_line(reference.case)
    value, off = run(on_line)[0], run(beside)[0]
    yield "slope 1 on the segment", equal(value, np.zeros_like(value), on_line.size())
    yield "a weight a pixel leaves it", differs(off - value, beside.penalty(), beside.size())


CLAIM = Claim(
    id="C16",
    title="WGAN-GP is 0 exactly where the critic's slope on the segment is 1, and finite where it is 0",
    formula="(‖∇c(x̂)‖ - 1)², x̂ = u·x + (1-u)·y, one u a sample; c = w·x: (‖w‖ - 1)²",
    source="Gulrajani et al. 2017, eq. 3; Mescheder et al. 2018, eq. 9",
    methods=("wgan_gradient_penalty",),
    cases=("tanh-mlp", "flat-sample"),
    measure=measure,
    wrong={
        "a weight a pixel": lambda m, bridge: {
            "wgan_gradient_penalty": lambda critic, real, fake, mix, **options: m.wgan_gradient_penalty(
                critic, *[fake + real**2 / (real**2 + fake**2) * (real - fake)] * 2, mix, **options
            )
        },
        "1e-12 under the root": lambda m, bridge: {
            "wgan_gradient_penalty": lambda critic, real, fake, mix, *, target=1.0: (
                ((m.wgan_gradient_penalty(critic, real, fake, mix, target=0.0) + 1e-12) ** 0.5 - target) ** 2
            )
        },
        "the target is always 1": lambda m, bridge: {
            "wgan_gradient_penalty": lambda critic, real, fake, mix, target=1.0: m.wgan_gradient_penalty(
                critic, real, fake, mix
            )
        },
    },
    control="flat-sample",
)
