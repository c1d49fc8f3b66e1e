"""What of a run need not be measured again: the same code has measured it in the same environment."""

import functools
from collections.abc import Callable, Collection, Iterable
from typing import Any

from bench.records.schema import Environment
from bench.records.staleness import Codes, stale
from bench.records.store import latest
from bench.running.job import Job, Outcome

DONE = ("ok", "wrong", "unsupported")  # what another try would find again; the rest may have been bad luck


def reusable(records: Iterable[Any], codes: Codes, environments: Collection[Environment]) -> list[Any]:
    """The records that count as measured by this code on these machines."""
    places = {environment.id for environment in environments}
    calm = (record for record in records if not getattr(record, "disturbed", False))  # the others: measured again
    comparable = (record for record in calm if not stale(record, codes) and record.environment in places)
    return [record for record in latest(comparable) if record.status in DONE]


def left(
    jobs: list[Job], records_of: Callable[[Outcome], list[Any]], reusable: Iterable[Any]
) -> tuple[list[Job], list[Any]]:
    """The jobs with the tasks that are still to be measured, and the records of those that are not.

    A task is known by the records that it would give; where any of these is missing, it is measured.
    """
    known = {identity(record): record for record in reusable}
    found: dict[tuple[Any, ...], Any] = {}

    def missing(job: Job, task: Any) -> bool:
        wanted = [identity(record) for record in records_of(Outcome(job, task, "interrupted"))]
        if not all(name in known for name in wanted):
            return True
        found.update((name, known[name]) for name in wanted)
        return False

    rest = [job.only(functools.partial(missing, job)) for job in jobs]
    return [job for job in rest if job.tasks], list(found.values())


def identity(record: Any) -> tuple[Any, ...]:
    """What a record replaces, on which device, and how thoroughly it was measured."""
    return (*record.key(), record.device, getattr(record, "quick", False))
