"""Planted mistakes against claims: which tasks to measure, and what became of each mistake.

A mistake is measured on every claim about numbers that uses what it replaces, on the case that stands for the others,
and as an agreement with the oracle. A control, a wrong variant that a claim names for itself, is measured on that claim
alone.
"""

import itertools
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from bench.proofs import verify
from bench.proofs.verify import AGREEMENT, FAST_COMPILATION
from bench.records.schema import AgreementRecord, CallRecord, ClaimRecord
from bench.running.job import Job
from equivalence.cases import build
from equivalence.claim import claims
from equivalence.mutant import CASE as CASE
from equivalence.mutant import Mutant
from equivalence.usages import USAGES

DTYPE = "float64"  # of agreement, on a mistake's own case
CONTROL = "control"
CACHED = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}
FATES = KILLED, CAUGHT, SURVIVED = "killed", "caught", "survived"  # strongest first


def tasks(mutants: Collection[Mutant], chosen: Collection[str], quick: bool = False) -> Iterator[Any]:
    """Map each mistake to everything that could reject it; or to what a quick run would measure of a file with it."""
    for mutant in mutants:
        if quick and not owner(mutant):
            asked = verify.tasks(verify.Chosen(frozenset(chosen), mutant.methods, quick=True))
            yield from ([*task[:-1], mutant.name] for task in asked)
            continue
        case = build([mutant.case])[mutant.case]
        own = owner(mutant)
        for claim in claims().values():
            met = not (own or claim.itself or mutant.alone) and mutant.methods & set(claim.methods)
            if claim.id in chosen and (met or claim.id in (own, *mutant.claims)):
                yield ["claim", claim.id, claim.control, mutant.name]
        names = [usage.name for usage in USAGES if usage.method in mutant.methods and usage.applies(case)]
        if names and not own and AGREEMENT in chosen:
            yield ["agreement", [mutant.case], DTYPE, names, mutant.name]
        if mutant.called and AGREEMENT in chosen:
            yield from (["calls", method, DTYPE, mutant.name] for method in sorted(mutant.methods))


def owner(mutant: Mutant) -> str:
    """The claim whose own wrong variant it is, if it is one."""
    return mutant.name.partition(":")[0] if mutant.family == CONTROL else ""


def jobs(
    frameworks: list[str],
    mutants: Collection[Mutant],
    chosen: Collection[str],
    device: str,
    slots: int,
    cache: str,
    quick: bool = False,
) -> list[Job]:
    """Each framework's tasks, dealt out to all slots: neighbours cost alike.

    `cache` is a folder for what JAX compiles: much of it is the same for a mistake that a claim cannot see.
    """
    arguments = {"device": device, "environment": FAST_COMPILATION | CACHED | {"JAX_COMPILATION_CACHE_DIR": cache}}
    found = {
        framework: list(tasks([mutant for mutant in mutants if framework not in mutant.impossible], chosen, quick))
        for framework in frameworks
    }
    return [
        Job("equivalence.worker", framework, arguments, part)
        for framework in frameworks
        for share in range(slots)
        if (part := found[framework][share::slots])
    ]


def fate(record: ClaimRecord | AgreementRecord | CallRecord) -> str:
    """What a claim did to a mistake.

    Killed where a judge rejected its numbers, caught where there were no numbers to judge (an error, NaN, a wrong
    shape), survived where everything held.
    """
    if record.verdict.holds:
        return SURVIVED
    return KILLED if record.verdict.judged else CAUGHT


def fates(records: Iterable[Any]) -> dict[tuple[str, str], dict[str, str]]:
    """Map mistake and framework to what each claim, or agreement, did to it: the strongest of several."""
    found: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for record in records:
        if wrong := getattr(record, "wrong", ""):
            row, claim = found[wrong, record.framework], getattr(record, "claim", AGREEMENT)
            row[claim] = min(row.get(claim, FATES[-1]), fate(record), key=FATES.index)
    return found


def survivors(records: Iterable[Any], frameworks: Iterable[str], mutants: Iterable[Mutant]) -> list[tuple[str, str]]:
    """Mistakes and frameworks in which nothing rejected them, or nothing was measured: (mistake, framework)."""
    known = fates(records)
    return [
        (mutant.name, framework)
        for mutant, framework in itertools.product(mutants, frameworks)
        if framework not in mutant.impossible and set(known.get((mutant.name, framework), {}).values()) <= {SURVIVED}
    ]


def idle(records: Iterable[Any], ids: Iterable[str]) -> list[str]:
    """Claims that reject on numbers no mistake but such as are caught without them: they would not be missed."""
    known = fates(records).values()
    busy = {claim for row in known if CAUGHT not in row.values() for claim, what in row.items() if what == KILLED}
    return [claim for claim in ids if claim not in busy]


def rejecting(records: Iterable[Any]) -> dict[tuple[str, str], tuple[list[str], list[str]]]:
    """Map claim and framework to the mistakes that it rejects on numbers, and to all that were measured on it."""
    found: dict[tuple[str, str], tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for (mistake, framework), row in fates(records).items():
        for claim, what in row.items():
            killed, met = found[claim, framework]
            met.append(mistake)
            killed += [mistake] * (what == KILLED)
    return found


def blind(records: Iterable[Any], frameworks: Iterable[str], ids: Iterable[str]) -> list[tuple[str, str]]:
    """Claims that reject no mistake on numbers in a framework, or met none: (claim, framework)."""
    found = rejecting(records)
    return [(claim, name) for claim in ids for name in frameworks if not found.get((claim, name), ([], []))[0]]
