"""Every method as it is used: per-sample numbers whose mean a training step would differentiate.

`call(m, p)` takes a namespace of methods and a point. It serves the three frameworks and the oracle's values; with the
oracle's pullbacks in place of the methods it gives the gradient. Where a method is only part of the objective, `pull`
says what the gradient is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from equivalence.oracle import pullbacks, values
from equivalence.oracle.derivative import tree_map
from equivalence.problem import Point

Pulled = tuple[Any, dict[str, Any]]


@dataclass(frozen=True)
class Usage:
    name: str
    method: str
    call: Callable[[Any, Point], Any]
    pull: Callable[[Point], Callable[[np.ndarray], Pulled]] | None = None

    @property
    def main(self) -> bool:
        """Whether it stands for its method: the one that is checked on every case."""
        return self.name == self.method

    def value(self, point: Point) -> np.ndarray:
        """By the oracle, (B,)."""
        return self.call(values, point)

    def gradient(self, point: Point) -> Pulled:
        """By the oracle, of the mean over the batch: (x_bar, params_bar)."""
        pullback = self.pull(point) if self.pull else self.call(pullbacks, point)
        batch = len(point.x)
        return pullback(np.full(batch, 1 / batch))


def attacked(**options: Any) -> Usage:
    """The loss at an FGM perturbation that is held fixed."""
    name = " ".join(["fgm", *options.values()])

    def call(m: SimpleNamespace, p: Point) -> Any:
        return p.loss(p.x + m.fgm(p.loss, p.x, radius=0.5, **options))

    def pull(p: Point) -> Callable[[np.ndarray], Pulled]:
        return lambda c: p.loss.vjp(p.x + values.fgm(p.loss, p.x, radius=0.5, **options), c)  # type: ignore[attr-defined]

    return Usage(name, "fgm", call, pull)


def of_outputs(name: str, method: str, call: Callable[[Any, Any, Point], Any]) -> Usage:
    """A loss of f(x)."""

    def pull(p: Point) -> Callable[[np.ndarray], Pulled]:
        def pullback(c: np.ndarray) -> Pulled:
            bar = call(pullbacks, p.f(p.x), p)(c)
            return p.f.vjp(p.x, bar[0] if isinstance(bar, tuple) else bar)  # type: ignore[attr-defined]

        return pullback

    return Usage(name, method, lambda m, p: call(m, p.f(p.x), p), pull)


def divergence_pull(p: Point) -> Callable[[np.ndarray], Pulled]:
    def pullback(c: np.ndarray) -> Pulled:
        moved = p.x + p.extra.noise[0]
        p_bar, q_bar = pullbacks.kl_divergence(p.f(p.x), p.f(moved))(c)
        parts = p.f.vjp(p.x, p_bar), p.f.vjp(moved, q_bar)  # type: ignore[attr-defined]
        return tree_map(lambda a, b: a + b, *parts)

    return pullback


def perturbed_pull(p: Point) -> Callable[[np.ndarray], Pulled]:
    r = values.vat_perturbation(p.f, p.x, p.extra.start, radius=0.5)
    return lambda c: p.loss.vjp(p.x + r, c)  # type: ignore[attr-defined]


def hvp_pull(p: Point) -> Callable[[np.ndarray], Pulled]:
    """Of c‖Hv‖: c·Hv/‖Hv‖ is the cotangent of Hv."""

    def pullback(c: np.ndarray) -> Pulled:
        direction = values.unit(values.hvp(p.loss, p.x, p.extra.vector))
        return pullbacks.hvp(p.loss, p.x, p.extra.vector)(pullbacks.samples(c, p.x) * direction)

    return pullback


def loss_pull(p: Point) -> Callable[[np.ndarray], Pulled]:
    return lambda c: p.loss.vjp(p.x, c)  # type: ignore[attr-defined]


USAGES = (
    Usage("cross_entropy", "cross_entropy", lambda m, p: p.loss(p.x), loss_pull),
    of_outputs(
        "cross_entropy soft labels", "cross_entropy", lambda m, out, p: m.cross_entropy(out, p.extra.soft_labels)
    ),
    of_outputs("squared_error", "squared_error", lambda m, out, p: m.squared_error(out, p.extra.targets)),
    Usage(
        "kl_divergence",
        "kl_divergence",
        lambda m, p: m.kl_divergence(p.f(p.x), p.f(p.x + p.extra.noise[0])),
        divergence_pull,
    ),
    of_outputs("entropy", "entropy", lambda m, out, p: m.entropy(out)),
    Usage("noisy_loss", "noisy_loss", lambda m, p: m.noisy_loss(p.loss, p.x, p.extra.noise)),
    Usage(
        "consistency_loss",
        "consistency_loss",
        lambda m, p: m.consistency_loss(m.kl_divergence, p.f, p.x, p.extra.noise),
    ),
    attacked(),
    attacked(norm="linf"),
    attacked(norm="raw"),
    attacked(scope="tensor"),
    Usage("input_gradient_penalty", "input_gradient_penalty", lambda m, p: m.input_gradient_penalty(p.loss, p.x)),
    Usage(
        "input_gradient_penalty l2",
        "input_gradient_penalty",
        lambda m, p: m.input_gradient_penalty(p.loss, p.x, norm="l2"),
    ),
    Usage(
        "input_gradient_penalty l1",
        "input_gradient_penalty",
        lambda m, p: m.input_gradient_penalty(p.loss, p.x, norm="l1"),
    ),
    Usage("jacobian_penalty", "jacobian_penalty", lambda m, p: m.jacobian_penalty(p.f, p.x)),
    Usage(
        "jacobian_penalty weighted probes",
        "jacobian_penalty",
        lambda m, p: m.jacobian_penalty(p.f, p.x, weights=p.extra.class_weights, probes=p.extra.class_probes),
    ),
    Usage(
        "hvp",
        "hvp",
        lambda m, p: m.l2_norm(m.hvp(p.loss, p.x, p.extra.vector)),
        hvp_pull,
    ),
    Usage("laplacian", "laplacian", lambda m, p: m.laplacian(p.loss, p.x, probes=p.extra.probes)),
    Usage("top_eigenpair", "top_eigenpair", lambda m, p: m.top_eigenpair(p.loss, p.x, p.extra.start, steps=1)[0]),
    Usage(
        "vat_perturbation",
        "vat_perturbation",
        lambda m, p: p.loss(p.x + m.vat_perturbation(p.f, p.x, p.extra.start, radius=0.5)),
        perturbed_pull,
    ),
    Usage("vat_loss", "vat_loss", lambda m, p: m.vat_loss(p.f, p.x, p.extra.start, radius=0.5)),
    Usage(
        "vat_loss exact",
        "vat_loss",
        lambda m, p: m.vat_loss(p.f, p.x, p.extra.start, radius=0.5, how="exact"),
    ),
)


def usages() -> dict[str, Usage]:
    return {usage.name: usage for usage in USAGES}
