"""The cross-entropy with labels redraw_labels at random, by every label that there is: that with smoothed labels."""

import numpy as np

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.measure import equal, exact
from equivalence.parts.labels import redraw_labels, relabelled
from equivalence.parts.noise import exactly

RATES = (0.0, 0.1, 0.5)  # at which labels are redraw_labels


def measure(problem, reference):
    methods, soft = problem.methods, reference.case.extra["soft_labels"]
    one_hot = np.eye(soft.shape[1])[reference.case.labels]

    def smoothed(labels):
        def loss(point, rate):
            outputs = point.f(point.x)
            return methods.cross_entropy(outputs, methods.smooth_labels(labels(point), smoothing=rate, like=outputs))

        return loss

    def expected(labels):
        return np.stack([redraw_labels(reference, labels, rate) for rate in RATES])

    rates = [(rate,) for rate in RATES]
    yield from exactly(problem, smoothed(lambda point: point.labels), rates, expected(one_hot))
    measured = problem.rows(smoothed(lambda point: point.extra.soft_labels), rates)
    yield "soft labels", equal(measured, expected(soft))
    yield "relabelled", relabelled(problem, reference, soft.shape[1])
    other, rate = problem.in_dtype("float32").extra["soft_labels"], RATES[1]
    widened = problem.compile(lambda p: methods.smooth_labels(other, smoothing=rate, like=p.f(p.x)), sweep=False)()
    yield "soft labels of another dtype", equal(widened, oracle.values.smooth_labels(soft, smoothing=rate, like=soft))
    yield "its dtype", exact(np.array([widened.dtype.name != problem.dtype], float), 1.0, problem.dtype)


CLAIM = Claim(
    id="A6",
    title="Noise on the labels is label smoothing",
    formula="E over labels redraw_labels uniformly with probability s of -log p_label = -Σᵢ ((1-s)yᵢ + s/C) log pᵢ",
    source="Szegedy et al. 2016, §7",
    methods=("smooth_labels", "cross_entropy"),
    cases=("tanh-mlp",),
    measure=measure,
    wrong={
        "never redraw_labels to the label it had": lambda m, bridge: {
            "smooth_labels": lambda labels, smoothing, like: m.smooth_labels(
                labels, smoothing=smoothing * like.shape[-1] / (like.shape[-1] - 1), like=like
            )
        },
        "the label keeps its weight": lambda m, bridge: {
            "smooth_labels": lambda labels, smoothing, like: (
                m.smooth_labels(labels, smoothing=0.0, like=like) + smoothing / like.shape[-1]
            )
        },
        "averaged over the classes": lambda m, bridge: {
            "cross_entropy": lambda logits, labels: m.cross_entropy(logits, labels) / logits.shape[-1]
        },
    },
    control="tanh-mlp",
)
