"""How far does the first order carry? The loss along an attack against ε‖g‖, and the attack against its penalty."""

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from bench.check.differences import second_along
from bench.check.lines import Line
from bench.check.statements import BAD, GOOD, OPEN, Section
from equivalence.judge import judge
from equivalence.measure import ROUNDING_UNIT, ladder, order

RADII = 2.0 ** np.arange(-16, 4.5, 0.5)  # of attacks, in units of the points' own norm
NOISE = {"float64": 1e4, "float32": 1e4, "float16": 1e2, "bfloat16": 1e2}  # units of the loss that count as nothing
STEPS, TAIL = ladder(-1, -18), ladder(-48, -50)  # of the longest perturbation, in units of the point's norm
EXACT = {"float64": 1e-10, "float32": 1e-3, "float16": 0.1, "bfloat16": 0.1}  # relative: the same by definition
# A claim, the attack's norm, the penalty's, and the factor beside the radius.
ATTACKS = (("C1", "raw", "l2_squared", 0.5), ("C2", "l2", "l2", 1.0), ("C3", "linf", "l1", 1.0))


def carry(line: Line) -> dict[str, Any]:
    """How the loss grows along its gradient, from the smallest radius on, against the first order."""
    params = line.params_at(0.0)
    gradient = line.gradient(params, line.at()).astype(float)
    norms, sizes = row_norms(gradient), row_norms(line.x.astype(float))
    unit = gradient / np.where(norms == 0, 1, norms).reshape(-1, *[1] * (gradient.ndim - 1))
    size = float(np.median(sizes)) or 1.0
    clean = line.losses(params, line.at()).astype(float)
    noise = NOISE[line.computed] * ROUNDING_UNIT[line.computed] * float(np.abs(clean).sum())
    radii, gains, firsts = [], [], []
    for radius in RADII * size:
        gain = float((line.losses(params, line.at(radius, unit.astype(line.x.dtype))) - clean).sum())
        first = radius * float(norms.sum())
        if not np.isfinite(gain) or first < noise:
            continue
        radii.append(float(radius))
        gains.append(gain / len(clean))
        firsts.append(first / len(clean))
    ratios = np.array(gains) / np.array(firsts) if firsts else np.array([])
    return {
        "radii": radii,
        "gains": gains,
        "firsts": firsts,
        "10 % lost": lost(radii, ratios, 0.1),
        "50 % lost": lost(radii, ratios, 0.5),
        "norm": size,
        "gradient norm": float(np.median(norms)),
        "loss": float(clean.mean()),
        "upwards": bool(len(ratios) and ratios[-1] > 1),
    }


def lost(radii: list[float], ratios: np.ndarray, share: float) -> float | None:
    """The radius from which on more than a share of what the first order says is missing, or too much."""
    beyond = np.flatnonzero(np.abs(ratios - 1) > share)
    if not len(beyond):
        return None
    first = int(beyond[0])
    if first == 0:
        return radii[0]
    a, b = abs(ratios[first - 1] - 1), abs(ratios[first] - 1)
    between = (share - a) / (b - a) if b > a else 1.0
    return float(radii[first - 1] * (radii[first] / radii[first - 1]) ** between)


def row_norms(rows: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm(rows.reshape(len(rows), -1), axis=1))


class Attacks:
    """FGM against the penalty that it is to first order, on one problem."""

    def __init__(self, methods: SimpleNamespace, line: Line):
        self.methods, self.line, self.params = methods, line, line.params_at(0.0)
        self.gradient = line.gradient(self.params, line.at()).astype(float)
        self.size = float(np.median(row_norms(line.x.astype(float)))) or 1.0

    def direction(self, norm: str) -> np.ndarray:
        """FGM's perturbation of radius 1, by its definition."""
        if norm == "raw":
            return self.gradient
        if norm == "linf":
            return np.sign(self.gradient)
        norms = row_norms(self.gradient)
        return self.gradient / np.where(norms == 0, 1, norms).reshape(-1, *[1] * (self.gradient.ndim - 1))

    def expected_penalty(self, penalty: str) -> np.ndarray:
        rows = self.gradient.reshape(len(self.gradient), -1)
        return {"l2_squared": np.square(rows).sum(1), "l2": row_norms(rows), "l1": np.abs(rows).sum(1)}[penalty]

    @functools.cached_property
    def found(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """What fgm and the penalty give by each norm of fgm's: all at once, since they share their gradient."""
        methods, losses = self.methods, self.line.problem.losses

        def every(params: Any, x: Any) -> Any:
            loss = lambda x: losses(params, x)  # noqa: E731
            return {
                norm: (
                    methods.fgm(loss, x, radius=1.0, norm=norm),
                    methods.input_gradient_penalty(loss, x, norm=penalty),
                )
                for _, norm, penalty, _ in ATTACKS
            }

        return dict(self.line.compiled(every)(self.params, self.line.at()))

    def exact(self, norm: str, penalty: str) -> float:
        """How far fgm and the penalty are from their definitions, relative: nothing but rounding, or they are wrong."""
        pairs = zip(self.found[norm], (self.direction(norm), self.expected_penalty(penalty)), strict=True)
        return max(float(np.linalg.norm(a - b) / (np.linalg.norm(b) or 1)) for a, b in pairs)

    def residual(self, norm: str, penalty: str, factor: float) -> dict[str, Any]:
        """Measure ℓ(x+r) - ℓ - factor·ε·penalty, of which ε²·½rᵀ∇²ℓr is the leading term."""
        line, direction = self.line, self.direction(norm)
        unit = direction * (self.size / float(row_norms(direction).max() or 1))
        clean = line.losses(self.params, line.at()).astype(float)
        first = factor * self.expected_penalty(penalty) * (self.size / float(row_norms(direction).max() or 1))

        def moved(t: float) -> np.ndarray:
            return line.losses(self.params, line.at(t, unit)).astype(float)

        second = second_along(moved, ROUNDING_UNIT[self.line.computed])
        measured = order(
            lambda steps: np.array([moved(step) - clean - step * first * slope(factor) for step in steps]),
            STEPS, TAIL, 2, second.value / 2, float(np.linalg.norm(clean)),
        )  # fmt: skip
        return measured | {"trusted": second.error / (second.size or 1)}

    def slope_residual(self, norm: str, penalty: str, factor: float) -> dict[str, Any]:
        """The same of the gradient in the parameters, along a direction of theirs: what training sees."""
        line, methods, losses = self.line, self.methods, self.line.problem.losses
        scale = self.size / float(row_norms(self.direction(norm)).max() or 1)

        def left(params: Any, x: Any, radius: Any) -> Any:
            loss = lambda x: losses(params, x)  # noqa: E731
            r = methods.fgm(loss, x, radius=radius, norm=norm)
            return loss(x + r) - loss(x) - factor * radius * methods.input_gradient_penalty(loss, x, norm=penalty)

        run = line.bridge.compiled(line.bridge.value_and_grad(left), line.bridge.SWEEP_MODE)
        plain = line.bridge.compiled(line.bridge.value_and_grad(losses), line.bridge.SWEEP_MODE)

        def along(gradients: Any) -> float:
            return float(sum((line.bridge.to_numpy(gradients[name]) * line.w[name]).sum() for name in line.w))

        def at(radius: float) -> float:
            return along(run(self.params, line.at(), line.array(np.asarray(radius * scale, line.x.dtype)))[1])

        def moved(t: float) -> np.ndarray:
            return np.array([along(plain(self.params, line.at(t, self.direction(norm) * scale))[1])])

        second, size = second_along(moved, ROUNDING_UNIT[self.line.computed]), abs(float(moved(0.0)[0]))
        measured = order(
            lambda steps: np.array([[at(step)] for step in steps]), STEPS[::2], TAIL[:1], 2, second.value / 2, size
        )
        return measured | {"trusted": second.error / (second.size or 1)}


def slope(factor: float) -> float:
    """The derivative of factor·ε·penalty is that of ε·⟨g, direction⟩: ‖g‖², not half of it, for the raw gradient."""
    return 1 / factor


def look(methods: SimpleNamespace, line: Line, name: str, quick: bool) -> Section:
    """What is found at one place."""
    section = Section("Radius")
    found = carry(line)
    section.numbers = {"place": name, **found}
    say_carry(section, found, name)
    section.curves.append(curve(found, name))
    section.columns = ["attack", "penalty", "in", "order", "coefficient off by", "verdict"]
    attacks = Attacks(methods, line)
    for claim, norm, penalty, factor in ATTACKS:
        compare(section, attacks, claim, norm, penalty, factor, quick)
    return section


def say_carry(section: Section, found: dict[str, Any], name: str) -> None:
    ten, fifty, norm = found["10 % lost"], found["50 % lost"], found["norm"]
    if found["gradient norm"] == 0:
        section.say(BAD, f"The gradient of the loss at {name} is 0: no attack finds a direction there.")
        return
    if not found["radii"]:
        section.say(OPEN, f"At {name} no radius changes the loss by more than rounding does: nothing is said of it.")
        return
    if ten is None:
        last = found["radii"][-1]
        section.say(
            GOOD,
            f"Up to {last:.3g}, {last / norm:.0f} times its norm, the loss is linear along its gradient at {name}: FGM"
            " and the penalty are the same there.",
        )
        return
    grows = "more" if found["upwards"] else "less"
    half = f"{fifty:.3g}" if fifty else "the largest tried"
    section.say(
        GOOD,
        f"At {name} the loss grows along its gradient as ε‖g‖ says, to within 10 %, up to ε = {ten:.3g}"
        f" ({ten / norm:.2g} of its norm, {norm:.3g}), to within 50 % up to {half}; beyond, it grows {grows}. Below the"
        " first, FGM trains as the penalty does; above the second, it is another method, and several steps (PGD) find"
        " more.",
    )


def compare(
    section: Section, attacks: Attacks, claim: str, norm: str, penalty: str, factor: float, quick: bool
) -> None:
    """Rows that hold one attack against its penalty, in values and in the parameters' gradient."""
    off = attacks.exact(norm, penalty)
    title = f"{claim}: FGM, {norm}", f"{factor:g}·ε·{penalty}"
    if off > EXACT[attacks.line.computed]:
        section.add(BAD, *title, "definition", "", f"{off:.1e}", "wrong")
        section.say(
            BAD, f"fgm with {norm} or the penalty with {penalty} is off from its definition by {off:.1e} on this model."
        )
        return
    kinds: dict[str, Callable[..., dict[str, Any]]] = {"the loss": attacks.residual}
    if not quick or norm == "l2":
        kinds["the parameters' gradient"] = attacks.slope_residual
    for where, measure in kinds.items():
        measured = measure(norm, penalty, factor)
        verdict = judge(measured)
        section.numbers[f"{claim} {where}"] = verdict.numbers | {"holds": verdict.holds, "reason": verdict.reason}
        slope = verdict.numbers.get("slope", float("nan"))
        apart = verdict.numbers.get("coefficient error", float("nan"))
        if measured["kind"] == "exact":
            section.add(
                GOOD if verdict.holds else OPEN, *title, where, "none", "", "equal" if verdict.holds else "not seen"
            )
        else:
            said = "holds" if verdict.holds else "not seen"
            digits = (f"{slope:.2f}", f"{apart:.1%}") if np.isfinite(slope) else ("", "")
            section.add(GOOD if verdict.holds else OPEN, *title, where, *digits, said)


def curve(found: dict[str, Any], name: str) -> dict[str, Any]:
    """The loss along its gradient beside the first order."""
    pairs = list(zip(found["radii"], found["gains"], found["firsts"], strict=True))
    shown = [each for each in pairs if each[0] >= found["norm"] * 1e-3 and each[1] > 0]
    return {
        "title": f"the loss along its gradient at {name}",
        "x": "radius ε",
        "y": "growth of the loss",
        "lines": {
            "measured": [[radius, gain] for radius, gain, _ in shown],
            "first order, ε‖g‖": [[radius, first] for radius, _, first in shown],
        },
    }


def smallest_seen(line: Line, size: float) -> tuple[float | None, float]:
    """The smallest radius whose effect the dtype shows to within 10 %, and the radius that rounds away in x itself."""
    params = line.params_at(0.0)
    gradient = line.gradient(params, line.at()).astype(float)
    norms = row_norms(gradient)
    unit = gradient / np.where(norms == 0, 1, norms).reshape(-1, *[1] * (gradient.ndim - 1))
    clean, seen = line.losses(params, line.at()).astype(float).sum(), None
    for radius in size * 2.0 ** np.arange(-4, -30, -0.5):
        ahead, behind = (
            line.losses(params, line.at(sign * radius, unit.astype(line.x.dtype))).astype(float).sum()
            for sign in (1, -1)
        )
        first = radius * norms.sum()
        half = (ahead - behind) / 2  # of which the second order is gone
        if abs(half / first - 1) > 0.1 or abs(ahead - clean) == 0:
            if seen is not None:
                break
            continue
        seen = float(radius)
    return seen, float(ROUNDING_UNIT[line.dtype] * size)
