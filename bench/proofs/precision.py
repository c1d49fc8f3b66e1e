"""What half precision leaves of each method: which tasks to measure, and records of what came back."""

from collections.abc import Sequence

from bench.proofs.verify import environment
from bench.records.schema import PrecisionRecord
from bench.running.job import Job, Outcome
from bench.running.shard import WHOLE, Shard
from equivalence.measure import FULL
from equivalence.precision import CASES, DTYPES

KIND = "precision"


def jobs(
    frameworks: Sequence[str],
    cases: Sequence[str],
    dtypes: Sequence[str],
    device: str,
    slots: int,
    shard: Shard = WHOLE,
) -> list[Job]:
    """Each framework's tasks, dealt out to all slots. Cases and dtypes that are empty stand for all of them."""
    tasks = [[KIND, case, dtype] for dtype in dtypes or (*DTYPES, *FULL) for case in cases or CASES]
    arguments = {"device": device, "environment": environment()}
    mine = shard.of(tasks)
    return [
        Job("equivalence.worker", framework, arguments, part)
        for framework in frameworks
        for share in range(slots)
        if (part := mine[share::slots])
    ]


def records(outcome: Outcome) -> list[PrecisionRecord]:
    _, case, dtype = outcome.task
    return [
        PrecisionRecord(
            case=case,
            dtype=dtype,
            framework=outcome.job.framework,
            device=outcome.job.arguments["device"],
            status=outcome.status,
            reason=outcome.reason,
            seconds=outcome.seconds,
            methods=outcome.result,
        )
    ]
