"""The training objectives that are compared, as closures on the contract's methods. Imports no framework.

Where `impls.<framework>.training` has a line for it, that line is what trains (`wrapper`); all else is an objective of
the labelled point p, or of the unlabelled one u as well.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from equivalence.cases import TABLES
from equivalence.problem import Point

Draw = Literal["noise", "start", "masks", "pair", "class_probes", "u"]
Objective = Callable[
    [Any, Point, Point, float], Any
]  # methods, labelled, unlabelled, strength -> its mean is trained on

PGD_STEPS = 3
MOMENTUM = 0.875  # no 0.9: Keras has it in float32 whatever the model's precision, and training would part there
FLOODED = "flooding"
DROPPED = 0.1  # of what R-Drop masks twice


@dataclass(frozen=True)
class Wrapper:
    """A line of `training.py`: the function, the option that the strength is, the others, and where it acts."""

    function: str
    option: str
    options: dict[str, Any]
    where: Literal["x", "table", "output"] = "x"  # the input, which is an embedding's output where there is one


@dataclass(frozen=True)
class Regime:
    """One way to train. `strengths` are tried on the validation part, as many for each, in units that `unit` says."""

    name: str
    strengths: tuple[float, ...]
    unit: str
    objective: Objective | None = None
    wrapper: Wrapper | None = None
    draws: tuple[Draw, ...] = ()
    unlabelled: bool = False  # whether it takes samples without labels too
    text: bool = False  # whether it needs an embedding


def plain(m: Any, p: Point, u: Point, strength: float) -> Any:
    return p.loss(p.x)


def noisy(m: Any, p: Point, u: Point, strength: float) -> Any:
    return m.noisy_loss(p.loss, p.x, strength * p.extra.noise)


def dropped(m: Any, p: Point, u: Point, strength: float) -> Any:
    return m.dropout_loss(p.loss, p.x, p.extra.masks)  # at the rate that the strength is


def smoothed(m: Any, p: Point, u: Point, strength: float) -> Any:
    outputs = p.f(p.x)
    return m.cross_entropy(outputs, m.smooth_labels(p.labels, smoothing=strength, like=outputs))


def ascended(m: Any, p: Point, u: Point, strength: float) -> Any:
    step = strength / PGD_STEPS * 1.5  # as far as the edge, with a step and a half to turn
    perturbation = m.pgd(p.loss, p.x, 0 * p.x, radius=strength, step=step, steps=PGD_STEPS)
    return p.loss(p.x + perturbation)


def contracted(m: Any, p: Point, u: Point, strength: float) -> Any:
    penalty, outputs = m.jacobian_penalty(p.f, p.x, probes=p.extra.class_probes, with_outputs=True)
    return m.cross_entropy(outputs, p.labels) + strength * penalty


def virtual(m: Any, p: Point, u: Point, strength: float) -> Any:
    return p.loss(p.x) + m.vat_loss(u.f, u.x, u.extra.start, radius=strength)


def virtual_certain(m: Any, p: Point, u: Point, strength: float) -> Any:
    return p.loss(p.x) + m.vat_loss(u.f, u.x, u.extra.start, radius=strength, entropy_weight=1.0)


def consistent(m: Any, p: Point, u: Point, strength: float) -> Any:
    return p.loss(p.x) + m.consistency_loss(m.kl_divergence, u.f, u.x, strength * u.extra.noise)


def agreeing(m: Any, p: Point, u: Point, strength: float) -> Any:
    """Mean loss under two dropout masks, and how far apart they put the outputs (R-Drop; Liang et al. 2021, eq. 4)."""
    one, other = (p.f(p.x * p.extra.pair[number]) for number in range(2))
    losses = 0.5 * (m.cross_entropy(one, p.labels) + m.cross_entropy(other, p.labels))
    return losses + strength * 0.5 * (m.kl_divergence(one, other) + m.kl_divergence(other, one))


def flooded(m: Any, p: Point, u: Point, strength: float) -> Any:
    return m.flooding(m.mean(p.loss(p.x)), level=strength)


def descended(m: Any, p: Point, u: Point, strength: float) -> Any:
    """The penalty with its weight ¼·rate (`parameter_gradient_penalty`)."""
    return p.loss(p.x) + m.parameter_gradient_penalty(p.of_params, p.params, rate=strength)


def spectral(m: Any, p: Point, u: Point, strength: float) -> Any:
    """½ Σ σ² over the layers (Yoshida & Miyato 2017, eq. 5)."""
    layers = {name: start for name, start in p.numbered("u").items() if name not in TABLES}
    norms = [m.spectral_norm(p.params[name], start, steps=2)[0] for name, start in layers.items()]
    return p.loss(p.x) + strength * 0.5 * sum(norm**2 for norm in norms)


FGM = "adversarial_training"
HALVES = {"clean_weight": 0.5}  # half the clean loss, half the perturbed one
REGIMES = {
    regime.name: regime
    for regime in (
        Regime("plain", (0.0,), "–", plain),
        Regime("noise", (0.03, 0.1, 0.3, 1.0, 3.0), "standard deviation", noisy, draws=("noise",)),
        Regime("dropout", (0.1, 0.2, 0.3, 0.5, 0.7), "rate", dropped, draws=("masks",)),
        Regime("label smoothing", (0.02, 0.05, 0.1, 0.2, 0.4), "share", smoothed),
        Regime("fgm", (0.1, 0.3, 1.0, 3.0, 10.0), "radius", wrapper=Wrapper(FGM, "radius", HALVES)),
        Regime(
            "fgm table",
            (0.1, 0.3, 1.0, 3.0, 10.0),
            "radius",
            wrapper=Wrapper(FGM, "radius", HALVES, "table"),
            text=True,
        ),
        Regime(
            "fgm articles",
            (0.1, 0.3, 1.0, 3.0, 10.0),
            "radius",
            wrapper=Wrapper(FGM, "radius", {}, "table"),  # as in their code: the perturbed loss alone
            text=True,
        ),
        Regime(
            "fgsm",
            (0.003, 0.01, 0.03, 0.1, 0.3),
            "radius",
            wrapper=Wrapper(FGM, "radius", {**HALVES, "norm": "linf"}),
        ),
        Regime("pgd-3", (0.1, 0.3, 1.0, 3.0, 10.0), "radius", ascended),
        Regime(
            "gradient penalty",
            (0.03, 0.1, 0.3, 1.0, 3.0),
            "weight",
            wrapper=Wrapper("gradient_penalty_training", "weight", {"norm": "l2_squared"}),
        ),
        Regime(
            "gradient penalty table",
            (0.03, 0.1, 0.3, 1.0, 3.0),
            "weight",
            wrapper=Wrapper("gradient_penalty_training", "weight", {"norm": "l2_squared"}, "table"),
            text=True,
        ),
        Regime("jacobian penalty", (0.0001, 0.001, 0.01, 0.1, 1.0), "weight", contracted, draws=("class_probes",)),
        Regime("vat", (0.1, 0.3, 1.0, 3.0, 10.0), "radius", virtual, draws=("start",), unlabelled=True),
        Regime(
            "vat + entropy", (0.1, 0.3, 1.0, 3.0, 10.0), "radius", virtual_certain, draws=("start",), unlabelled=True
        ),
        Regime(
            "consistency",
            (0.03, 0.1, 0.3, 1.0, 3.0),
            "standard deviation",
            consistent,
            draws=("noise",),
            unlabelled=True,
        ),
        Regime("r-drop", (0.1, 0.3, 1.0, 3.0, 10.0), "weight", agreeing, draws=("pair",)),
        Regime(FLOODED, (0.02, 0.05, 0.1, 0.2, 0.4), "level", flooded),
        Regime("parameter penalty", (0.01, 0.1, 1.0, 3.0, 10.0), "rate", descended),
        Regime("spectral norm", (0.001, 0.01, 0.1, 0.3, 1.0), "weight", spectral, draws=("u",)),
    )
}
