"""Which tasks to measure for a verification, and records of what came back."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bench.proofs import comparison
from bench.records.schema import AgreementRecord, CallRecord, ClaimRecord
from bench.running import caches
from bench.running.job import Job, Outcome
from bench.running.shard import WHOLE, Shard
from equivalence.calls import calls
from equivalence.cases import build
from equivalence.claim import claims
from equivalence.judge import judge_all
from equivalence.measure import FULL, HALF, HALF_CASE, MIXED, computed_in
from equivalence.usages import USAGES, Usage, usages
from impls.frameworks import FRAMEWORKS

TELLING = 3  # calls of each kind that a mistake's record keeps

AGREEMENT = "F"
CALLED_IN = "float64"  # the dtype of calls


@dataclass(frozen=True)
class Group:
    """Cases whose arrays have the same shapes, so that one compilation serves them all, and the usages measured."""

    cases: tuple[str, ...]
    dtype: str
    chosen: Callable[[Usage], bool]


def every(usage: Usage) -> bool:
    return True


def main(usage: Usage) -> bool:
    """One usage a method."""
    return usage.main


def structures(usage: Usage) -> bool:
    """One usage for each way in which methods differentiate a model: what another architecture could break."""
    return usage.name in STRUCTURES


def orders(usage: Usage) -> bool:
    """First, second and third derivatives alone, for an architecture that is slow to compile."""
    return usage.name in ("perturb_output", "input_gradient_penalty", "laplacian")


def two_orders(usage: Usage) -> bool:
    """First and second derivatives alone: the third is the slowest by far."""
    return usage.name != "laplacian" and orders(usage)


def differentiating(usage: Usage) -> bool:
    """One usage for each way of going through a model that computes in another dtype than its arguments have."""
    return usage.name in MIXING


MIXING = {
    "cross_entropy", "fgm", "pgd", "freelb_loss", "input_gradient_penalty", "jacobian_penalty", "tikhonov_penalty",
    "wgan_gradient_penalty", "hvp", "vat_perturbation", "vat_loss", "perturb_table",
}  # fmt: skip
STRUCTURES = {"input_gradient_penalty", "jacobian_penalty", "laplacian", "perturb_table", "perturb_output"}
GROUPS = (
    Group(("tanh-mlp",), "float64", every),
    Group(("tanh-mlp", "tiny-gradients", "saturated", "zero-gradient", "ill-conditioned"), "float32", main),
    Group(("flat-sample",), "float32", structures),
    Group(("one-sample",), "float64", structures),
    Group(("digits-mlp",), "float32", structures),
    Group(("digits-cnn",), "float64", structures),
    Group(("reviews-text",), "float64", structures),
    Group(("transformer",), "float64", orders),
    Group(("bert",), "float64", two_orders),
    Group(("softplus-mlp",), "float64", structures),
)
HALF_GROUPS = tuple(  # other architectures are for records of precision
    Group((HALF_CASE,), dtype, chosen)
    for half in HALF
    for dtype, chosen in ((half, main), (MIXED + half, differentiating))
)
FAST_COMPILATION = {  # a check waits for the compiler, not for what it makes
    "XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
}


@dataclass(frozen=True)
class Chosen:
    """What to verify: claims by id (F among them); sets of methods or cases that are empty stand for all of them."""

    claims: frozenset[str]
    methods: frozenset[str] = frozenset()
    cases: frozenset[str] = frozenset()
    quick: bool = False  # each claim on the case that stands for the others, agreement on one
    dtypes: tuple[str, ...] = FULL  # what is measured in one that is missing is measured in the other
    precisions: frozenset[str] = frozenset(FULL)  # of agreement; of half precision what is mixed, too


def tasks(chosen: Chosen) -> list[Any]:
    """Everything to measure in one framework."""
    return [*agreement_tasks(chosen), *call_tasks(chosen), *claim_tasks(chosen)]


def claim_tasks(chosen: Chosen) -> Iterator[Any]:
    for claim in claims().values():
        if claim.id not in chosen.claims:
            continue
        for case in (claim.control, *claim.quick) if chosen.quick else claim.cases:
            wanted = not chosen.methods or chosen.methods & claim.about(case)
            if wanted and (not chosen.cases or case in chosen.cases):
                yield ["claim", claim.id, case, ""]


def agreement_tasks(chosen: Chosen) -> Iterator[Any]:
    if AGREEMENT not in chosen.claims:
        return
    for group in groups(chosen):
        names = [case for case in group.cases if not chosen.cases or case in chosen.cases]
        wanted = main if chosen.quick else group.chosen
        fitting = [
            usage.name
            for usage in USAGES
            if wanted(usage)
            and (not chosen.methods or usage.method in chosen.methods)
            and all(usage.applies(case) for case in build(names).values())
        ]
        if names and fitting:
            dtype = group.dtype if group.dtype not in FULL or group.dtype in chosen.dtypes else chosen.dtypes[0]
            yield ["agreement", names, dtype, fitting, ""]


def groups(chosen: Chosen) -> list[Group]:
    """What agreement is measured on, by the precisions that are asked for. Half precision is not, by default."""
    found = [group for group in GROUPS if group.dtype in chosen.precisions][: 1 if chosen.quick else None]
    return found + [group for group in HALF_GROUPS if computed_in(group.dtype) in chosen.precisions]


def call_tasks(chosen: Chosen) -> Iterator[Any]:
    """Calls of every kind, in a quick run as well: each kind is one that no claim looks at."""
    if AGREEMENT not in chosen.claims or CALLED_IN not in chosen.precisions:
        return
    for method in dict.fromkeys(call.method for call in calls().values()):
        if not chosen.cases and (not chosen.methods or method in chosen.methods):
            yield ["calls", method, CALLED_IN if CALLED_IN in chosen.dtypes else chosen.dtypes[0], ""]


def environment() -> dict[str, str]:
    """The variables that a worker starts with which checks and times nothing."""
    return FAST_COMPILATION | caches.lasting()


def jobs(frameworks: list[str], chosen: Chosen, device: str, slots: int, shard: Shard = WHOLE) -> list[Job]:
    """At least one job a framework; the tasks of those that would leave slots idle are dealt out to all slots."""
    arguments = {"device": device, "environment": environment()}
    slowest_first = sorted(frameworks, key=FRAMEWORKS.index, reverse=True)  # to start and to compile
    alone = len(frameworks) - len(frameworks) % slots  # so many keep the slots busy with one job each
    planned: list[Job] = []
    for position, framework in enumerate(slowest_first):
        shares = 1 if position < alone else slots
        dealt = [shard.of(tasks(chosen))[share::shares] for share in range(shares)]
        planned += [Job("equivalence.worker", framework, arguments, part) for part in dealt if part]
    return planned


def records(outcome: Outcome) -> list[ClaimRecord | AgreementRecord | CallRecord]:
    """What an outcome says, in records: one for a claim, one a usage for agreement, one for a method's calls."""
    kind, *task = outcome.task
    framework, status, reason = outcome.job.framework, outcome.status, outcome.reason
    device = outcome.job.arguments["device"]
    if kind == "claim":
        claim, case, mistake = task
        parts = outcome.result
        if missing := uncovered(list(parts.values())):
            status, reason, parts = "unsupported", missing, {}
        return [
            ClaimRecord(
                claim=claim,
                framework=framework,
                case=case,
                wrong=mistake,
                device=device,
                status=status,
                reason=reason,
                seconds=outcome.seconds,
                parts=parts,
            )
        ]
    if kind == "calls":
        method, dtype, mistake = task
        parts = {name: comparison.compare_call(found, name, dtype) for name, found in outcome.result.items()}
        return [
            CallRecord(
                method=method,
                framework=framework,
                dtype=dtype,
                wrong=mistake,
                device=device,
                status=status,
                reason=reason,
                seconds=outcome.seconds,
                parts=select_telling(parts) if mistake else parts,
            )
        ]
    cases, dtype, names, mistake = task
    return [agreement_record(outcome, case, dtype, name, mistake) for case in cases for name in names]


def select_telling(parts: dict[str, Any]) -> dict[str, Any]:
    """Of a planted mistake's calls a few that decide what became of it; hundreds more would say the same.

    They are the first that the judge rejects and the first that raise; all where it rejects none and none raises.
    """
    raising = [name for name, part in parts.items() if "error" in part]
    rejected = (name for name, part in parts.items() if "error" not in part and not judge_all({name: part}).holds)
    kept = [*raising[:TELLING], *itertools.islice(rejected, TELLING)]
    return {name: parts[name] for name in parts if name in kept} if kept else parts


def agreement_record(outcome: Outcome, case: str, dtype: str, name: str, mistake: str) -> AgreementRecord:
    found = outcome.result.get(case, {}).get(name, {})
    measurement = comparison.compare(found, name, case, dtype) if outcome.status == "ok" else {}
    failed, missing = measurement.get("error"), uncovered([measurement])
    return AgreementRecord(
        usage=name,
        method=usages()[name].method,
        framework=outcome.job.framework,
        case=case,
        dtype=dtype,
        wrong=mistake,
        device=outcome.job.arguments["device"],
        status="failed" if failed else "unsupported" if missing else outcome.status,
        reason=failed or missing or outcome.reason,
        measurement={} if failed or missing else measurement,
    )


def uncovered(measurements: list[dict[str, Any]]) -> str:
    """Why none of these could be made, where an implementation does not offer what they ask for."""
    reasons = [measurement["reason"] for measurement in measurements if measurement.get("kind") == "not covered"]
    return "; ".join(dict.fromkeys(reasons)) if len(reasons) == len(measurements) else ""
