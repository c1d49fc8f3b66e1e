"""Other right ways to compute what methods compute: a check that refuses one of them is wrong itself.

Each composes reference functions, arrays' own operators and the bridge, so that one definition serves the three
frameworks: replacements like those of planted mistakes, but right.
"""

from types import ModuleType, SimpleNamespace
from typing import Any

from equivalence.claim import Methods, Replacement
from equivalence.parts.composed import as_wide_as, at_least_float32

Array = Any


def mean_over(terms: list[Array]) -> Array:
    """Average K arrays, one after the other."""
    return sum(terms[1:], start=terms[0]) / len(terms)


def one_hot(m: SimpleNamespace, bridge: ModuleType) -> Methods:
    def cross_entropy(logits: Array, labels: Array) -> Array:
        return m.cross_entropy(logits, m.smooth_labels(labels, smoothing=0.0, like=logits))

    return {"cross_entropy": cross_entropy}


def class_by_class(m: SimpleNamespace, bridge: ModuleType) -> Methods:
    def squared_error(outputs: Array, targets: Array) -> Array:
        a, b = at_least_float32(bridge, outputs), at_least_float32(bridge, targets)
        errors = [a[:, c] - b[:, c] for c in range(outputs.shape[-1])]
        return sum(error * error for error in errors)  # a power of 0 has no third derivative in TensorFlow

    return {"squared_error": squared_error}


def loops_over_draws(m: SimpleNamespace, bridge: ModuleType) -> Methods:
    """A loss for each draw in a Python loop, where the reference maps over all of them."""

    def noisy_loss(loss: Any, x: Array, noise: Array) -> Array:
        return mean_over([loss(x + noise[k]) for k in range(noise.shape[0])])

    def dropout_loss(loss: Any, x: Array, masks: Array) -> Array:
        return mean_over([loss(x * masks[k]) for k in range(masks.shape[0])])

    def consistency_loss(divergence: Any, f: Any, x: Array, noise: Array, *, outputs: Any = None) -> Array:
        clean = f(x) if outputs is None else outputs
        return mean_over([divergence(clean, f(x + noise[k])) for k in range(noise.shape[0])])

    def weight_noise(loss: Any, params: dict[str, Array], noise: dict[str, Array]) -> Array:
        draws = next(iter(noise.values())).shape[0]
        moved = [{name: params[name] + noise[name][k] for name in params} for k in range(draws)]
        return mean_over([loss(each) for each in moved])

    return {
        "noisy_loss": noisy_loss,
        "dropout_loss": dropout_loss,
        "consistency_loss": consistency_loss,
        "weight_noise": weight_noise,
    }


def gradient_then_direction(m: SimpleNamespace, bridge: ModuleType) -> Methods:
    """FGM and its relatives from a differentiable gradient that is cut off afterwards."""

    def magnified(loss: Any) -> Any:  # where it is small: each sample's direction stays, and float16 keeps it
        def function(x: Array) -> Array:
            values = loss(x)
            held = bridge.fixed(values)
            small = as_wide_as(bridge, held > 0, values) * as_wide_as(bridge, held < 2.0**-10, values)
            return values + (2.0**12 - 1) * small * values

        return function

    def direction(loss: Any, x: Array, mask: Any, scope: str, **options: Any) -> Array:
        gradient = bridge.fixed(bridge.gradient(magnified(loss) if scope == "sample" else loss, x))
        options["scope"] = scope
        return m.steepest(gradient if mask is None else gradient * mask[:, :, None], **options)

    def fgm(loss: Any, x: Array, *, radius: Any, norm: str = "l2", scope: str = "sample") -> Array:
        return radius * direction(loss, bridge.fixed(x), None, norm=norm, scope=scope)

    def perturb_table(loss: Any, table: Array, *, radius: Any, norm: str = "l2") -> Array:
        return radius * direction(loss, bridge.fixed(table), None, norm=norm, scope="tensor")

    def perturb_output(
        loss: Any, x: Array, mask: Array, *, radius: Any, norm: str = "l2", scope: str = "sample"
    ) -> Array:
        return radius * direction(loss, bridge.fixed(x), mask, norm=norm, scope=scope)

    return {"fgm": fgm, "perturb_table": perturb_table, "perturb_output": perturb_output}


def ascent_by_hand(m: SimpleNamespace, bridge: ModuleType) -> Methods:
    """PGD and FreeLB written out with FGM and projections."""

    def steps_of(loss: Any, x: Array, start: Array, radius: Any, step: Any, steps: int, norm: str) -> list[Array]:
        points = [m.project(start, radius=radius, norm=norm)]
        for _ in range(steps):
            moved = points[-1] + m.fgm(loss, x + points[-1], radius=step, norm=norm)
            points.append(bridge.fixed(m.project(moved, radius=radius, norm=norm)))
        return [bridge.fixed(point) for point in points]

    def pgd(
        loss: Any,
        x: Array,
        start: Array,
        *,
        radius: Any,
        step: Any,
        steps: int,
        norm: str = "l2",
        bounds: Any = None,
    ) -> Array:
        if bounds is not None:
            return m.pgd(loss, x, start, radius=radius, step=step, steps=steps, norm=norm, bounds=bounds)
        return steps_of(loss, bridge.fixed(x), start, radius, step, steps, norm)[-1]

    def freelb_loss(
        loss: Any, x: Array, start: Array, *, radius: Any, step: Any, steps: int, norm: str = "l2"
    ) -> tuple[Array, Array]:
        points = steps_of(loss, x, start, radius, step, steps, norm)
        return mean_over([loss(x + point) for point in points[:-1]]), points[-1]

    return {"pgd": pgd, "freelb_loss": freelb_loss}


def mixture_by_hand(m: SimpleNamespace, bridge: ModuleType) -> Methods:
    def adversarial_loss(loss: Any, x: Array, perturbation: Array, *, clean_weight: float = 0.5) -> Array:
        return clean_weight * loss(x) + (1 - clean_weight) * loss(x + perturbation)

    return {"adversarial_loss": adversarial_loss}


def penalties_of_the_gradient(m: SimpleNamespace, bridge: ModuleType) -> Methods:
    """Norms of a differentiable gradient."""

    def input_gradient_penalty(
        loss: Any, x: Array, *, norm: str = "l2_squared", how: str = "double_backward", xi: float | None = None
    ) -> Array:
        if how != "double_backward" or norm == "l1":
            return m.input_gradient_penalty(loss, x, norm=norm, how=how, xi=xi)
        length = m.l2_norm(at_least_float32(bridge, bridge.gradient(loss, x)))
        return length if norm == "l2" else length * length

    def wgan_gradient_penalty(critic: Any, real: Array, fake: Array, mix: Array, *, target: float = 1.0) -> Array:
        weight = mix[(slice(None), *[None] * (len(real.shape) - 1))]
        gradient = bridge.gradient(critic, fake + weight * (real - fake))
        return (m.l2_norm(at_least_float32(bridge, gradient)) - target) ** 2

    def parameter_gradient_penalty(loss: Any, params: dict[str, Array], *, rate: Any) -> Array:
        gradients = bridge.value_and_grad(loss)(params)[1]
        parts = [at_least_float32(bridge, part[None]) for part in gradients.values()]
        return 0.25 * rate * sum(m.l2_norm(part)[0] ** 2 for part in parts)

    return {
        "input_gradient_penalty": input_gradient_penalty,
        "wgan_gradient_penalty": wgan_gradient_penalty,
        "parameter_gradient_penalty": parameter_gradient_penalty,
    }


def forward_over_reverse(m: SimpleNamespace, bridge: ModuleType) -> Methods:
    """A derivative of the gradient along itself, where the reference goes backwards twice."""

    def input_gradient_penalty(
        loss: Any, x: Array, *, norm: str = "l2_squared", how: str = "double_backward", xi: float | None = None
    ) -> Array:
        other = "forward_over_reverse" if how == "double_backward" else how
        return m.input_gradient_penalty(loss, x, norm=norm, how=other, xi=xi)

    def laplacian(loss: Any, x: Array, *, how: str = "hvp", probes: Any = None) -> Array:
        return m.laplacian(loss, x, how="forward" if how == "hvp" else "hvp", probes=probes)

    return {"input_gradient_penalty": input_gradient_penalty, "laplacian": laplacian}


def rows_one_by_one(m: SimpleNamespace, bridge: ModuleType) -> Methods:
    """The Jacobian row by row, each a gradient of one output."""

    def jacobian_penalty(f: Any, x: Array, *, weights: Any = None, probes: Any = None) -> Array:
        if probes is not None:
            return m.jacobian_penalty(f, x, weights=weights, probes=probes)
        rows = [bridge.gradient(lambda x, c=c: f(x)[:, c], x) for c in range(f(x).shape[-1])]
        squares = [m.l2_norm(at_least_float32(bridge, row)) ** 2 for row in rows]
        return sum(square if weights is None else weights[:, c] * square for c, square in enumerate(squares))

    def tikhonov_penalty(divergence: str, f: Any, x: Array, *, probes: Any = None) -> Array:
        if divergence != "squared_error" or probes is not None:
            return m.tikhonov_penalty(divergence, f, x, probes=probes)
        return 2 * jacobian_penalty(f, x)

    return {"jacobian_penalty": jacobian_penalty, "tikhonov_penalty": tikhonov_penalty}


def step_by_step(m: SimpleNamespace, bridge: ModuleType) -> Methods:
    """Iterations of K steps as K calls of one step, each from where the last one ended."""

    def vat_perturbation(
        f: Any,
        x: Array,
        start: Array,
        *,
        radius: Any,
        xi: float | None = None,
        steps: int = 1,
        how: str = "fisher",
    ) -> Array:
        for _ in range(steps):
            start = m.vat_perturbation(f, x, start, radius=1.0, xi=xi, how=how)
        return radius * start

    def top_eigenpair(loss: Any, x: Array, start: Array, *, steps: int, how: str = "power") -> tuple[Array, Array]:
        if how != "power":
            return m.top_eigenpair(loss, x, start, steps=steps, how=how)
        for _ in range(steps):
            start = m.unit(m.hvp(loss, x, m.unit(start)))
        return m.top_eigenpair(loss, x, start, steps=0)

    def spectral_norm(weight: Array, u: Array, *, steps: int = 1) -> tuple[Array, Array]:
        for _ in range(steps):
            sigma, u = m.spectral_norm(weight, u)
        return sigma, u

    return {"vat_perturbation": vat_perturbation, "top_eigenpair": top_eigenpair, "spectral_norm": spectral_norm}


def divergence_by_hand(m: SimpleNamespace, bridge: ModuleType) -> Methods:
    def vat_loss(
        f: Any,
        x: Array,
        start: Array,
        *,
        radius: Any,
        xi: float | None = None,
        steps: int = 1,
        how: str = "fisher",
        entropy_weight: float = 0.0,
    ) -> Array:
        r = m.vat_perturbation(f, x, start, radius=radius, xi=xi, steps=steps, how=how)
        logits = f(x)
        return m.kl_divergence(bridge.fixed(logits), f(x + r)) + entropy_weight * m.entropy(logits)

    return {"vat_loss": vat_loss}


ALTERNATIVES: tuple[Replacement, ...] = (
    one_hot,
    class_by_class,
    loops_over_draws,
    gradient_then_direction,
    ascent_by_hand,
    mixture_by_hand,
    penalties_of_the_gradient,
    forward_over_reverse,
    rows_one_by_one,
    step_by_step,
    divergence_by_hand,
)
