"""What changed from one side to the other, what of it is a regression, and what could not be compared."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from bench.records.block_statistics import LEVEL
from bench.records.schema import as_fast
from bench.report.compare.quantities import SUSPICION, Quantity, moved, pooled, tell_difference
from bench.report.compare.sides import Results
from bench.report.tables.outcomes import SHOWS_NOTHING

FRESH = 2  # runs that must find again what one has found
FAILING, HOLDING, ADDED, VANISHED, DAMAGED = "started to fail", "holds again", "added", "vanished", "damaged"
SUSPECTED = ", not confirmed"
Pair = tuple[Quantity, Quantity]  # of one sitting: before, after
SLOWER, HEAVIER = ("slower", "compiles longer"), ("more memory", "more work")
REGRESSIONS = (FAILING, VANISHED, DAMAGED, *SLOWER, *HEAVIER, "less accurate", "trains worse")
GOOD = ("holds", "ok", "unsupported")


@dataclass(frozen=True)
class Change:
    """What changed of one thing on one machine."""

    change: str
    what: str
    before: str
    after: str
    difference: str = ""
    machine: str = ""

    @property
    def regression(self) -> bool:
        return self.change in REGRESSIONS


@dataclass
class Comparison:
    """Every change, regressions first; how much of each topic was compared, and why the rest was not."""

    changes: list[Change] = field(default_factory=list)
    compared: Counter[str] = field(default_factory=Counter)
    not_compared: Counter[str] = field(default_factory=Counter)
    allowed: int = 0

    @property
    def regressions(self) -> int:
        return sum(change.regression for change in self.changes)

    @property
    def passes(self) -> bool:
        """Whether nothing got worse, and nothing that the base had was left uncompared."""
        return not self.regressions and not self.not_compared

    def describe(self) -> str:
        """How much was compared and what was not, in one line."""
        counts = ", ".join(f"{count} {topic}" for topic, count in sorted(self.compared.items())) or "nothing"
        missing = "".join(f"; NOT compared: {count} {reason}" for reason, count in sorted(self.not_compared.items()))
        allowed = f"; {self.allowed} were allowed to be missing" if self.allowed else ""
        return f"{self.regressions} regressions, {len(self.changes)} changes. Compared: {counts}{missing}{allowed}"


def compare(
    base: Results,
    new: Results,
    fresh: Iterable[tuple[Results, Results]] = (),
    *,
    in_turns: bool = False,
    allowed: Sequence[str] = (),
    times: bool = True,
) -> Comparison:
    """Compare two sides.

    Args:
        fresh: pairs of sides that were measured afterwards: what is slower must be so in each of them, and two are
            needed to call it a regression.
        in_turns: blocks of the two sides were timed in turns, so that those of one round are a pair.
        allowed: patterns (as in a shell) of names that may be missing, or be those of another machine.
        times: whether what depends on the machine is to be compared.
    """
    found = Comparison()
    found.changes += [Change(DAMAGED, side.name, "", problem) for side in (base, new) for problem in side.problems]
    found.changes += compare_words(found, base, new, allowed)
    found.changes += compare_quantities(found, base, new, list(fresh), in_turns, allowed, times)
    order = list(dict.fromkeys([*REGRESSIONS, *(change.change for change in found.changes)]))
    found.changes.sort(key=lambda change: order.index(change.change))
    return found


def is_allowed(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def compare_words(found: Comparison, base: Results, new: Results, allowed: Sequence[str]) -> Iterator[Change]:
    """Yield changes in what holds, on a machine that both know, or on the only one that each has."""
    for machine, before, after in pairs(base.words, new.words):
        for name in dict.fromkeys([*before, *after]):
            old, now = before.get(name), after.get(name)
            if old is None:
                yield Change(ADDED, name, "–", str(now), machine=machine)
            elif now is None and is_allowed(name, allowed):
                found.allowed += 1
            elif now is None:
                yield Change(VANISHED, name, old, "not measured", machine=machine)
            else:
                found.compared["results"] += 1
                if got_worse(old, now):
                    yield Change(FAILING, name, old, now, machine=machine)
                elif got_worse(now, old):
                    yield Change(HOLDING, name, old, now, machine=machine)


def got_worse(old: str, now: str) -> bool:
    """Whether a word is worse: good ones are named; of a list of words, as the atlas has, each `right` is good."""
    return rank(now) < rank(old) or now.count(": right") < old.count(": right")


def rank(word: str) -> int:
    """Better than what fails is what shows nothing, and better than that what holds."""
    return 2 if word in GOOD else int(word == SHOWS_NOTHING)


def pairs(base: dict[str, Any], new: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield machines that both sides have, or the only one of each, and those that one side alone has."""
    if not is_elsewhere(base, new):
        yield from ((machine, base.get(machine, {}), new.get(machine, {})) for machine in dict.fromkeys([*base, *new]))
    else:  # what holds does not depend on the machine
        yield " → ".join((*base, *new)), *base.values(), *new.values()


def is_elsewhere(base: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether each side knows one machine, and not the same."""
    return len(base) == len(new) == 1 and set(base) != set(new)


def compare_quantities(
    found: Comparison,
    base: Results,
    new: Results,
    fresh: Sequence[tuple[Results, Results]],
    in_turns: bool,
    allowed: Sequence[str],
    times: bool,
) -> Iterator[Change]:
    """Yield changes in numbers. Those of a machine are compared on the same one; the rest is counted, and why."""
    for machine, before, after in pairs(base.quantities, new.quantities):
        reason = "of another machine" if " → " in machine else ""
        if not (reason or in_turns):  # in turns it was one machine, however busy it was when its speed was taken
            reason = other_speed(base, new, machine)
        for name, old in before.items():
            now = after.get(name)
            if (old.rule.of_machine and not times) or is_allowed(name, allowed):
                found.allowed += 1
            elif now is None:
                found.not_compared[f"{old.rule.topic}, measured in {base.name} alone"] += 1
            elif old.rule.of_machine and reason:
                found.not_compared[f"{old.rule.topic}, {reason}"] += 1
            else:
                found.compared[old.rule.topic] += 1
                again = [(a.quantities.get(machine, {}), b.quantities.get(machine, {})) for a, b in fresh]
                more = [(a[name], b[name]) for a, b in again if name in a and name in b]
                yield from changed(name, machine, [(old, now), *more], in_turns)


def changed(name: str, machine: str, sittings: Sequence[Pair], in_turns: bool) -> Iterator[Change]:
    """Yield the change in one thing; what needs confirming says whether it is confirmed."""
    first, *fresh = sittings
    rule = first[0].rule
    if in_turns and rule.confirmed:
        worse, decides = judge_in_turns(first, fresh)
    else:
        worse, decides = {moved(*each, in_turns) for each in sittings} == {"worse"}, first
    confirmed = not rule.confirmed or len(fresh) >= FRESH
    shown = decides[0].shown, decides[1].shown, tell_difference(*decides, in_turns)
    if worse:
        yield Change(rule.worse if confirmed else rule.worse + SUSPECTED, name, *shown, machine)
    elif moved(*first, in_turns) == "better":
        yield Change(rule.better, name, *shown, machine)


def judge_in_turns(first: Pair, fresh: Sequence[Pair]) -> tuple[bool, Pair]:
    """Whether it got worse, as far as is known, and what says so: the first sitting suspects, the fresh ones decide.

    The first has chosen what is timed again, so it is no part of what decides, which is all fresh ones together.
    """
    if not fresh:
        return moved(*first, True, SUSPICION) == "worse", first
    old, now = (pooled(side) for side in zip(*fresh, strict=True))
    return moved(old, now, True, LEVEL if len(fresh) >= FRESH else SUSPICION) == "worse", (old, now)


def suspects(found: Comparison) -> list[str]:
    """Names of what seems slower and has not been measured often enough to say so."""
    return [change.what for change in found.changes if change.change.endswith(SUSPECTED)]


def other_speed(base: Results, new: Results, machine: str) -> str:
    """Why times are not compared on machines that only bear the same name: two speeds are two machines."""
    old, now = base.rates.get(machine), new.rates.get(machine)
    if old and now and not as_fast(old, now):
        return f"of another machine: a matrix product ran at {old:g} GFLOP/s and at {now:g} on {machine}"
    return ""
