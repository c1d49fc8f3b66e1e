"""Seeded variations of right implementations: which groups to measure, and whether any check gave a false alarm."""

import math

from bench.proofs.verify import environment
from bench.records.schema import VariationRecord
from bench.running.job import Job, Outcome
from bench.running.shard import WHOLE, Shard
from equivalence.judge import judge

GROUP = 36  # variations of agreement in a group, and a few of claims


def jobs(frameworks: list[str], count: int, seed: int, device: str, slots: int, shard: Shard = WHOLE) -> list[Job]:
    """So many groups, from a seed on, that there are at least `count` variations in each framework."""
    arguments = {"device": device, "environment": environment()}
    groups = shard.of(["variations", seed + number] for number in range(math.ceil(count / GROUP)))
    dealt = [groups[share::slots] for share in range(slots)]
    return [Job("equivalence.worker", framework, arguments, part) for framework in frameworks for part in dealt if part]


def records(outcome: Outcome) -> list[VariationRecord]:
    """A group's record: how many were measured, which failed and why, and the worst agreement."""
    judged = {what: judge(part) for what, part in outcome.result.items()}
    units = [verdict.numbers[key] for verdict in judged.values() for key in verdict.numbers if key in UNITS]
    return [
        VariationRecord(
            framework=outcome.job.framework,
            seed=outcome.task[1],
            device=outcome.job.arguments["device"],
            status=outcome.status,
            reason=outcome.reason,
            seconds=outcome.seconds,
            count=len(judged),
            failures={what: verdict.reason for what, verdict in judged.items() if not verdict.holds},
            worst=max(units, default=math.nan),
        )
    ]


UNITS = ("value units", "gradient units")
