"""Every method as it is used: numbers, most of them per sample, whose mean a training step would differentiate.

`call(m, p)` takes a namespace of methods and a point. It serves the three frameworks and the oracle's values; with the
oracle's pullbacks in place of the methods it gives the gradient. Where a method is only part of the objective, `pull`
says what the gradient is. Ways that must give the same number (`how`) are compared by claims E1 to E3.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from equivalence.cases import Case
from equivalence.oracle import pullbacks, values
from equivalence.oracle.trees import add
from equivalence.problem import Point

Pulled = tuple[Any, dict[str, Any]]
Pull = Callable[[Any], Callable[[np.ndarray], Pulled]]


@dataclass(frozen=True)
class Usage:
    name: str
    method: str
    call: Callable[[Any, Point], Any]
    pull: Pull | None = None
    applies: Callable[[Case], bool] = lambda case: True

    @property
    def main(self) -> bool:
        """Whether it stands for its method: the one that is checked on every case."""
        return self.name == self.method

    def value(self, point: Point) -> np.ndarray:
        """The value, by the oracle."""
        return np.asarray(self.call(values, point))

    def gradient(self, point: Point) -> Pulled:
        """The gradient of the mean of the values, by the oracle: (x_bar, params_bar)."""
        pullback = self.pull(point) if self.pull else self.call(pullbacks, point)
        value = self.value(point)
        return pullback(np.full(value.shape, 1 / value.size))


def option_words(options: dict[str, Any]) -> str:
    """Options as a usage's name shows them: strings and numbers by value."""
    return "".join(f" {value}" if isinstance(value, str) else f" {name} {value}" for name, value in options.items())


# Perturbations are used by the loss at x + r, r held fixed.


def perturbed(name: str, method: str, perturbation: Callable[[Any, Point], Any], **more: Any) -> Usage:
    """The loss at a perturbation of x that is held fixed."""

    def pull(p: Any) -> Callable[[np.ndarray], Pulled]:
        r = perturbation(values, p)
        return lambda c: p.loss.vjp(p.x + r, c)

    return Usage(name, method, lambda m, p: p.loss(p.x + perturbation(m, p)), pull, **more)


def attacked(**options: Any) -> Usage:
    """The loss at an FGM perturbation."""
    name = "fgm" + option_words(options)
    return perturbed(name, "fgm", lambda m, p: m.fgm(p.loss, p.x, radius=0.5, **options))


def ascended(norm: str = "l2", bounded: bool = False) -> Usage:
    """The loss at a PGD perturbation."""

    def perturbation(m: Any, p: Point) -> Any:
        bounds = {"bounds": p.case.bounds} if bounded else {}
        return m.pgd(p.loss, p.x, p.extra.start, radius=0.5, step=0.2, steps=2, norm=norm, **bounds)

    name = "pgd" + (f" {norm}" if norm != "l2" else "") + (" bounds" if bounded else "")
    return perturbed(name, "pgd", perturbation, applies=lambda case: not bounded or case.x is not None)


def perturbed_table(**options: Any) -> Usage:
    """The loss at a perturbed table."""

    def moved(m: Any, p: Point) -> Any:
        return p.table + m.perturb_table(p.of_table, p.table, radius=0.5, **options)

    def pull(p: Any) -> Callable[[np.ndarray], Pulled]:
        params = p.of_table.at(moved(values, p))
        return lambda c: (None, p.of_params.vjp(params, c))

    name = "perturb_table" + option_words(options)
    return Usage(name, "perturb_table", lambda m, p: p.of_table(moved(m, p)), pull, has_table)


def has_table(case: Case) -> bool:
    return case.table is not None


def projected(norm: str) -> Usage:
    """The loss at a projected point that depends on no parameter."""

    def point(m: Any, p: Point) -> Any:
        return m.project(p.extra.vector, radius=1.0, norm=norm)

    def pull(p: Any) -> Callable[[np.ndarray], Pulled]:
        return lambda c: (None, p.loss.vjp(point(values, p), c)[1])

    name = "project" + (f" {norm}" if norm != "l2" else "")
    return Usage(name, "project", lambda m, p: p.loss(point(m, p)), pull)


# Losses, and what is made of them.


def has_classes(case: Case) -> bool:
    """Whether the outputs are logits: a softmax over one is constant."""
    return case.extra["class_weights"].shape[1] > 1


def of_outputs(name: str, method: str, call: Callable[[Any, Any, Point], Any], **more: Any) -> Usage:
    """A loss of f(x)."""

    def pull(p: Any) -> Callable[[np.ndarray], Pulled]:
        def pullback(c: np.ndarray) -> Pulled:
            bar = call(pullbacks, p.f(p.x), p)(c)
            return p.f.vjp(p.x, bar[0] if isinstance(bar, tuple) else bar)

        return pullback

    return Usage(name, method, lambda m, p: call(m, p.f(p.x), p), pull, **more)


def loss_pull(p: Any) -> Callable[[np.ndarray], Pulled]:
    return lambda c: p.loss.vjp(p.x, c)


def divergence_pull(p: Any) -> Callable[[np.ndarray], Pulled]:
    def pullback(c: np.ndarray) -> Pulled:
        moved = p.x + p.extra.noise[0]
        p_bar, q_bar = pullbacks.kl_divergence(p.f(p.x), p.f(moved))(c)
        return add(p.f.vjp(p.x, p_bar), p.f.vjp(moved, q_bar))

    return pullback


def smoothed(m: Any, p: Point) -> Any:
    outputs = p.f(p.x)
    return m.cross_entropy(outputs, m.smooth_labels(p.labels, smoothing=0.1, like=outputs))


def smoothed_pull(p: Any) -> Callable[[np.ndarray], Pulled]:
    outputs = p.f(p.x)
    labels = values.smooth_labels(p.labels, smoothing=0.1, like=outputs)
    return lambda c: p.f.vjp(p.x, values.cross_entropy.vjp(outputs, labels, c))


def flooded_pull(p: Any) -> Callable[[np.ndarray], Pulled]:
    return lambda c: p.loss.vjp(p.x, pullbacks.flooding(p.loss(p.x), level=1.0)(c))


def consistent(divergence: str, reverse: bool = False) -> Usage:
    """A consistency loss; in reverse KL(noisy‖clean)."""

    def call(m: Any, p: Point) -> Any:
        measure = getattr(m, divergence)
        if reverse:  # the oracle has it by name, since its gradients are turned round as well
            measure = getattr(m, f"reverse_{divergence}", lambda a, b: m.kl_divergence(b, a))
        return m.consistency_loss(measure, p.f, p.x, p.extra.noise)

    name = "consistency_loss" + (" reverse" if reverse else "" if divergence == "kl_divergence" else f" {divergence}")
    return Usage(name, "consistency_loss", call, applies=divides(divergence))


def divides(divergence: str) -> Callable[[Case], bool]:
    """Which cases have outputs that the divergence is of."""
    return lambda case: divergence == "squared_error" or has_classes(case)


class Masked:
    """A model behind a dropout mask that all its passes share."""

    def __init__(self, f: Any, mask: Any):
        self.f, self.mask = f, mask

    def __call__(self, x: Any) -> Any:
        return self.f(x * self.mask)

    def vjp(self, x: np.ndarray, cotangent: np.ndarray) -> Pulled:
        x_bar, params_bar = self.f.vjp(x * self.mask, cotangent)
        return self.mask * x_bar, params_bar


# Penalties and curvature.


def penalised(**options: Any) -> Usage:
    name = "input_gradient_penalty" + option_words(options)
    return Usage(name, "input_gradient_penalty", lambda m, p: m.input_gradient_penalty(p.loss, p.x, **options))


def tikhonov(divergence: str, probes: bool = False) -> Usage:
    def call(m: Any, p: Point) -> Any:
        return m.tikhonov_penalty(divergence, p.f, p.x, probes=p.extra.class_probes if probes else None)

    name = (
        "tikhonov_penalty" + ("" if divergence == "kl_divergence" else f" {divergence}") + (" probes" if probes else "")
    )
    return Usage(name, "tikhonov_penalty", call, applies=divides(divergence))


def wgan(target: float) -> Usage:
    def call(m: Any, p: Point) -> Any:
        return m.wgan_gradient_penalty(p.loss, p.x, p.extra.vector, p.extra.mix, target=target)

    return Usage("wgan_gradient_penalty" + ("" if target else " zero-centred"), "wgan_gradient_penalty", call)


def hvp_pull(p: Any) -> Callable[[np.ndarray], Pulled]:
    """Pull c‖Hv‖ back: c·Hv/‖Hv‖ is the cotangent of Hv."""

    def pullback(c: np.ndarray) -> Pulled:
        direction = values.unit(values.hvp(p.loss, p.x, p.extra.vector))
        return pullbacks.hvp(p.loss, p.x, p.extra.vector)(pullbacks.samples(c, p.x) * direction)

    return pullback


def eigenvalue(**options: Any) -> Usage:
    name = "top_eigenpair" + option_words(options)
    return Usage(
        name,
        "top_eigenpair",
        lambda m, p: m.top_eigenpair(p.loss, p.x, p.extra.start, steps=2, **options)[0],
        lambda p: pullbacks.top_eigenpair(p.loss, p.x, p.extra.start, steps=2, **options)[0],
    )


# Weights and tables as arguments.


def matrices(p: Point) -> tuple[list[Any], list[Any]]:
    """Weights and kernels, and starts of their power iterations."""
    us = p.numbered("u")
    return [p.params[name] for name in us], list(us.values())


def normalized_pull(p: Any) -> Callable[[np.ndarray], Pulled]:
    """Pull c‖row‖ back: c·row/‖row‖ is the cotangent of a row."""
    rows = values.normalize_embedding(p.table, p.extra.frequencies)

    def pullback(c: np.ndarray) -> Pulled:
        bar = pullbacks.normalize_embedding(p.table, p.extra.frequencies)(c[:, None] * values.unit(rows))
        return None, {p.case.table: bar}

    return pullback


def spectral_pull(p: Any) -> Callable[[np.ndarray], Pulled]:
    weight, u = p.table, getattr(p.extra, f"u {p.case.table}")
    return lambda c: (None, {p.case.table: pullbacks.spectral_norm(weight, u, steps=3)[0](c)})


def bound_pull(p: Any) -> Callable[[np.ndarray], Pulled]:
    weights, us = matrices(p)
    return lambda c: (None, dict(zip(p.numbered("u"), pullbacks.lipschitz_bound(weights, us, steps=2)(c), strict=True)))


def only_params(pull: Callable[[Any], Callable[[np.ndarray], dict[str, Any]]]) -> Pull:
    """Pull back methods whose argument is the parameters: there is no x behind them."""
    return lambda p: lambda c: (None, pull(p)(c))


USAGES = (
    Usage("cross_entropy", "cross_entropy", lambda m, p: p.loss(p.x), loss_pull),
    of_outputs(
        "cross_entropy soft labels",
        "cross_entropy",
        lambda m, out, p: m.cross_entropy(out, p.extra.soft_labels),
        applies=has_classes,
    ),
    of_outputs("squared_error", "squared_error", lambda m, out, p: m.squared_error(out, p.extra.targets)),
    Usage(
        "kl_divergence",
        "kl_divergence",
        lambda m, p: m.kl_divergence(p.f(p.x), p.f(p.x + p.extra.noise[0])),
        divergence_pull,
        has_classes,
    ),
    of_outputs("entropy", "entropy", lambda m, out, p: m.entropy(out), applies=has_classes),
    projected("l2"),
    projected("linf"),
    projected("l1"),
    Usage("noisy_loss", "noisy_loss", lambda m, p: m.noisy_loss(p.loss, p.x, p.extra.noise)),
    consistent("kl_divergence"),
    consistent("kl_divergence", reverse=True),
    consistent("squared_error"),
    Usage("dropout_loss", "dropout_loss", lambda m, p: m.dropout_loss(p.loss, p.x, p.extra.masks)),
    Usage("smooth_labels", "smooth_labels", smoothed, smoothed_pull, has_classes),
    attacked(),
    attacked(norm="linf"),
    attacked(norm="l1"),
    attacked(norm="raw"),
    attacked(scope="tensor"),
    attacked(norm="l1", scope="tensor"),
    ascended(),
    ascended("linf"),
    ascended("l1"),
    ascended(bounded=True),
    Usage(
        "adversarial_loss",
        "adversarial_loss",
        lambda m, p: m.adversarial_loss(p.loss, p.x, p.extra.noise[0], clean_weight=0.25),
    ),
    Usage(
        "freelb_loss",
        "freelb_loss",
        lambda m, p: m.freelb_loss(p.loss, p.x, p.extra.start, radius=0.5, step=0.2, steps=2)[0],
        lambda p: pullbacks.freelb_loss(p.loss, p.x, p.extra.start, radius=0.5, step=0.2, steps=2)[0],
    ),
    perturbed(
        "freelb_loss perturbation",
        "freelb_loss",
        lambda m, p: m.freelb_loss(p.loss, p.x, p.extra.start, radius=0.5, step=0.2, steps=2, norm="linf")[1],
    ),
    penalised(),
    penalised(norm="l2"),
    penalised(norm="l1"),
    Usage("jacobian_penalty", "jacobian_penalty", lambda m, p: m.jacobian_penalty(p.f, p.x)),
    Usage(
        "jacobian_penalty weighted probes",
        "jacobian_penalty",
        lambda m, p: m.jacobian_penalty(p.f, p.x, weights=p.extra.class_weights, probes=p.extra.class_probes),
    ),
    tikhonov("kl_divergence"),
    tikhonov("kl_divergence", probes=True),
    tikhonov("squared_error"),
    wgan(1.0),
    wgan(0.0),
    Usage("hvp", "hvp", lambda m, p: m.l2_norm(m.hvp(p.loss, p.x, p.extra.vector)), hvp_pull),
    Usage("laplacian", "laplacian", lambda m, p: m.laplacian(p.loss, p.x, probes=p.extra.probes)),
    eigenvalue(),
    eigenvalue(how="lanczos"),
    perturbed(
        "vat_perturbation",
        "vat_perturbation",
        lambda m, p: m.vat_perturbation(p.f, p.x, p.extra.start, radius=0.5),
        applies=has_classes,
    ),
    Usage(
        "vat_loss",
        "vat_loss",
        lambda m, p: m.vat_loss(p.f, p.x, p.extra.start, radius=0.5),
        applies=has_classes,
    ),
    Usage(
        "vat_loss exact, 2 steps, entropy",
        "vat_loss",
        lambda m, p: m.vat_loss(p.f, p.x, p.extra.start, radius=0.5, how="exact", steps=2, entropy_weight=0.5),
        applies=has_classes,
    ),
    Usage(
        "vat_loss finite_difference",
        "vat_loss",
        lambda m, p: m.vat_loss(p.f, p.x, p.extra.start, radius=0.5, how="finite_difference", xi=0.01),
        applies=has_classes,
    ),
    Usage(
        "vat_loss dropout",
        "vat_loss",
        lambda m, p: m.vat_loss(Masked(p.f, p.extra.masks[0]), p.x, p.extra.start, radius=0.5),
        applies=has_classes,
    ),
    Usage(
        "normalize_embedding",
        "normalize_embedding",
        lambda m, p: m.l2_norm(m.normalize_embedding(p.table, p.extra.frequencies)),
        normalized_pull,
        has_table,
    ),
    perturbed_table(),
    perturbed_table(norm="linf"),
    perturbed(
        "perturb_output",
        "perturb_output",
        lambda m, p: m.perturb_output(p.loss, p.x, p.extra.padding, radius=0.5),
        applies=lambda case: "padding" in case.extra,
    ),
    Usage(
        "spectral_norm",
        "spectral_norm",
        lambda m, p: m.spectral_norm(p.table, getattr(p.extra, f"u {p.case.table}"), steps=3)[0],
        spectral_pull,
        has_table,
    ),
    Usage("lipschitz_bound", "lipschitz_bound", lambda m, p: m.lipschitz_bound(*matrices(p), steps=2), bound_pull),
    Usage(
        "parameter_gradient_penalty",
        "parameter_gradient_penalty",
        lambda m, p: m.parameter_gradient_penalty(p.of_params, p.params, rate=0.5),
        only_params(lambda p: pullbacks.parameter_gradient_penalty(p.of_params, p.params, rate=0.5)),
    ),
    Usage("flooding", "flooding", lambda m, p: m.flooding(p.loss(p.x), level=1.0), flooded_pull),
    Usage(
        "weight_noise",
        "weight_noise",
        lambda m, p: m.weight_noise(p.of_params, p.params, p.numbered("noise")),
        only_params(lambda p: pullbacks.weight_noise(p.of_params, p.params, p.numbered("noise"))),
    ),
)


def usages() -> dict[str, Usage]:
    return {usage.name: usage for usage in USAGES}
