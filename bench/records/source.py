"""What source means, as a hash: comments, docstrings and layout change nothing.

Of measurements and of values that are kept, it says whether the code that they came from would still give them.
"""

import ast
import hashlib
from collections.abc import Iterable
from typing import Any

from bench.places import ROOT


def digest(patterns: Iterable[str], *facts: str, leave_out: Iterable[str] = ()) -> str:
    """A hash of the Python files that the patterns match, paths below the root, and of further facts.

    `leave_out` are files, or folders with all that is in them.
    """
    found = {path for pattern in patterns for path in ROOT.glob(pattern)}
    without = {ROOT / place for place in leave_out}
    hashed = hashlib.sha256("\n".join(facts).encode())
    for path in sorted(found):
        if not without.intersection((path, *path.parents)):
            hashed.update(f"{path.relative_to(ROOT)}\n{meaning(ast.parse(path.read_bytes()))}\n".encode())
    return hashed.hexdigest()[:12]


def meaning(part: Any) -> str:
    """A syntax tree without places, strings that are statements, and fields that are empty.

    Versions of Python differ in which empty fields they have.
    """
    if isinstance(part, ast.AST):
        fields = [f"{name}={meaning(value)}" for name, value in ast.iter_fields(part) if value not in (None, [])]
        return f"{type(part).__name__}({','.join(fields)})"
    if isinstance(part, list):
        return f"[{','.join(meaning(each) for each in part if not is_docstring(each))}]"
    return repr(part)


def is_docstring(part: Any) -> bool:
    return isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant) and isinstance(part.value.value, str)
