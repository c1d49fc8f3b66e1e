"""Which units to measure for a verification, and records of what came back."""

from collections.abc import Iterable, Iterator
from typing import Any

from bench.run import Job, Outcome
from bench.store import AgreementRecord, ClaimRecord
from equivalence.cases import REGISTRY
from equivalence.claim import claims
from equivalence.usages import USAGES

AGREEMENT = "F"
AGREEMENT_CASES = ("quadratic", "softmax", "tanh-mlp", "digits-mlp", "digits-cnn", "reviews-text")
EVERY_USAGE = ("quadratic", "tanh-mlp")  # elsewhere one usage a method: compiling them is what takes the time
DTYPES = ("float64", "float32")
FAST_COMPILATION = {"XLA_FLAGS": "--xla_backend_optimization_level=0"}  # a check waits for the compiler, not the code


def units(chosen: Iterable[str], methods: set[str], cases: set[str]) -> list[Any]:
    """Everything to measure in one framework; empty sets of methods or cases stand for all of them."""
    return [*claim_units(set(chosen), methods, cases), *agreement_units(set(chosen), methods, cases)]


def claim_units(chosen: set[str], methods: set[str], cases: set[str]) -> Iterator[Any]:
    for claim in claims().values():
        if claim.id not in chosen or (methods and not methods & set(claim.methods)):
            continue
        measured = [case for case in claim.cases if not cases or case in cases]
        yield from (["claim", claim.id, case, ""] for case in measured)
        if measured:
            yield from (["claim", claim.id, claim.control, mistake] for mistake in claim.wrong)


def agreement_units(chosen: set[str], methods: set[str], cases: set[str]) -> Iterator[Any]:
    if AGREEMENT not in chosen:
        return
    for name in AGREEMENT_CASES:
        if cases and name not in cases:
            continue
        classes = REGISTRY[name]().loss != "value"
        names = [
            usage.name
            for usage in USAGES
            if (usage.main or name in EVERY_USAGE)
            and (classes or not usage.logits)
            and (not methods or usage.method in methods)
        ]
        if names:
            yield from (["agreement", name, dtype, names] for dtype in DTYPES)


def jobs(frameworks: list[str], chosen: Iterable[str], methods: set[str], cases: set[str], device: str, slots: int) -> list[Job]:
    """At least one job a framework; where there are more slots than frameworks, the units are dealt out."""
    planned = units(chosen, methods, cases)
    shares = max(1, slots // len(frameworks))
    arguments = {"device": device, "environment": FAST_COMPILATION}
    slowest_first = sorted(frameworks, key=["tensorflow", "jax", "torch"].index)  # to start and to compile
    return [
        Job("equivalence.worker", framework, arguments, planned[share::shares])
        for framework in slowest_first
        for share in range(shares)
        if planned[share::shares]
    ]


def records(outcome: Outcome) -> list[ClaimRecord | AgreementRecord]:
    """What an outcome says, in records: one for a claim, one a usage for agreement."""
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
    case, dtype, names = unit
    return [agreement_record(outcome, case, dtype, name) for name in names]


def agreement_record(outcome: Outcome, case: str, dtype: str, name: str) -> AgreementRecord:
    measurement = outcome.result.get(name, {})
    method = next(usage.method for usage in USAGES if usage.name == name)
    failed = measurement.get("error")
    return AgreementRecord(
        usage=name,
        method=method,
        framework=outcome.job.framework,
        case=case,
        dtype=dtype,
        status="failed" if failed else outcome.status,
        reason=failed or outcome.reason,
        measurement={} if failed else measurement,
    )
