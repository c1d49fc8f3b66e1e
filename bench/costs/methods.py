"""What is timed: training objectives made of the contract's methods, and the passes that each cannot do without."""

from collections.abc import Callable
from dataclasses import astuple, dataclass, replace
from fnmatch import fnmatch
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np

from bench.costs.large import checked
from equivalence.cases import TABLES, Case
from equivalence.oracle import Loss, pullbacks, values
from equivalence.oracle.trees import add, scaled
from equivalence.problem import Point
from equivalence.usages import Pulled, Usage, attacked, perturbed, smoothed, smoothed_pull, usages

WEIGHT = 0.1  # of a regulariser beside the loss; no cost depends on it
MANY_INPUTS = 64  # of a sample, from which on an exact Laplacian is no training method


@dataclass(frozen=True)
class Passes:
    """How often a step goes through the network: forward, for the inputs' gradient alone, backward as in a plain step.

    To go backward through an input gradient costs two of them: one passes on, one is for the weights. Layers count
    where a pass spares them, or they are all there is: a first layer whose input gradient nobody reads, a last one
    that turns a constant into gradients.
    """

    forward: int = 0
    input_gradient: int = 0
    backward: int = 0
    first_layer: int = 0
    last_layer: int = 0

    @property
    def nominal(self) -> int:
        """Count in forward passes, as if layers were alike and many: the inputs' gradient is 1, a backward pass 2."""
        return self.forward + self.input_gradient + 2 * self.backward

    def plus(self, other: "Passes", times: int = 1) -> "Passes":
        return Passes(*(a + times * b for a, b in zip(astuple(self), astuple(other), strict=True)))


PLAIN, ATTACKED, DOUBLE = Passes(1, 0, 1), Passes(2, 1, 1), Passes(1, 1 + 2, 1)


@dataclass(frozen=True)
class Method:
    """One training objective and the least that a step of it can cost, in passes and in words.

    The words count as `nominal` does. Where an exact sum takes `each` as often as the case says, they speak of once.
    """

    usage: Usage
    passes: Passes
    derivation: str
    draws: tuple[str, ...] = ()  # patterns of the case's arrays that it takes
    quick: bool = False  # whether a quick run times it
    swept: bool = False  # a size of another method, timed to see how cost grows
    whole: bool = False  # whether the oracle needs the gradient in every parameter, which it has of no large case
    refuses: Callable[[Case], str] = lambda case: ""
    each: Passes = Passes()
    times: Callable[[Case], int] = lambda case: 0

    @property
    def name(self) -> str:
        return self.usage.name

    @property
    def floor(self) -> Fraction:
        """A lower bound in plain steps, which assumes that all layers cost the same; `passes.floor` counts."""
        return Fraction(self.passes.plus(self.each).nominal, PLAIN.nominal)

    def unsupported(self, case: Case) -> str:
        """Why the method cannot be used on a case, in words; empty where it can."""
        if reason := self.refuses(case):
            return reason
        if self.whole and checked(case) is not case:
            return "too large for the oracle to check it: that would take the gradient in every parameter"
        missing = [draw for draw in self.draws if not any(fnmatch(name, draw) for name in case.extra)]
        return f"the workload comes without {', '.join(missing)}" if missing else ""

    def least(self, case: Case) -> Passes:
        """The passes that a step on the case cannot do without."""
        return self.passes.plus(self.each, self.times(case))

    def taken(self, case: Case) -> Case:
        """The case with what the method takes alone: every array is handed over, and paid for, at every step."""
        extra = {name: array for name, array in case.extra.items() if any(fnmatch(name, draw) for draw in self.draws)}
        return replace(case, extra=extra)


def regularised(
    name: str,
    method: str,
    regulariser: Callable[[Any, Point], Any],
    shared: Callable[[Any, Point], tuple[Any, Any]] | None = None,
) -> Usage:
    """loss + WEIGHT · regulariser; `shared` gives (regulariser, loss) with one forward pass for the two."""

    def call(m: SimpleNamespace, p: Point) -> Any:
        penalty, loss = shared(m, p) if shared else (regulariser(m, p), p.loss(p.x))
        return loss + WEIGHT * penalty

    def pull(p: Point) -> Callable[[np.ndarray], Pulled]:
        pullback = regulariser(pullbacks, p)
        return lambda c: add(p.loss.vjp(p.x, c), scaled(WEIGHT, pullback(c)))  # type: ignore[attr-defined]

    return Usage(name, method, call, pull)


def with_loss(name: str, method: str, regulariser: Callable[..., Any]) -> Usage:
    """Describe training with a regulariser that gives the loss as well."""
    return regularised(name, method, regulariser, lambda m, p: regulariser(m, p, with_loss=True))


def with_outputs(name: str, method: str, regulariser: Callable[..., Any]) -> Usage:
    """Describe training with a regulariser that gives the model's outputs as well."""

    def shared(m: SimpleNamespace, p: Point) -> tuple[Any, Any]:
        penalty, outputs = regulariser(m, p, with_outputs=True)
        return penalty, m.cross_entropy(outputs, p.labels)

    return regularised(name, method, regulariser, shared)


def taking(name: str, method: str, regulariser: Callable[..., Any], argument: str) -> Usage:
    """Describe training with a regulariser that takes the model's outputs, under this name."""

    def shared(m: SimpleNamespace, p: Point) -> tuple[Any, Any]:
        outputs = p.f(p.x)
        return regulariser(m, p, **{argument: outputs}), m.cross_entropy(outputs, p.labels)

    return regularised(name, method, regulariser, shared)


def weighed(
    name: str,
    method: str,
    regulariser: Callable[[Any, Point], Any],
    pullback: Callable[[Any], Callable[[np.ndarray], dict[str, Any]]],
) -> Usage:
    """The loss plus WEIGHT times one number of the parameters, whose `pullback` gives their gradients."""

    def call(m: SimpleNamespace, p: Point) -> Any:
        return p.loss(p.x) + WEIGHT * regulariser(m, p)

    def pull(p: Any) -> Callable[[np.ndarray], Pulled]:
        def pulled(c: np.ndarray) -> Pulled:
            gradient = dict(p.of_params.vjp(p.params, c))
            bars = scaled(WEIGHT, pullback(p)(c.sum()))
            return None, gradient | {name: add(gradient[name], bar) for name, bar in bars.items()}

        return pulled

    return Usage(name, method, call, pull)


def renamed(name: str, usage: Usage) -> Usage:
    return Usage(name, usage.method, usage.call, usage.pull)


def ascended(steps: int) -> Usage:
    return perturbed(
        f"pgd-{steps}",
        "pgd",
        lambda m, p: m.pgd(p.loss, p.x, p.extra.start, radius=0.5, step=0.2, steps=steps),
    )


def mixed(m: Any, p: Any) -> Any:
    perturbation = (values if m is pullbacks else m).fgm(p.loss, p.x, radius=0.5)
    return m.adversarial_loss(p.loss, p.x, perturbation, clean_weight=0.5)


def freelb(m: Any, p: Point) -> Any:
    return m.freelb_loss(p.loss, p.x, p.extra.start, radius=0.5, step=0.2, steps=3)[0]


def penalised(name: str, **options: Any) -> Usage:
    def penalty(m: Any, p: Point, **more: Any) -> Any:
        return m.input_gradient_penalty(p.loss, p.x, **options, **more)

    return with_loss(name, "input_gradient_penalty", penalty)


def contracted(m: Any, p: Point, **more: Any) -> Any:
    return m.jacobian_penalty(p.f, p.x, probes=p.extra.class_probes, **more)


def contracted_exactly(m: Any, p: Point, **more: Any) -> Any:
    return m.jacobian_penalty(p.f, p.x, **more)


def smoothed_out(m: Any, p: Point, **more: Any) -> Any:
    return m.tikhonov_penalty("kl_divergence", p.f, p.x, probes=p.extra.class_probes, **more)


def curved(name: str, probed: bool = True, **options: Any) -> Usage:
    def curvature(m: Any, p: Point, **more: Any) -> Any:
        return m.laplacian(p.loss, p.x, probes=p.extra.probes if probed else None, **options, **more)

    return with_loss(name, "laplacian", curvature)


def consistent(m: Any, p: Point, **more: Any) -> Any:
    return m.consistency_loss(m.kl_divergence, p.f, p.x, p.extra.noise, **more)


def critic(p: Point) -> Any:
    """The first output alone, a function of x with the oracle's gradient where p has one."""
    return Loss(p.f, "value", p.labels)


def centred(m: Any, p: Point) -> Any:
    """R1: every weight is on the data."""
    return m.wgan_gradient_penalty(critic(p), p.x, p.x, 0 * p.extra.mix + 1, target=0.0)


def virtual(name: str, **options: Any) -> Usage:
    def smoothness(m: Any, p: Point, **more: Any) -> Any:
        return m.vat_loss(p.f, p.x, p.extra.start, radius=0.5, **options, **more)

    return taking(name, "vat_loss", smoothness, "logits")


def normalized(m: Any, p: Any) -> Any:
    return p.of_table(m.normalize_embedding(p.table, p.extra.frequencies))


def normalized_pull(p: Any) -> Callable[[np.ndarray], Pulled]:
    table = values.normalize_embedding(p.table, p.extra.frequencies)

    def pullback(c: np.ndarray) -> Pulled:
        bars = dict(p.of_params.vjp(p.of_table.at(table), c))
        return None, bars | {
            p.case.table: pullbacks.normalize_embedding(p.table, p.extra.frequencies)(bars[p.case.table])
        }

    return pullback


def layers(p: Point) -> dict[str, tuple[Any, Any]]:
    """Weights and kernels, each with the start of its power iteration; an embedding's table is no map."""
    return {name: (p.params[name], u) for name, u in p.numbered("u").items() if name not in TABLES}


def spectral(m: Any, p: Point) -> Any:
    """½ Σ σ² over the layers (Yoshida & Miyato 2017, eq. 5)."""
    return 0.5 * sum(m.spectral_norm(weight, u)[0] ** 2 for weight, u in layers(p).values())


def spectral_pullback(p: Any) -> Callable[[np.ndarray], dict[str, Any]]:
    def pullback(c: np.ndarray) -> dict[str, Any]:
        return {
            name: pullbacks.spectral_norm(weight, u)[0](c * values.spectral_norm(weight, u)[0])
            for name, (weight, u) in layers(p).items()
        }

    return pullback


def bounded(m: Any, p: Point) -> Any:
    return m.lipschitz_bound(*map(list, zip(*layers(p).values(), strict=True)))


def bounded_pullback(p: Any) -> Callable[[np.ndarray], dict[str, Any]]:
    return lambda c: dict(zip(layers(p), bounded(pullbacks, p)(c), strict=True))


def descended(m: Any, p: Point) -> Any:
    return m.parameter_gradient_penalty(p.of_params, p.params, rate=0.5)


def embedded(case: Case) -> str:
    """Why a method of embeddings is not for this case."""
    return "" if case.tokens is not None else "the inputs are numbers: there is no embedding, and no padding, to act on"


def few_inputs(case: Case) -> str:
    """Why an exact Laplacian is not for this case."""
    if inputs(case) <= MANY_INPUTS:
        return ""
    return f"{inputs(case)} inputs a sample, with a Hessian product for each; timed for {MANY_INPUTS} at most"


def inputs(case: Case) -> int:
    """Numbers in one sample of what is perturbed."""
    one = case.params[str(case.table)][case.tokens[0]] if case.x is None else case.x[0]  # type: ignore[index]
    return one.size


def classes(case: Case) -> int:
    """Outputs of the model."""
    return case.extra["class_probes"].shape[-1]


ATTACK = "attack: forward 1, input gradient 1; training on the perturbed inputs: forward 1, backward 2"
PENALTY = "forward, shared with the loss, 1, input gradient 1, backward through both 4"
PROBED = "forward, shared with the loss, 1, one probe's input gradient 1, backward through both 4"
VIRTUAL = (
    "clean forward, shared with the loss, 1, one power step: change of the logits 1, input gradient 1, perturbed"
    " forward 1, backward through the clean and the perturbed pass 4"
)

METHODS = {
    timed.name: timed
    for timed in (
        Method(
            Usage("plain", "cross_entropy", lambda m, p: p.loss(p.x), lambda p: lambda c: p.loss.vjp(p.x, c)),
            PLAIN,
            "forward 1, backward 2",
            quick=True,
        ),
        Method(
            Usage("noise", "noisy_loss", lambda m, p: m.noisy_loss(p.loss, p.x, p.extra.noise)),
            PLAIN,
            "forward at the noisy inputs 1, backward 2; the clean loss is not computed",
            ("noise",),
            quick=True,
        ),
        Method(
            Usage("dropout", "dropout_loss", lambda m, p: m.dropout_loss(p.loss, p.x, p.extra.masks)),
            PLAIN,
            "forward at the masked inputs 1, backward 2; any other multiplicative noise is the same step",
            ("masks",),
        ),
        Method(
            renamed("weight_noise", usages()["weight_noise"]),
            PLAIN,
            "forward with noisy parameters 1, backward 2",
            ("noise *",),
            whole=True,
        ),
        Method(
            Usage("label_smoothing", "smooth_labels", smoothed, smoothed_pull),
            PLAIN,
            "forward 1, backward 2; the labels cost nothing",
        ),
        Method(renamed("flooding", usages()["flooding"]), PLAIN, "forward 1, backward 2; a sign is turned"),
        Method(
            taking("consistency", "consistency_loss", consistent, "outputs"),
            Passes(2, 0, 2),
            "clean forward, shared with the loss, 1, noisy forward 1, backward through both 4",
            ("noise",),
            quick=True,
        ),
        Method(renamed("fgm", attacked()), ATTACKED, ATTACK, quick=True),
        Method(renamed("fgsm", attacked(norm="linf")), ATTACKED, ATTACK),
        Method(renamed("fgm raw", attacked(norm="raw")), ATTACKED, ATTACK),
        *(
            Method(
                ascended(steps),
                Passes(steps + 1, steps, 1),
                f"attacks: forward {steps}, input gradient {steps}; training on the perturbed inputs: forward 1,"
                " backward 2",
                ("start",),
                swept=steps not in (3, 10),
            )
            for steps in (1, 3, 10, 30)
        ),
        Method(
            Usage("mixed", "adversarial_loss", mixed, lambda p: mixed(pullbacks, p)),
            Passes(2, 1, 2),
            "clean forward, shared with the attack, 1, input gradient 1, perturbed forward 1, backward through both 4",
        ),
        Method(
            Usage("freelb-3", "freelb_loss", freelb, lambda p: freelb(pullbacks, p)),
            Passes(3, 2, 3),
            "three points' forward 3, input gradient at all but the last 2, backward through all 6",
            ("start",),
        ),
        Method(
            usages()["perturb_table"],
            ATTACKED,
            ATTACK,
            refuses=embedded,
            whole=True,
        ),
        Method(
            usages()["perturb_output"],
            ATTACKED,
            ATTACK,
            ("padding",),
            refuses=embedded,
        ),
        Method(
            Usage("normalize_embedding", "normalize_embedding", normalized, normalized_pull),
            PLAIN,
            "forward on the normalised table 1, backward 2",
            ("frequencies",),
            refuses=embedded,
            whole=True,
        ),
        Method(penalised("gradient_penalty"), DOUBLE, PENALTY, quick=True),
        Method(
            penalised("gradient_penalty forward_over_reverse", how="forward_over_reverse"),
            Passes(1 + 1 + 2, 1, 1, first_layer=-1),
            "forward, shared with the loss, 1, input gradient 1, derivative along it 1, backward through loss 2 and"
            " derivative 2",
        ),
        Method(
            penalised("gradient_penalty finite_difference", how="finite_difference", xi=0.1),
            Passes(3, 1, 3),
            "forward, shared with the loss, 1, input gradient 1, two more points' forward 2, backward through all 6",
        ),
        Method(
            with_outputs("jacobian_penalty", "jacobian_penalty", contracted),
            Passes(1, 1 + 2, 1, last_layer=-1),
            PROBED,
            ("class_probes",),
            quick=True,
        ),
        Method(
            with_outputs("jacobian_penalty exact", "jacobian_penalty", contracted_exactly),
            PLAIN,
            "forward, shared with the loss, 1, backward 2; for each class an input gradient 1, backward through it 2",
            each=Passes(0, 1 + 2, 0, last_layer=-1),
            times=classes,
        ),
        Method(
            with_outputs("tikhonov_penalty", "tikhonov_penalty", smoothed_out),
            DOUBLE,
            PROBED,
            ("class_probes",),
        ),
        Method(
            regularised(
                "wgan_gradient_penalty",
                "wgan_gradient_penalty",
                lambda m, p: m.wgan_gradient_penalty(critic(p), p.x, p.extra.vector, p.extra.mix),
            ),
            Passes(2, 1 + 2, 2, last_layer=-4),
            "forward 1, backward 2; between the two batches: forward 1, input gradient 1, backward through both 4",
            ("vector", "mix"),
        ),
        Method(
            regularised("r1", "wgan_gradient_penalty", centred),
            Passes(1, 1 + 2, 1, last_layer=-1),
            PENALTY,
            ("mix",),
        ),
        Method(
            curved("laplacian"),
            Passes(2 + 2, 2 + 4, 1, first_layer=-4),
            "forward, shared with the loss, 1, input gradient 1, the derivative of both along one probe 2, backward"
            " through the four 8",
            ("probes",),
            quick=True,
        ),
        Method(
            curved("laplacian forward", how="forward"),
            Passes(3 + 4, 0, 1, first_layer=-4),
            "forward, shared with the loss, 1, its first and second derivative along one probe 2, backward through the"
            " three 6",
            ("probes",),
        ),
        Method(
            curved("laplacian exact", probed=False),
            Passes(1, 1 + 2, 1, first_layer=-3),
            "forward, shared with the loss, 1, input gradient 1, backward through both 4; for each input the derivative"
            " of both 2, backward through it 4",
            refuses=few_inputs,
            each=Passes(1 + 2, 1 + 2, 0, first_layer=-1),
            times=inputs,
        ),
        Method(
            curved("laplacian exact forward", probed=False, how="forward"),
            Passes(1 + 1 + 2, 0, 1),
            "forward, shared with the loss, 1, backward 2; second derivatives summed over the inputs 1, backward"
            " through them 2; for each input the first derivative 1, backward through it 2, but for the first layer,"
            " whose derivatives are the same for all samples",
            refuses=few_inputs,
            each=Passes(1 + 2, first_layer=-3),
            times=inputs,
            swept=True,
        ),
        Method(virtual("vat"), Passes(3, 1, 2), VIRTUAL, ("start",), quick=True),
        *(
            Method(
                virtual(f"vat-{steps}", steps=steps),
                Passes(2 + steps, steps, 2),
                f"clean forward, shared with the loss, 1, power steps: change {steps}, input gradient {steps},"
                " perturbed forward 1, backward through the clean and the perturbed pass 4",
                ("start",),
                swept=True,
            )
            for steps in (1, 3, 10, 30)
        ),
        Method(virtual("vat entropy", entropy_weight=1.0), Passes(3, 1, 2), VIRTUAL, ("start",)),
        Method(
            virtual("vat finite_difference", how="finite_difference", xi=0.01),
            Passes(3, 1, 2),
            "clean forward, shared with the loss, 1, one power step: forward 1, input gradient 1, perturbed forward 1,"
            " backward through the clean and the perturbed pass 4",
            ("start",),
        ),
        Method(
            virtual("vat exact", how="exact"),
            Passes(2 + 2, 1 + 1, 2, first_layer=-1),
            "clean forward, shared with the loss, 1, one power step: forward 1, input gradient 1, their derivative 2,"
            " perturbed forward 1, backward through the clean and the perturbed pass 4",
            ("start",),
        ),
        Method(
            weighed("spectral_norm", "spectral_norm", spectral, spectral_pullback),
            PLAIN,
            "forward 1, backward 2; the power iteration takes two products with a vector a layer, whatever the batch",
            ("u *",),
            whole=True,
        ),
        Method(
            weighed("lipschitz_bound", "lipschitz_bound", bounded, bounded_pullback),
            PLAIN,
            "forward 1, backward 2; the power iteration takes two products with a vector a layer, whatever the batch",
            ("u *",),
            whole=True,
        ),
        Method(
            weighed(
                "parameter_gradient_penalty",
                "parameter_gradient_penalty",
                descended,
                lambda p: descended(pullbacks, p),
            ),
            Passes(0, -1, 5),  # 1, 0, 4, and what a backward pass is short of a forward and an input gradient's work
            "forward, shared with the loss, 1, backward 2, backward through both 6",
            whole=True,
        ),
    )
}
