"""What a worker measures: a claim on a case, or the agreement of methods with the oracle on a case."""

from types import ModuleType, SimpleNamespace
from typing import Any

from equivalence import agreement, own_losses, trainees, variations
from equivalence.cases import build
from equivalence.claim import claims
from equivalence.foreign import difference, loading
from equivalence.foreign.seal import Seal
from equivalence.foreign.state import put_back
from equivalence.judge import judge
from equivalence.mutant import mutants, planted
from equivalence.problem import Problem
from equivalence.reference import Reference
from equivalence.state import Kept
from equivalence.usages import usages

Result = dict[str, dict[str, Any]]


def claim(
    bridge: ModuleType, methods: SimpleNamespace, device: str, claim_id: str, case_name: str, mistake: str
) -> Result:
    """The claim's parts by name. With a mistake planted, only up to the first part that its judge rejects."""
    stated, case = claims()[claim_id], build([case_name])[case_name]
    used = with_mistake(planted(methods, trainees.steps(methods)), bridge, mistake)
    parts = {}
    with Kept(bridge):  # a mistake may be one about the process, which the next unit is measured in too
        for name, part in stated.measure(Problem(case, bridge, used, "float64", device), Reference(case)):
            parts[name] = part
            if mistake and not judge(part).holds:
                break
    return parts


def agree(
    bridge: ModuleType,
    methods: SimpleNamespace,
    device: str,
    cases: list[str],
    dtype: str,
    names: list[str],
    mistake: str,
) -> dict[str, dict[str, agreement.Raw]]:
    """By case and usage the raw numbers, or the error that it raised: they are compared where no such code has been."""
    used = with_mistake(methods, bridge, mistake)
    built = build(cases).values()
    problems = [Problem(case, bridge, used, dtype, device) for case in built]
    with Kept(bridge):
        return agreement.run(problems, [usages()[name] for name in names])


def with_mistake(methods: SimpleNamespace, bridge: ModuleType, mistake: str) -> SimpleNamespace:
    """The methods, a planted mistake among them where one is named."""
    return planted(methods, mutants()[mistake].replace(methods, bridge)) if mistake else methods


def own(bridge: ModuleType, methods: SimpleNamespace, device: str) -> Result:
    """Which of the framework's own losses can be differentiated how often, by loss."""
    return own_losses.measure(bridge, bridge.__name__.rpartition(".")[2])


def vary(bridge: ModuleType, methods: SimpleNamespace, device: str, seed: int) -> Result:
    """A group of variations of right implementations, by what was varied."""
    return variations.measure(bridge, methods, device, seed)


def contents(bridge: ModuleType, methods: SimpleNamespace, device: str, path: str, seconds: float) -> dict[str, Any]:
    """The contract's functions that someone else's file has, and what importing it does to its process."""
    seal = Seal(bridge)
    with put_back(bridge) as kept:
        functions = list(loading.load(path, seconds))
    seal.check("importing it")
    return {"functions": functions, "changes": str(kept)}


MEASURERS = {
    "claim": claim,
    "agreement": agree,
    "variations": vary,
    "own losses": own,
    "contents": contents,
    "difference": difference.measure,
}
