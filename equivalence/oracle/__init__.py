"""The oracle: every method and its gradient in NumPy, without automatic differentiation.

The frameworks share one idea, automatic differentiation, and could share its mistakes: a gradient that flows where it
should be stopped, or a perturbation that is not held fixed, looks alike in all three. So models carry gradients derived
by hand, and every further derivative is that of an analytic function of one number: a complex step, or Cauchy's
integral on a circle, both exact to rounding. An oracle's number and a framework's have only the formula in common.

Closures are `Model`, `LogSoftmax`, `Loss`, `Coordinates` and `OfParams`: functions with a `vjp`. `values` has the
contract's functions under the contract's names. `pullbacks` has them again, with the same parameters:
pullbacks.hvp(loss, x, v) is cotangent -> (x_bar, params_bar), the gradient of Σ cotangent·value. What takes arrays
alone gives their gradients instead, what takes params gives params_bar, and what has two results has two pullbacks.
Both are found by name in the module that has the contract's name: `hvp` and `hvp_pullback` in `curvature`, or
`entropy`, which has a `pullback` of its own.

Everything is float64, and analytic in x, noise and radius where no derivative is taken inside; what takes one
(curvature, the penalties' gradients, virtual adversarial directions) refuses a complex x, and so do projections.
"""

import importlib
import inspect
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from equivalence.oracle import losses, norms
from equivalence.oracle.closures import Coordinates, LogSoftmax, Loss, Model, OfParams
from equivalence.oracle.curvature import hessian
from equivalence.oracle.derivative import derivative
from equivalence.oracle.losses import rounded
from equivalence.oracle.models import embed, embed_vjp
from equivalence.oracle.norms import underflowed
from equivalence.oracle.penalty import jacobian
from impls.contract import MODULES

DRAWS = "sampling"  # the oracle draws nothing


def find_methods() -> Iterator[tuple[str, Any, Any]]:
    """Each of the contract's functions by name, with its pullback where it has one."""
    for module in MODULES:
        stubs = importlib.import_module(f"impls.contract.{module}")
        for name, stub in inspect.getmembers(stubs, inspect.isfunction) if module != DRAWS else ():
            if stub.__module__ == stubs.__name__:
                own = importlib.import_module(f"{__name__}.{module}")
                value = getattr(own, name)
                pullback = value.pullback() if hasattr(value, "pullback") else getattr(own, f"{name}_pullback", None)
                yield name, value, pullback


# Beside the contract's functions, what they are made of.
values = SimpleNamespace(
    log_softmax=losses.log_softmax,
    softmax=losses.softmax,
    reverse_kl_divergence=losses.reverse_kl_divergence,
    jacobian=jacobian,
    hessian=hessian,
    **{name: value for name, value, _ in find_methods()},
)
pullbacks = SimpleNamespace(
    reverse_kl_divergence=losses.reverse_kl_divergence.pullback(),
    samples=norms.per_sample,  # shapes a cotangent, for those who chain pullbacks
    **{name: pullback for name, _, pullback in find_methods() if pullback},
)

__all__ = [
    "Coordinates",
    "LogSoftmax",
    "Loss",
    "Model",
    "OfParams",
    "derivative",
    "embed",
    "embed_vjp",
    "hessian",
    "jacobian",
    "pullbacks",
    "rounded",
    "underflowed",
    "values",
]
