"""Compiled or not, a method gives the same: whatever a framework traces, merges and reorders on the way."""

import functools

from equivalence.agreement import compare, references
from equivalence.claim import Claim
from equivalence.measure import ROUNDING_UNIT
from equivalence.usages import usages

USED = ("input_gradient_penalty", "jacobian_penalty", "vat_loss")  # twice backwards, mapped, with a gradient cut off


def measure(problem, reference):
    used = {name: usages()[name] for name in USED}
    calls = {name: functools.partial(usage.call, problem.methods) for name, usage in used.items()}
    eager, *modes = problem.bridge.COMPARED_MODES
    unit = ROUNDING_UNIT[problem.dtype]
    plain = problem.program(calls, eager)(problem)
    scales = {name: references(usage, reference, unit)[1] for name, usage in used.items()}
    for mode in modes:
        found = problem.program(calls, mode)(problem)
        for name in used:
            yield f"{mode} {name}", compare(found[name], plain[name], scales[name], unit)


def when_traced(name, factor):
    """A wrong variant: where an array's values are not known yet, the result is off by a factor."""
    return lambda m, bridge: {
        name: lambda f, x, *more, **options: (
            (factor if bridge.finite(x) is None else 1) * getattr(m, name)(f, x, *more, **options)
        )
    }


CLAIM = Claim(
    id="E4",
    title="Methods give the same compiled as uncompiled",
    formula="m(x; θ) traced, jitted or compiled by XLA = m(x; θ) run operation by operation, value and ∇θ",
    source="Frostig et al. 2018 (JAX); Agrawal et al. 2019 (TensorFlow); Reed et al. 2022 (torch.fx)",
    methods=USED,
    cases=("softmax",),
    measure=measure,
    wrong={
        "a branch that tracing forgets": when_traced("jacobian_penalty", 1.03),
        "a coarser compiled arithmetic": when_traced("vat_loss", 1 + 1e-9),
    },
    control="softmax",
    itself=True,
)
