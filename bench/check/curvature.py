"""The curvature that virtual adversarial training climbs, and what random probes of a Laplacian are worth."""

import functools
from types import SimpleNamespace
from typing import Any

import numpy as np

from bench.check.lines import Line, beside
from bench.check.statements import BAD, GOOD, OPEN, Section

CLASSES = 64  # beyond, the metric's spectrum is found by Lanczos
KRYLOV = 16
POWERS = (1, 2, 3, 5, 10)
PROBES = 12
EXACT_INPUTS = 128  # numbers of a sample up to which the Laplacian is taken exactly
ALIKE = 1e-6  # 1 - cosine, of a product that is exact
WINDOW = 0.99  # cosine that counts as the same direction
XIS = 10.0 ** np.arange(-8, 2.5, 0.5)  # in units of the points' norms


class PowerStep:
    """One step of `vat_perturbation`'s power iteration, compiled once: K steps are K of it, from where the last ended.

    Args:
        how: the way to the product with the metric.
        given: whether ξ is an argument; else the method chooses it.
    """

    def __init__(self, methods: SimpleNamespace, line: Line, how: str, *, given: bool = False):
        assert line.problem.logits is not None
        self.line, self.params, of = line, line.params_at(0.0), line.problem.logits

        def step(params: Any, x: Any, start: Any, *xi: Any) -> Any:
            options = {"xi": xi[0]} if given else {}
            return methods.vat_perturbation(lambda x: of(params, x), x, start, radius=1.0, how=how, **options)

        self.run = line.bridge.compiled(step, line.bridge.SWEEP_MODE)

    def __call__(self, start: np.ndarray, *xi: float) -> np.ndarray:
        line = self.line
        given = [line.array(np.asarray(each, line.x.dtype)) for each in (start, *xi)]
        return np.asarray(line.bridge.to_numpy(self.run(self.params, line.at(), *given)))


class Metric:
    """The Fisher metric of a classifier at each point: eigenvalues, top vectors, and its product with a vector."""

    def __init__(self, methods: SimpleNamespace, line: Line):
        self.line, self.methods, self.params = line, methods, line.params_at(0.0)
        assert line.problem.logits is not None
        self.of = line.problem.logits
        self.logits = line.compiled(self.of)(self.params, line.at()).astype(float)
        shifted = np.exp(self.logits - self.logits.max(1, keepdims=True))
        self.p = shifted / shifted.sum(1, keepdims=True)
        self.step = functools.cache(functools.partial(PowerStep, methods, line))  # by the way to the product
        few = self.logits.shape[1] <= CLASSES
        self.values, self.vectors = self.exactly() if few else self.by_lanczos()

    def exactly(self) -> tuple[np.ndarray, np.ndarray]:
        """From the whole Jacobian: (R, 2) and (R, N)."""
        bridge, of = self.line.bridge, self.of
        run = bridge.compiled(
            lambda params, x, rows: bridge.gradient(lambda x: of(params, x) * rows, x), bridge.SWEEP_MODE
        )
        rows = []
        for number in range(self.logits.shape[1]):
            cotangent = np.zeros_like(self.logits)
            cotangent[:, number] = 1
            row = bridge.to_numpy(
                run(self.params, self.line.at(), self.line.array(cotangent.astype(self.line.x.dtype)))
            )
            rows.append(row.reshape(len(row), -1).astype(float))
        jacobian = np.stack(rows, 1)  # (R, C, N)
        mean = np.einsum("rc,rcn->rn", self.p, jacobian)
        self.factor = np.sqrt(self.p)[:, :, None] * (jacobian - mean[:, None])  # the metric is factorᵀfactor
        values, left = np.linalg.eigh(np.einsum("rcn,rdn->rcd", self.factor, self.factor))
        top = np.einsum("rc,rcn->rn", left[:, :, -1], self.factor)
        return values[:, :-3:-1], top / np.maximum(np.linalg.norm(top, axis=1, keepdims=True), 1e-300)

    def by_lanczos(self) -> tuple[np.ndarray, np.ndarray]:
        """From products with the divergence's Hessian, which is the metric where nothing has moved."""
        line, methods, of = self.line, self.methods, self.of

        def product(params: Any, x: Any, vector: Any) -> Any:
            clean = line.bridge.fixed(of(params, x))
            return methods.hvp(lambda r: methods.kl_divergence(clean, of(params, x + r)), 0 * x, vector)

        run = line.bridge.compiled(product, line.bridge.SWEEP_MODE)
        basis = [normed(np.random.default_rng(0).standard_normal((len(line.x), line.x[0].size)))]
        products = []
        for _ in range(KRYLOV):
            given = line.array(basis[-1].reshape(line.x.shape).astype(line.x.dtype))
            products.append(
                line.bridge.to_numpy(run(self.params, line.at(), given)).reshape(basis[0].shape).astype(float)
            )
            rest = products[-1]
            for _ in range(2):
                rest = rest - sum((rest * b).sum(1, keepdims=True) * b for b in basis)
            basis.append(normed(rest))
        projected = np.einsum("krn,jrn->rkj", np.array(basis[:-1]), np.array(products))
        values, vectors = np.linalg.eigh((projected + projected.transpose(0, 2, 1)) / 2)
        return values[:, :-3:-1], np.einsum("rk,krn->rn", vectors[:, :, -1], np.array(basis[:-1]))


def normed(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300))


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """|cos| of the rows."""
    a, b = (normed(rows.reshape(len(rows), -1).astype(float)) for rows in (a, b))
    return np.abs((a * b).sum(1))


def look(methods: SimpleNamespace, line: Line, name: str, quick: bool, coupled: bool) -> Section:
    """What is found at one place, in float64."""
    section = Section("Curvature")
    section.numbers["place"] = name
    if line.problem.logits is None:
        section.say(
            OPEN, "The model returns no logits (B, C): virtual adversarial training and its metric do not apply."
        )
    elif coupled:
        section.say(
            OPEN,
            "Samples meet in what the model computes, so that no sample has a Fisher metric of its own: virtual"
            " adversarial directions are those of the whole batch. In evaluation mode it has one.",
        )
    else:
        say_metric(section, Metric(methods, line))
    say_probes(section, methods, line, quick)
    return section


def say_metric(section: Section, metric: Metric) -> None:
    """The spectrum, the power iteration against it, and whether each way gives its product."""
    first, second = metric.values[:, 0], metric.values[:, 1]
    ratio = float(np.median(second / np.maximum(first, 1e-300)))
    section.numbers |= {"λ1": float(np.median(first)), "λ2": float(np.median(second)), "λ2/λ1": ratio}
    one = metric.logits.shape[1] == 2
    section.say(
        GOOD,
        f"The Fisher metric has λ₁ = {np.median(first):.3g} and λ₂ = {np.median(second):.3g} (medians of the samples)"
        + (": of two classes it has one direction, and one power step finds it." if one else "."),
    )
    if not np.median(first) > 0:
        section.say(OPEN, "The metric is 0: predictions do not move, and there is no virtual adversarial direction.")
        return
    found, direction, step = {}, starting(metric.line), metric.step("fisher")
    for steps in range(1, max(POWERS) + 1):
        direction = step(direction)
        if steps in POWERS:
            found[steps] = cosines(direction, metric.vectors)
    section.numbers["cosine after K"] = {str(steps): float(np.median(cos)) for steps, cos in found.items()}
    enough = next((steps for steps, cos in found.items() if np.median(cos) > WINDOW), None)
    said = ", ".join(f"{np.median(cos):.3f} after {steps}" for steps, cos in found.items())
    section.say(
        GOOD if enough else OPEN,
        f"Power steps reach a cosine with the top direction of {said} (medians from random starts):"
        + (f" {enough} of them are enough." if enough else f" λ₂/λ₁ = {ratio:.2f} is too near 1 for few steps."),
    )
    say_ways(section, metric)


def starting(line: Line) -> np.ndarray:
    """The random direction that power steps start from."""
    return beside(np.random.default_rng(1), line.x)


def say_ways(section: Section, metric: Metric) -> None:
    """Each way's product with a vector against the Jacobian's, where that is there."""
    if not hasattr(metric, "factor"):
        return
    start = starting(metric.line)
    flat = start.reshape(len(start), -1).astype(float)
    expected = np.einsum("rcn,rc->rn", metric.factor, np.einsum("rcn,rn->rc", metric.factor, flat))
    for how in ("fisher", "exact", "finite_difference"):
        try:
            worst = float(cosines(metric.step(how)(start), expected).min())
        except Exception as error:
            section.say(OPEN, f'vat_perturbation(how="{how}") raises {type(error).__name__}: {error}'[:300])
            continue
        section.numbers[f"1 - cosine, {how}"] = 1 - worst
        limit = 1e-3 if how == "finite_difference" or metric.line.computed != "float64" else ALIKE
        if 1 - worst > limit:
            state = OPEN if how == "finite_difference" else BAD
            section.say(state, f'vat_perturbation(how="{how}") is off from the metric by a cosine of {worst:.6f}.')


def say_probes(section: Section, methods: SimpleNamespace, line: Line, quick: bool) -> None:
    """How many probes a Laplacian needs."""
    losses, params, rng = line.problem.losses, line.params_at(0.0), np.random.default_rng(2)
    run = line.bridge.compiled(
        lambda params, x, probes: methods.laplacian(lambda x: losses(params, x), x, probes=probes),
        line.bridge.SWEEP_MODE,
    )
    try:
        drawn = []
        for _ in range(PROBES if quick else 8 * PROBES):
            signs = rng.choice([-1.0, 1.0], (1, *line.x.shape)).astype(line.x.dtype)
            drawn.append(float(line.bridge.to_numpy(run(params, line.at(), line.array(signs))).astype(float).mean()))
    except Exception as error:
        section.say(OPEN, f"A Laplacian cannot be taken: {type(error).__name__}: {error}"[:300])
        return
    mean, spread = float(np.mean(drawn)), float(np.std(drawn, ddof=1))
    if line.x[0].size <= EXACT_INPUTS:
        exact = line.bridge.compiled(
            lambda params, x: methods.laplacian(lambda x: losses(params, x), x), line.bridge.SWEEP_MODE
        )
        mean = float(line.bridge.to_numpy(exact(params, line.at())).astype(float).mean())
    section.numbers |= {"Laplacian": mean, "spread of a probe": spread}
    if spread == 0 and mean == 0:
        section.say(OPEN, "The Laplacian is 0: the loss is piecewise linear in what is perturbed.")
        return
    needed = max(1, int(np.ceil((spread / abs(mean) / 0.05) ** 2))) if mean else None
    section.numbers["probes for 5 %"] = needed
    many = needed is None or needed > 10_000
    said = (
        "too many: its trace nearly cancels" if many else f"{needed} Rademacher probes" if needed != 1 else "one probe"
    )
    section.say(
        OPEN if many else GOOD,
        f"The Laplacian of a loss is {mean:.3g} in the mean; one probe of the whole batch spreads by {spread:.2g}, and"
        f" 5 % of it takes {said}.",
    )


def window(methods: SimpleNamespace, line: Line) -> dict[str, Any]:
    """Where a finite difference of the divergence finds the direction that the exact product does, in this dtype."""
    start = starting(line)
    exact = PowerStep(methods, line, "fisher")(start)
    size = float(np.median(np.linalg.norm(line.x.reshape(len(line.x), -1).astype(float), axis=1))) or 1.0
    found, step = [], PowerStep(methods, line, "finite_difference", given=True)
    for xi in XIS * size:
        cos = cosines(step(start, float(xi)), exact)
        found.append([float(xi), float(cos.min()), float(np.median(cos))])
    default = cosines(PowerStep(methods, line, "finite_difference")(start), exact)
    good = [xi for xi, least, _ in found if least > WINDOW]
    return {
        "cosines": found,
        "from": min(good, default=None),
        "to": max(good, default=None),
        "default": float(default.min()),
    }
