"""Which units to measure for a verification, and records of what came back."""

from collections.abc import Iterator
from typing import Any

from bench.run import Job, Outcome
from bench.store import AgreementRecord, ClaimRecord, OwnLossRecord
from equivalence.cases import build
from equivalence.claim import claims
from equivalence.usages import USAGES, usages

AGREEMENT, OWN_LOSSES = "F", "L"
AGREEMENT_CASES = {  # all have class outputs; both precisions where compiling is quick
    "tanh-mlp": ("float64", "float32"),
    "one-sample": ("float64", "float32"),
    "flat-sample": ("float64", "float32"),
    "digits-mlp": ("float32",),
    "digits-cnn": ("float64",),
    "reviews-text": ("float64",),
}
EVERY_USAGE = {("tanh-mlp", "float64"), ("flat-sample", "float32")}  # elsewhere one usage a method
FAST_COMPILATION = {  # a check waits for the compiler, not for what it makes
    "XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
}


def units(chosen: set[str], methods: set[str], cases: set[str], mistakes: bool) -> list[Any]:
    """Everything to measure in one framework; empty sets of methods or cases stand for all of them."""
    found = [*agreement_units(chosen, methods, cases), *claim_units(chosen, methods, cases, mistakes)]
    return [*found, ["own losses"]] if OWN_LOSSES in chosen and not methods and not cases else found


def claim_units(chosen: set[str], methods: set[str], cases: set[str], mistakes: bool) -> Iterator[Any]:
    for claim in claims().values():
        if claim.id not in chosen or (methods and not methods & set(claim.methods)):
            continue
        measured = [case for case in claim.cases if not cases or case in cases]
        yield from (["claim", claim.id, case, ""] for case in measured)
        if measured and mistakes:
            yield from (["claim", claim.id, claim.control, mistake] for mistake in claim.wrong)


def agreement_units(chosen: set[str], methods: set[str], cases: set[str]) -> Iterator[Any]:
    if AGREEMENT not in chosen:
        return
    for name, dtypes in AGREEMENT_CASES.items():
        if cases and name not in cases:
            continue
        fitting = [usage for usage in USAGES if usage.applies(build([name])[name])]
        for dtype in dtypes:
            names = [
                usage.name
                for usage in fitting
                if (usage.main or (name, dtype) in EVERY_USAGE) and (not methods or usage.method in methods)
            ]
            if names:
                yield ["agreement", name, dtype, names]


def jobs(
    frameworks: list[str], chosen: set[str], methods: set[str], cases: set[str], device: str, slots: int
) -> list[Job]:
    """At least one job a framework; the units of those that would leave slots idle are dealt out to all slots.

    Planted mistakes are measured in one framework, the quickest: they test the judge, which is the same for all.
    """
    arguments = {"device": device, "environment": FAST_COMPILATION}
    slowest_first = sorted(frameworks, key=["tensorflow", "jax", "torch"].index)  # to start and to compile
    alone = len(frameworks) - len(frameworks) % slots  # so many keep the slots busy with one job each
    planned: list[Job] = []
    for position, framework in enumerate(slowest_first):
        shares = 1 if position < alone else slots
        all_units = units(chosen, methods, cases, mistakes=framework == slowest_first[-1])
        dealt = [all_units[share::shares] for share in range(shares)]
        planned += [Job("equivalence.worker", framework, arguments, part) for part in dealt if part]
    return planned


def records(outcome: Outcome) -> list[ClaimRecord | AgreementRecord | OwnLossRecord]:
    """What an outcome says, in records: one for a claim, one a usage for agreement, one a loss."""
    kind, *unit = outcome.unit
    framework, status, reason = outcome.job.framework, outcome.status, outcome.reason
    if kind == "claim":
        claim, case, mistake = unit
        return [
            ClaimRecord(
                claim=claim,
                framework=framework,
                case=case,
                wrong=mistake,
                status=status,
                reason=reason,
                seconds=outcome.seconds,
                parts=outcome.result,
            )
        ]
    if kind == "own losses":
        found = outcome.result or {"all": {}}
        return [
            OwnLossRecord(loss=loss, framework=framework, status=status, reason=reason, derivatives=derivatives)
            for loss, derivatives in found.items()
        ]
    case, dtype, names = unit
    return [agreement_record(outcome, case, dtype, name) for name in names]


def agreement_record(outcome: Outcome, case: str, dtype: str, name: str) -> AgreementRecord:
    measurement = outcome.result.get(name, {})
    failed = measurement.get("error")
    return AgreementRecord(
        usage=name,
        method=usages()[name].method,
        framework=outcome.job.framework,
        case=case,
        dtype=dtype,
        status="failed" if failed else outcome.status,
        reason=failed or outcome.reason,
        measurement={} if failed else measurement,
    )
