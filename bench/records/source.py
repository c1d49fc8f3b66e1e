"""What source means, as a hash: comments, docstrings and layout change nothing.

Of measurements and of values that are kept, it says whether the code that they came from would still give them.
"""

import ast
import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.places import ROOT


def digest(patterns: Iterable[str], *facts: str) -> str:
    """A hash of the Python files that the patterns match, paths below the root, and of further facts."""
    paths = sorted({path for pattern in patterns for path in ROOT.glob(pattern)})
    return combined(((path.relative_to(ROOT).as_posix(), read(path).digest()) for path in paths), *facts)


def combined(parts: Iterable[tuple[str, str]], *facts: str) -> str:
    """A hash of files, a name and a hash each, and of further facts."""
    lines = [*facts, *(f"{name} {each}" for name, each in parts)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


class Code:
    """What a Python file says."""

    def __init__(self, text: bytes):
        self.tree = ast.parse(text)
        self.known: dict[frozenset[str], str] = {}

    @functools.cached_property
    def definitions(self) -> dict[str, frozenset[str]]:
        """Map each function, class or variable at the top level to all identifiers in its definition."""
        return {name: frozenset(identifiers(part)) for part in self.tree.body for name in defined(part)}

    @functools.cached_property
    def identifiers(self) -> frozenset[str]:
        """Collect the identifiers of the whole file."""
        return frozenset(identifiers(self.tree))

    def digest(self, without: frozenset[str] = frozenset()) -> str:
        """A hash of what it means, some top-level functions left out."""
        if without not in self.known:
            kept = [part for part in self.tree.body if getattr(part, "name", "") not in without]
            self.known[without] = hashlib.sha256(meaning(kept).encode()).hexdigest()
        return self.known[without]


def read(path: Path) -> Code:
    """A file as it is now, parsed again only where it has changed."""
    told = path.stat()
    return parsed(path, told.st_mtime_ns, told.st_size)


@functools.lru_cache(maxsize=1024)
def parsed(path: Path, changed: int, size: int) -> Code:
    return Code(path.read_bytes())


def defined(part: ast.stmt) -> Iterable[str]:
    """Names that a statement gives a meaning to."""
    if isinstance(part, ast.FunctionDef | ast.ClassDef):
        yield part.name
    elif isinstance(part, ast.Assign | ast.AnnAssign):
        targets = part.targets if isinstance(part, ast.Assign) else [part.target]
        yield from (each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name))


def identifiers(tree: ast.AST) -> Iterable[str]:
    """Names and attributes that occur in the tree, and strings that could be some."""
    for part in ast.walk(tree):
        if isinstance(part, ast.Name):
            yield part.id
        elif isinstance(part, ast.Attribute):
            yield part.attr
        elif isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value.isidentifier():
            yield part.value


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
