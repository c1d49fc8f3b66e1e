"""Planted mistakes against claims: which units to measure, and what became of each mistake.

A mistake is measured on every claim that uses what it replaces, on the case that stands for the others, and as an
agreement with the oracle. A control, a wrong variant that a claim names for itself, is measured on that claim alone.
"""

from collections.abc import Collection, Iterator
from typing import Any

from bench.run import Job
from bench.store import AgreementRecord, ClaimRecord
from bench.verify import AGREEMENT, FAST_COMPILATION
from equivalence.cases import build
from equivalence.claim import claims
from equivalence.judge import judge, judge_all
from equivalence.mutant import Mutant
from equivalence.usages import USAGES

CASE, DTYPE = "tanh-mlp", "float64"  # of agreement
CONTROL = "control"


def units(mutants: Collection[Mutant], chosen: Collection[str]) -> Iterator[Any]:
    """For each mistake, everything that could reject it."""
    case = build([CASE])[CASE]
    for mutant in mutants:
        own = mutant.name.partition(":")[0] if mutant.family == CONTROL else ""
        for claim in claims().values():
            if claim.id in chosen and (claim.id == own or (not own and mutant.methods & set(claim.methods))):
                yield ["claim", claim.id, claim.control, mutant.name]
        names = [usage.name for usage in USAGES if usage.method in mutant.methods and usage.applies(case)]
        if names and not own and AGREEMENT in chosen:
            yield ["agreement", [CASE], DTYPE, names, mutant.name]


def jobs(
    frameworks: list[str], mutants: Collection[Mutant], chosen: Collection[str], device: str, slots: int
) -> list[Job]:
    """Each framework's units, dealt out to all slots: neighbours cost alike."""
    arguments = {"device": device, "environment": FAST_COMPILATION}
    found = list(units(mutants, chosen))
    return [
        Job("equivalence.worker", framework, arguments, part)
        for framework in frameworks
        for share in range(slots)
        if (part := found[share::slots])
    ]


def fate(record: ClaimRecord | AgreementRecord) -> str:
    """What a claim did to a mistake.

    "killed" where a judge rejected its numbers, "caught" where there were no numbers to judge (an error, NaN, a wrong
    shape), "survived" where everything held.
    """
    if record.status != "ok":
        return "caught"
    verdict = judge_all(record.parts) if isinstance(record, ClaimRecord) else judge(record.measurement)
    if verdict.holds:
        return "survived"
    return "killed" if verdict.judged else "caught"


def survivors(records: Collection[Any]) -> list[tuple[str, str]]:
    """Mistakes and frameworks in which nothing rejected them: (mistake, framework)."""
    fates: dict[tuple[str, str], set[str]] = {}
    for record in records:
        fates.setdefault((record.wrong, record.framework), set()).add(fate(record))
    return [key for key, found in fates.items() if found == {"survived"}]
