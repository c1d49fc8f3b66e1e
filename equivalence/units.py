"""What a worker measures: a claim on a case, or the agreement of methods with the oracle on a case."""

from types import ModuleType, SimpleNamespace
from typing import Any

from equivalence import agreement, own_losses
from equivalence.cases import build
from equivalence.claim import claims, swapped
from equivalence.judge import judge
from equivalence.problem import Problem
from equivalence.reference import Reference
from equivalence.usages import usages

Result = dict[str, dict[str, Any]]


def claim(
    bridge: ModuleType, methods: SimpleNamespace, device: str, claim_id: str, case_name: str, mistake: str
) -> Result:
    """The claim's parts by name. With a mistake planted, only up to the first part that its judge rejects."""
    stated, case = claims()[claim_id], build([case_name])[case_name]
    if mistake:
        methods = swapped(methods, stated.wrong[mistake](methods, bridge))
    parts = {}
    for name, part in stated.measure(Problem(case, bridge, methods, "float64", device), Reference(case)):
        parts[name] = part
        if mistake and not judge(part).holds:
            break
    return parts


def agree(
    bridge: ModuleType, methods: SimpleNamespace, device: str, case_name: str, dtype: str, names: list[str]
) -> Result:
    """A measurement by usage."""
    case = build([case_name])[case_name]
    chosen = [usages()[name] for name in names]
    return agreement.measure(Problem(case, bridge, methods, dtype, device), Reference(case), chosen)


def own(bridge: ModuleType, methods: SimpleNamespace, device: str) -> Result:
    """Which of the framework's own losses can be differentiated how often, by loss."""
    return own_losses.measure(bridge, bridge.__name__.rpartition(".")[2])


MEASURERS = {"claim": claim, "agreement": agree, "own losses": own}
