"""Every way in which the contract allows a function to be called: options, shapes, zeros and ties, settings.

One module for each file of the contract lists its functions' calls in CALLS.
"""

import functools
import importlib

from equivalence.calls.call import Call
from impls.contract import MODULES

UNCALLED = ("sampling", "models", "training", "bridge")  # what they give is no number that an oracle could state


@functools.cache
def calls() -> dict[str, Call]:
    """All calls by name. Imports no framework."""
    importlib.import_module("equivalence.calls.cases")  # registers the problems that calls are made on
    found: dict[str, Call] = {}
    for module in MODULES:
        if module in UNCALLED:
            continue
        for call in importlib.import_module(f"equivalence.calls.{module}").CALLS:
            if call.name in found:
                raise RuntimeError(f"two calls are named {call.name!r}")
            found[call.name] = call
    return found
