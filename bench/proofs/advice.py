"""What to look at in an implementation that fails: what was claimed and measured, where it differs, what it is like."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from bench.records.schema import AgreementRecord, CallRecord, ClaimRecord
from equivalence.claim import claims
from equivalence.foreign.difference import SHOWN
from equivalence.judge import AGREEMENT_UNITS, judge
from equivalence.mutant import mutants

AGREEMENT = "F", "Every method agrees with the oracle, in value and parameter gradient"
AGREEMENT_FORMULA = f"|method - oracle| ≤ {AGREEMENT_UNITS} u·(size + condition), u the rounding unit"
MOST = 4  # of a kind that are shown in a terminal; all are in the records


def failures(records: Collection[Any]) -> Iterator[list[str]]:
    """State each claim that fails, its formula and its measurements; cases with the same outcome share a line."""
    failed: dict[tuple[str, str, str], dict[tuple[str, str], list[str]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        if not record.verdict.holds:
            for said, where in places(record):
                failed[stated(record)][getattr(record, "method", ""), said].append(where)
    order = [*claims(), AGREEMENT[0]]
    for (name, title, formula), outcomes in sorted(failed.items(), key=lambda item: order.index(item[0][0])):
        functions = {function for function, _ in outcomes}
        shown = max(MOST, len(functions))
        found = [f"on {some(outcomes[outcome])}: {outcome[1]}" for outcome in in_turn(outcomes)]
        more = [f"and {len(found) - shown} more"] if len(found) > shown else []
        yield [f"{name} fails: {title}", formula, *found[:shown], *more]


def in_turn(outcomes: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Outcomes of functions, the first of each before any second one: many of one hide none of another."""
    counts: Counter[str] = Counter()
    turns = {}
    for outcome in outcomes:
        turns[outcome] = counts[outcome[0]]
        counts[outcome[0]] += 1
    return sorted(turns, key=lambda outcome: turns[outcome])


def places(record: Any) -> Iterator[tuple[str, str]]:
    """What failed in a record, and where: a claim on a case, a usage, or each call that does not hold."""
    if isinstance(record, ClaimRecord):
        yield outcome(record), record.case
    elif isinstance(record, AgreementRecord):
        yield outcome(record), f"{record.usage} ({record.case} {record.dtype})"
    elif record.status != "ok":
        yield outcome(record), record.method
    else:
        for name, part in record.parts.items():
            if "error" in part:
                yield part["error"], name
            elif part.get("kind") != "not covered" and not (found := judge(part)).holds:
                yield found.reason, name


def stated(record: Any) -> tuple[str, str, str]:
    """A record's claim: id, words, formula."""
    if isinstance(record, AgreementRecord | CallRecord):
        return *AGREEMENT, AGREEMENT_FORMULA
    claim = claims()[record.claim]
    return claim.id, claim.title, claim.formula


def outcome(record: Any) -> str:
    """Measured against expected, or why nothing was measured."""
    return f"{'' if record.status == 'ok' else f'{record.status}: '}{record.verdict.reason}"


def some(places: list[str]) -> str:
    more = f" and {len(places) - MOST} more" if len(places) > MOST else ""
    return ", ".join(places[:MOST]) + more


def explained(record: Any, advice: Iterable[str]) -> str:
    """All of it in one text: a failed record's reason."""
    _, title, formula = stated(record)
    lines = [f"on {where}: {said}" for said, where in places(record)]
    return "\n".join([f"{title}: {formula}", *lines, *advice])


def about(name: str, records: Collection[Any], difference: dict[str, Any], alike: dict[str, Any]) -> str:
    """What to look at in one function: of its records by itself, where it differs, and what it is like, if known."""
    if not difference and not alike:
        return "\n".join(elsewhere(name, records))
    if not difference:
        return f"{name} gives wrong numbers in calls of it by itself:\n  {likeness(name, alike)}"
    return "\n".join([*compared(name, records, difference), f"  {likeness(name, alike)}"])


def elsewhere(name: str, records: Collection[Any]) -> Iterator[str]:
    """Say what to look at in a function that fails claims and no comparison."""
    agreeing = [record.usage for record in records if isinstance(record, AgreementRecord) and record.verdict.holds]
    if agreeing:
        yield f"{name} agrees with the oracle in {some(list(dict.fromkeys(agreeing)))}"
    else:
        yield f"{name} was not compared with the oracle: `--claim {AGREEMENT[0]}` does so, number by number"
    yield "  cause unknown: what the claim measured is all that is known"


def compared(name: str, records: Collection[Any], difference: dict[str, Any]) -> Iterator[str]:
    """The first input on which it differs from the reference; where none does, what else is wrong."""
    if "error" in difference:
        yield f"{name} could not be compared with the reference: {difference['error']}"
    elif "agree" in difference:
        calls = "the call" if difference["agree"] == 1 else f"all {difference['agree']} calls"
        if any(map(off, records)):
            yield f"{name} gives the reference's numbers in {calls} that failed, made one by one and not compiled:"
            yield "  what is wrong depends on how it is called (traced, compiled, differentiated, again), or on a state"
        else:
            yield f"{name} gives the reference's numbers in {calls} that failed:"
            yield "  what is wrong is a gradient through it: what is held fixed, and what is not"
    else:
        options = ", ".join(f"{key}={value!r}" for key, value in difference["options"].items())
        place = f"in the usage {difference['usage']!r} on {difference['case']}, {difference['dtype']}"
        yield f"{name}({options}) first differs from the reference {place}, in sample {difference['sample']}:"
        if "input" in difference:
            yield f"  {difference['argument']:<9} {row(difference['input'])}"
        yield f"  {'yours':<9} {row(difference['yours'])}"
        yield f"  {'reference':<9} {row(difference['reference'])}"
        factor = f": yours is {difference['factor']:.6g} × the reference" if "factor" in difference else ""
        yield f"  off by {difference['units']:.2g} rounding units{factor}"


def off(record: Any) -> bool:
    """Whether a value that agreement measured is wrong, not the gradient alone."""
    return isinstance(record, AgreementRecord) and record.verdict.numbers.get("value units", 0.0) > AGREEMENT_UNITS


def row(numbers: list[float]) -> str:
    return "  ".join(f"{number:.6g}" for number in numbers) + ("  …" if len(numbers) == SHOWN else "")


def likeness(name: str, alike: dict[str, Any]) -> str:
    """The known mistakes whose errors it has, or has so many times as large."""
    if "error" in alike:
        return f"cause unknown: the known mistakes in {name} could not be measured: {alike['error']}"
    if not alike["alike"]:
        none = f"none of {alike['known']} known mistakes in it gives these errors, nor a multiple of them"
        return f"cause unknown: {none if alike['known'] else f'no mistake in {name} is known'}"
    known = " and ".join(f"{mistake!r} ({mutants()[mistake].copies})" for mistake in alike["alike"])
    fails = f"fails as the known mistake {known} does" if len(alike["alike"]) == 1 else f"fails as {known} do"
    ratio, deviation = next(iter(alike["alike"].values()))
    if (ratio, deviation) == (1, 0):
        return f"{fails}: the same errors in all that was compared"
    way = "same" if ratio > 0 else "opposite"
    return f"{fails}, with another constant: the {way} direction of error, {abs(ratio):.3g} times as large"
