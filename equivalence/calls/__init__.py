"""Every way in which the contract allows a function to be called: options, shapes, zeros and ties, settings.

One module for each file of the contract lists its functions' calls in CALLS.
"""

import functools
import importlib

from equivalence.calls.call import Call
from equivalence.calls.scalars import SCALARS, scalars
from equivalence.calls.settings import PRECISION
from impls.contract import MODULES

STANDING = ("call-matrices", "call-words")  # cases on which arguments come in every setting
USUAL = "call-vectors"  # on which most ways and options are asked for
UNCALLED = ("sampling", "models", "training", "bridge")  # what they give is no number that an oracle could state


def called(method: str, setting: str = "") -> list[Call]:
    """The calls of one method, in a setting other than the plain one those on a case that stands for all others."""
    own = [call for call in calls().values() if call.method == method]
    if setting == SCALARS and not scalars(method):
        return []
    if setting == PRECISION:
        return [call for call in own if call.case in (*STANDING, USUAL)]
    return [call for call in own if call.case in STANDING] if setting else own


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
