"""What a training step costs with each method on this model and machine, beside a plain step and what it must cost."""

import contextlib
import importlib
import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.check.lines import Line
from bench.check.statements import GOOD, OPEN, PLAIN, Section
from bench.costs.methods import ATTACKED, DOUBLE, Passes
from bench.costs.methods import PLAIN as ONE_STEP
from bench.costs.passes import Works
from equivalence.own_models import OwnModel, Place

# The passes that a step cannot do without, by the name of the step or its beginning.
LEAST = {
    "plain": ONE_STEP,
    "fgm": ATTACKED,
    "pgd, 3 steps": Passes(4, 3, 1),
    "freelb, 3 steps": Passes(3, 2, 3),
    "gradient penalty": DOUBLE,
    "vat": Passes(3, 1, 2),
}
SHORT, LONG = 0.25, 2.0  # seconds of sampling a step, quick and thorough
ROUNDS = (3, 9)
SLOW = 30.0  # seconds from which a first call is all there is


@dataclass
class Timed:
    """One step as it was measured: seconds of processor time, MiB at the most beyond what was held before."""

    seconds: float = math.nan
    first: float = math.nan
    memory: float = math.nan
    reason: str = ""


def look(
    line: Line, own: OwnModel, place: Place, radius: float, modes: list[str], quick: bool, classifies: bool
) -> Section:
    """A row a step and mode. Virtual adversarial training is of classifiers alone."""
    section = Section("Cost")
    section.columns = ["step", "mode", "ms", "× plain", "floor", "MiB", "status"]
    floors = floors_of(line, own.framework)
    reasons = []
    for mode in modes:
        steps = own.steps(place, radius, 0.1, mode)
        found = measure_steps({name: step for name, step in steps.items() if classifies or name != "vat"}, quick)
        for name, timed in found.items():
            add(section, name, mode, timed, found["plain"], floors.get(name, math.nan))
        reasons += [(f"{name} ({mode})", timed.reason) for name, timed in found.items() if timed.reason]
    section.say_reasons(reasons)
    section.numbers["floors"] = floors
    return section


def measure_steps(steps: dict[str, Callable[[], Any]], quick: bool) -> dict[str, Timed]:
    """Every step; the plain one, which is the measure of all, at the start and at the end again."""
    found = {"plain": measure(steps["plain"], quick)}
    if not found["plain"].reason:
        found |= {name: measure(step, quick) for name, step in steps.items() if name != "plain"}
        found["plain"].seconds = min(found["plain"].seconds, measure(steps["plain"], quick).seconds)
    return found


def add(section: Section, name: str, mode: str, found: Timed, plain: Timed, floor: float) -> None:
    """A row."""
    ratio = found.seconds / plain.seconds
    section.numbers[f"{mode}: {name}"] = {"seconds": found.seconds, "× plain": ratio, "floor": floor} | {
        "memory": found.memory, "first": found.first, "reason": found.reason
    }  # fmt: skip
    least = f"{floor:.2f}" if math.isfinite(floor) else ""
    if found.reason:
        return section.add(OPEN, name, mode, "", "", least, "", "raises")
    memory = f"{found.memory:.0f}" if math.isfinite(found.memory) else ""
    return section.add(PLAIN, name, mode, f"{found.seconds * 1e3:.3g}", f"{ratio:.2f}", least, memory, "ok")


def measure(step: Callable[[], Any], quick: bool) -> Timed:
    """Processor time of a call after the first, the least of some rounds; what was asked of memory by the way."""
    began = time.process_time()
    try:
        with warnings.catch_warnings(action="ignore"):
            with Peak() as peak:
                step()
            first = time.process_time() - began
            if first > SLOW and quick:
                return Timed(first, first, peak.used)
            began = time.process_time()
            step()
            once = max(time.process_time() - began, 1e-6)
            loops = max(1, math.ceil((SHORT if quick else LONG) / ROUNDS[not quick] / once))
            long = once > (SHORT if quick else 4 * LONG)  # a call that lasts is measured by itself
            least = once if long else min(sample(step, loops) for _ in range(ROUNDS[not quick]))
    except Exception as error:
        return Timed(reason=f"{type(error).__name__}: {error}"[:300])
    return Timed(min(least, once), first, peak.used)


def sample(step: Callable[[], Any], loops: int) -> float:
    """Seconds of processor time a call: what else runs on the machine is not in it."""
    began = time.process_time()
    for _ in range(loops):
        step()
    return (time.process_time() - began) / loops


class Peak:
    """The most memory that the process comes to hold in a block beyond what it held, in MiB; NaN where none can say."""

    used = math.nan

    def __enter__(self) -> "Peak":
        self.before = math.nan
        with contextlib.suppress(OSError):
            with open("/proc/self/clear_refs", "w") as file:
                file.write("5")  # Linux: the most that was held is forgotten
            self.before = read_memory("VmRSS")
        return self

    def __exit__(self, *exception: object) -> None:
        with contextlib.suppress(OSError):
            self.used = max(0.0, read_memory("VmHWM") - self.before)


def read_memory(name: str) -> float:
    """A number of /proc/self/status, in MiB."""
    with open("/proc/self/status") as file:
        return next((float(line.split()[1]) / 2**10 for line in file if line.startswith(name)), math.nan)


def floors_of(line: Line, framework: str) -> dict[str, float]:
    """What each step must cost at least, in plain steps, by the multiply-adds of this model's own passes."""
    counter: Any = importlib.import_module(f"bench.costs.passes.{framework}")
    bridge, losses = line.bridge, line.problem.losses

    def count(function: Callable[..., Any]) -> int:
        return int(counter.work(function, line.params_at(0.0), line.at(), mode=bridge.MODES[0]))

    try:
        forward = count(losses)
        both = count(lambda params, x: bridge.gradient(lambda x: losses(params, x), x))
        plain = count(lambda params, x: bridge.value_and_grad(losses)(params, x))
    except Exception:  # an operation that the counter does not know: layers alike is what is left
        return {name: passes.nominal / ONE_STEP.nominal for name, passes in named_least().items()}
    if not plain:
        return {}
    works = Works(forward, both - forward, plain - forward, 0, 0)
    return {name: works.of(passes) / works.plain for name, passes in named_least().items()}


def named_least() -> dict[str, Passes]:
    penalties = ("double backward", "forward over reverse", "finite difference")
    return LEAST | {f"gradient penalty, {way}": DOUBLE for way in penalties}


def advise(section: Section, ways: dict[str, str]) -> None:
    """Which right way to the gradient penalty is the quickest in each mode; no time is shown for one that is wrong."""
    found: dict[str, dict[str, float]] = {}
    for row in section.rows:
        name, mode = row[:2]
        if ways.get(name) in ("wrong", "zero"):
            row[2:6], row[6] = [""] * 4, "its derivative is wrong: not timed"
        elif name.startswith("gradient penalty") and row[2]:
            found.setdefault(mode, {})[name.partition(", ")[2]] = float(row[3])
    for mode, times in found.items():
        ordered = sorted(times, key=lambda way: times[way])
        section.numbers[f"{mode}: quickest penalty"] = ordered
        said = ", ".join(f"{times[way]:.1f} plain steps by {way}" for way in ordered)
        section.say(GOOD, f"In mode {mode} the gradient penalty takes {said}: use {ordered[0]}.")
