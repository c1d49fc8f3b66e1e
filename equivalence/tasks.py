"""What a worker measures: a claim on a case, or the agreement of methods with the oracle on a case."""

from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

from equivalence import agreement, precision, trainees, variations
from equivalence.calls import measure as calling
from equivalence.claim import claims
from equivalence.foreign import difference, loading, resemblance
from equivalence.foreign.guard import Guard
from equivalence.foreign.seal import Seal
from equivalence.foreign.state import put_back
from equivalence.judge import judge
from equivalence.measure import computed_in, not_covered
from equivalence.mutant import mutants, planted
from equivalence.problem import Problem
from equivalence.protocol import NotCovered, describe_error
from equivalence.reference import known
from equivalence.state import Kept
from equivalence.usages import usages
from impls import NotOffered

Result = dict[str, dict[str, Any]]


def claim(
    bridge: ModuleType, methods: SimpleNamespace, device: str, claim_id: str, case_name: str, mistake: str
) -> Result:
    """The claim's parts by name. With a mistake planted, only up to the first part that its judge rejects.

    What an implementation does not offer ends it, too: what was measured before counts.
    """
    stated, reference = claims()[claim_id], known(case_name)
    used = with_mistake(planted(methods, trainees.steps(methods)), bridge, mistake)
    parts = {}
    try:
        with Kept(bridge):  # a mistake may be one about the process, which the next task is measured in too
            for name, part in stated.measure(Problem(reference.case, bridge, used, "float64", device), reference):
                if name in parts:  # one would hide the other
                    raise ValueError(f"{claim_id} on {case_name}: two parts are called {name!r}")
                parts[name] = part
                if mistake and not judge(part).holds:
                    break
    except (NotCovered, NotOffered) as error:
        parts["not covered"] = not_covered(describe_error(error))
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
    """Map case and usage to the raw numbers, or to what was raised: they are compared where no such code has been."""
    used = with_mistake(methods, bridge, mistake)
    problems = [Problem(known(name, computed_in(dtype)).case, bridge, used, dtype, device) for name in cases]
    with Kept(bridge):
        return agreement.run(problems, [usages()[name] for name in names])


def call(
    bridge: ModuleType, methods: SimpleNamespace, device: str, method: str, dtype: str, mistake: str
) -> dict[str, Any]:
    """What came of each call of a method, in every setting: raw numbers, or the error that it raised."""
    with Kept(bridge):
        return calling.run(bridge, with_mistake(methods, bridge, mistake), device, dtype, method)


def with_mistake(methods: SimpleNamespace, bridge: ModuleType, mistake: str) -> SimpleNamespace:
    """The methods, a planted mistake among them where one is named."""
    return planted(methods, mutants()[mistake].replace(methods, bridge)) if mistake else methods


def vary(bridge: ModuleType, methods: SimpleNamespace, device: str, seed: int) -> Result:
    """A group of variations of right implementations, by what was varied."""
    return variations.measure(bridge, methods, device, seed)


def contents(bridge: ModuleType, methods: SimpleNamespace, device: str, path: str, seconds: float) -> dict[str, Any]:
    """What someone else's file has of the contract, what it offers of it, and what importing it does to its process."""
    seal = Seal(bridge)
    with put_back(bridge) as kept:
        file = loading.load(path, seconds)
    seal.check("importing it")
    return file.offered | {"changes": str(kept)}


def alone(bridge: ModuleType, methods: SimpleNamespace, device: str, function: str, task: list[Any]) -> dict[str, Any]:
    """A task with one foreign function, the reference in the place of the others."""
    kind, *arguments = task
    used = {
        name: method.reference if isinstance(method, Guard) and name != function else method
        for name, method in vars(methods).items()
    }
    return MEASURERS[kind](bridge, SimpleNamespace(**used), device, *arguments)


MEASURERS: dict[str, Callable[..., dict[str, Any]]] = {
    "claim": claim,
    "agreement": agree,
    "calls": call,
    "variations": vary,
    "precision": precision.measure,
    "contents": contents,
    "difference": difference.measure,
    "alone": alone,
    "resemblance": resemblance.measure,
}
