"""What is wrong with someone else's functions, as far as numbers say: which fail, where they differ, and like what.

True or silent. A function is named only for what it fails by itself, with the reference in the place of all others, and
only where there are numbers: of an exception, a time limit or a refused shape the record says all that is known.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

from bench.proofs import advice, verify
from bench.proofs.implementation import Trial
from bench.proofs.mutants import DTYPE
from bench.records.machine import cores
from bench.records.schema import AgreementRecord, CallRecord, ClaimRecord
from bench.running.job import Job, Outcome
from bench.running.local import run
from equivalence.claim import claims
from equivalence.judge import judge
from equivalence.mutant import CASE

MOST_CALLS = 8  # that a function is compared with known mistakes by
Place = tuple[str, str]  # case and dtype
PLACES = [(case, group.dtype) for group in verify.GROUPS for case in group.cases]  # the plainest first


def explain(trial: Trial, records: Collection[Any], replaced: Collection[str]) -> dict[str, str]:
    """What to look at in each function that is to blame; the failed records say it too."""
    to_blame = {name: own for name, own in measured_alone(trial, records, replaced).items() if any(map(wrong, own))}
    off = {name: failed for name, own in to_blame.items() if (failed := used(own, name)) and wrong(failed[0])}
    checks = {name: [*usages(own, name), *calls(own, name)] for name, own in to_blame.items()}
    found = results(
        trial.job([difference(name, failed) for name, failed in off.items()]),
        trial.job([["resemblance", name, own] for name, own in checks.items() if own], clean=True),
    )
    words = {
        name: advice.about(name, own, found.get(("alone", name), {}), found.get(("resemblance", name), {}))
        for name, own in to_blame.items()
    }
    for record in records:
        if not record.verdict.holds:
            record.reason = advice.explained(record, [said for name, said in words.items() if uses(record, name)])
    return words


def measured_alone(trial: Trial, records: Collection[Any], replaced: Collection[str]) -> dict[str, list[Any]]:
    """Measure each function that may be to blame for what failed, with no other one replaced; records by function."""
    if len(replaced) == 1:
        return {name: [record for record in records if uses(record, name)] for name in replaced}
    tasks = [["alone", name, task] for name in sorted(replaced) for task in suspicious(records, name)]
    found: dict[str, list[Any]] = defaultdict(list)
    for outcome in outcomes(trial.job(tasks)):
        _, name, task = outcome.task
        found[name] += verify.records(replace(outcome, task=task))
    return found


def suspicious(records: Collection[Any], name: str) -> Iterator[Any]:
    """Tasks that failed and may have failed for a function: its usages, and claims that no failing usage explains."""
    failed = [record for record in records if not record.verdict.holds]
    explained = {record.method for record in failed if isinstance(record, AgreementRecord | CallRecord)}
    yield from (["calls", name, r.dtype, ""] for r in failed if isinstance(r, CallRecord) and r.method == name)
    if name in explained:
        for case, dtype in places(records, name):
            names = [r.usage for r in used(records, name) if (r.case, r.dtype) == (case, dtype)]
            yield ["agreement", [case], dtype, names, ""]
    cases = {record.claim: record.case for record in failed if isinstance(record, ClaimRecord) and uses(record, name)}
    for claim, case in cases.items():
        if not explained & set(claims()[claim].methods):
            yield ["claim", claim, case, ""]


def places(records: Collection[Any], name: str) -> list[Place]:
    """Find where to look at a function's errors: the first place where it fails, and the one with the most usages."""
    own = [record for record in records if isinstance(record, AgreementRecord) and record.method == name]
    failed = {(record.case, record.dtype) for record in own if not record.verdict.holds}
    known = {(record.case, record.dtype) for record in own}
    return list(dict.fromkeys([*sorted(failed, key=PLACES.index)[:1], *({(CASE, DTYPE)} & known)]))


def used(records: Collection[Any], name: str) -> list[AgreementRecord]:
    """What was measured of a function in these places, the usages that failed by numbers first."""
    own = [
        record
        for place in places(records, name)
        for record in records
        if isinstance(record, AgreementRecord) and (record.method, record.case, record.dtype) == (name, *place)
    ]
    return sorted(own, key=lambda record: not wrong(record))


def difference(name: str, found: Collection[AgreementRecord]) -> list[Any]:
    """The task that finds where a function first differs from the reference, in the usages that failed in one place."""
    first = next(iter(found))
    failed = [r.usage for r in found if wrong(r) and (r.case, r.dtype) == (first.case, first.dtype)]
    return ["alone", name, ["difference", name, first.case, first.dtype, failed]]


def usages(records: Collection[Any], name: str) -> list[Any]:
    """The usages of a function as checks that a known mistake can be measured by, with what they measured."""
    return [[["usage", r.case, r.dtype, r.usage], r.measurement] for r in used(records, name) if r.status == "ok"]


def calls(records: Collection[Any], name: str) -> list[Any]:
    """The calls of a function that numbers reject, likewise; where no usage fails they are all that is known."""
    own = [record for record in records if isinstance(record, CallRecord) and record.method == name]
    rejected = [
        [["call", record.dtype, call], part]
        for record in own
        for call, part in record.parts.items()
        if "error" not in part and not judge(part).holds
    ]
    return rejected[:MOST_CALLS]


def results(*jobs: Job) -> dict[tuple[str, str], dict[str, Any]]:
    """Map each kind of task and function to its result, or to the error."""
    return {
        (outcome.task[0], outcome.task[1]): outcome.result if outcome.status == "ok" else {"error": outcome.reason}
        for outcome in outcomes(*jobs)
    }


def outcomes(*jobs: Job) -> list[Outcome]:
    """What became of jobs' tasks, the jobs side by side; nothing is started where there are none."""
    heard: list[Any] = []
    run([job for job in jobs if job.tasks], [[core] for core in cores()], heard.append)
    return [event for event in heard if isinstance(event, Outcome)]


def wrong(record: Any) -> bool:
    """Whether numbers were measured and rejected."""
    return record.status == "ok" and record.verdict.judged and not record.verdict.holds


def uses(record: Any, name: str) -> bool:
    """Whether a record is of a claim or a usage that is about this function."""
    if isinstance(record, ClaimRecord):
        return name in claims()[record.claim].methods
    return isinstance(record, AgreementRecord | CallRecord) and record.method == name
