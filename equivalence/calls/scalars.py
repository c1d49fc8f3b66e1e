"""Numbers that come as arrays: in a compiled step a radius or a target may be an argument, which no Python can read."""

import functools
import importlib
import inspect
from types import SimpleNamespace
from typing import Any

from impls.checks import rule
from impls.contract import MODULES
from impls.contract.types import Interval

SCALARS = "traced numbers"  # the setting of these calls
ONE = "one"  # the name of the array that numbers are multiplied with
# Methods through whose numbers a gradient flows: they are no size of what is held fixed, and no step of a difference.
FLOWING = ("project", "smooth_labels", "wgan_gradient_penalty", "parameter_gradient_penalty", "flooding")


@functools.cache
def scalars(method: str) -> frozenset[str]:
    """The parameters of a contract's function that may be a number or a scalar array."""
    modules = [importlib.import_module(f"impls.contract.{module}") for module in MODULES]
    stub = next(found for module in modules if (found := vars(module).get(method)))
    asked = {name: rule(parameter.annotation) for name, parameter in inspect.signature(stub).parameters.items()}
    return frozenset(name for name, wanted in asked.items() if isinstance(wanted, Interval) and wanted.traced)


def with_arrays(methods: SimpleNamespace, name: str, one: Any) -> SimpleNamespace:
    """The methods, where the named one gets its numbers times `one`, an array of shape ()."""
    method, names = getattr(methods, name), scalars(name)

    @functools.wraps(method)
    def given(*args: Any, **options: Any) -> Any:
        return method(*args, **{key: one * value if key in names else value for key, value in options.items()})

    return SimpleNamespace(**(vars(methods) | {name: given}))
