"""The repository's packages, moved into the package `equireg`.

Here they are called impls, equivalence and bench. Installed under these names they would overwrite, or be hidden by, a
user's own `bench`; so the wheel has equireg.impls, equireg.equivalence and equireg.bench, and their code says so: every
import, every module that is named in a string, and `python -m bench`, which there is the command `equireg`.
"""

import ast
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

HOME = "equireg"
PACKAGES = ("impls", "equivalence", "bench")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "conftest.py", "test_*.py")
WRITTEN = (".py", ".j2")  # files whose text names modules or commands

OURS = f"({'|'.join(PACKAGES)})"
RULES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        # from impls import checks; from impls.torch.norms import unit
        (rf"\bfrom {OURS}(?=(?:\.\w+)* import\b)", rf"from {HOME}.\1"),
        # import impls.torch as bridge
        (rf"\bimport {OURS}(?=(?:\.\w+)+ as\b)", rf"import {HOME}.\1"),
        # import impls, alone in its statement
        (rf"\bimport {OURS}(?= *(?:;|#|$))", rf"from {HOME} import \1"),
        # "equivalence.worker", f"impls.{framework}"
        (rf"(?<=[\"']){OURS}(?=\.)", rf"{HOME}.\1"),
        # import_module("impls")
        (rf"(?<=import_module\([\"']){OURS}(?=[\"'])", rf"{HOME}.\1"),
        # python -m bench.costs.expected_steps WORKLOAD
        (rf"(?<=python -m ){OURS}(?=\.\w)", rf"{HOME}.\1"),
        # python -m bench verify
        (r"\bpython -m bench\b", HOME),
    )
]


def relocate(root: Path, target: Path) -> None:
    """Write the package into the folder `target`, from the repository in `root`.

    Raises:
        ValueError: code names one of the packages in a way that no rule knows; it would not be found.
    """
    shutil.copytree(root / HOME, target / HOME, ignore=LEFT_OUT, dirs_exist_ok=True)
    for package in PACKAGES:
        shutil.copytree(root / package, target / HOME / package, ignore=LEFT_OUT, dirs_exist_ok=True)
    problems = []
    for path in sorted(path for path in (target / HOME).rglob("*") if path.suffix in WRITTEN):
        text = relocated(path.read_text(encoding="utf-8"))
        path.write_text(text, encoding="utf-8")
        if path.suffix == ".py":
            problems += [f"{path.relative_to(target / HOME)}:{line}" for line in unmoved(text)]
    if problems:
        names = ", ".join(PACKAGES)
        raise ValueError(f"{', '.join(problems)}: names one of {names} in a way that no rule of {__name__} moves")


def relocated(text: str) -> str:
    """The text as the wheel has it."""
    lines = text.split("\n")
    for pattern, replacement in RULES:
        lines = [pattern.sub(replacement, line) for line in lines]
    return "\n".join(lines)


def unmoved(code: str) -> Iterator[int]:
    """Lines that still import one of the packages under the name that it has in the repository."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):  # code for another process
            names = re.findall(rf"(?<!from {HOME} )\bimport (\w+)", node.value)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "find_spec")):
            names = [str(argument.value) for argument in node.args if isinstance(argument, ast.Constant)]
        else:
            continue
        if any(name.partition(".")[0] in PACKAGES for name in names):
            yield node.lineno
