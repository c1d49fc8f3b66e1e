"""What the text of someone else's file says that it has of the contract, found without running any of it.

It lets workers start at once, where a process that imports the framework only to look would keep them waiting. A text
can mean anything: the first worker says what the file really has, and where that is something else, or the file cannot
be imported, its run is given up for one that looks first.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bench.proofs.implementation import ImplementationRecord
from equivalence.foreign.loading import scope, stubs
from equivalence.protocol import Complaint

OWN = ("impls", "equireg")  # what is imported from there is the reference's
STATED = ("DTYPES", "GRADIENTS", "TRACED")


def declared(path: Path, framework: str, device: str) -> ImplementationRecord | None:
    """The file as its top-level statements have it; None where they define no function, or do not say enough."""
    body = ast.parse(path.read_bytes()).body
    bound = {name for statement in body for name in names(statement)}
    functions = [name for name in stubs() if name in bound]
    try:
        stated = scope(SimpleNamespace(**dict(said for statement in body for said in statements(statement))))
    except (ValueError, Complaint):  # computed, or no such dtypes
        return None
    if not functions:
        return None
    return ImplementationRecord(
        framework=framework,
        device=device,
        status="ok",
        path=str(path),
        functions=functions,
        dtypes=stated.dtypes,
        gradients=stated.gradients,
        traced=stated.traced,
    )


def names(statement: ast.stmt) -> Iterator[str]:
    """What a statement gives a name to, if it is one of the plain ones."""
    if isinstance(statement, ast.FunctionDef):
        yield statement.name
    elif isinstance(statement, ast.Assign):
        yield from (target.id for target in statement.targets if isinstance(target, ast.Name))
    elif isinstance(statement, ast.ImportFrom) and (statement.module or "").partition(".")[0] not in OWN:
        yield from (alias.asname or alias.name for alias in statement.names)


def statements(statement: ast.stmt) -> Iterator[tuple[str, Any]]:
    """What a statement says that the file offers; ValueError where that is not written out."""
    for name in names(statement):
        if isinstance(statement, ast.Assign) and name in STATED:
            yield name, ast.literal_eval(statement.value)
