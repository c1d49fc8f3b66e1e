"""A file to start an implementation from, made of the contract and the reference: nothing in it is typed twice."""

import ast
import inspect
import re
import textwrap
from pathlib import Path

import impls
from equivalence.foreign.loading import bare, stubs

FILLED = ("noisy_loss", "flooding")  # whose code in every framework needs nothing but the framework
HEAD = '''"""Own implementations for {framework}, under the contract's names and signatures.

Fill in what you have and remove the rest; only what is here is verified:

    python -m bench verify --impl THIS_FILE.py --framework {framework}

x is a batch (B, *S), sample by sample; loss(x) returns (B,) and f(x) returns (B, C), parameters closed over. Results
have the dtype of the arguments, perturbations come back held fixed, a zero gradient gives a zero perturbation.
"""
'''


def text(framework: str) -> str:
    """The contract's functions: those in FILLED as the framework has them, the others as comments."""
    sources = {name: source(framework, name) for name in FILLED}
    imports = sorted({line for _, lines in sources.values() for line in lines})
    parts = [sources[name][0] if name in sources else outline(name) for name in stubs()]
    return "\n\n".join([HEAD.format(framework=framework) + "\n" + "\n".join(imports) + "\n", *parts])


def source(framework: str, name: str) -> tuple[str, list[str]]:
    """The reference's function with its docstring in the place of what checks its arguments, and its imports."""
    module = stubs()[name].__module__.rpartition(".")[2]
    code = (Path(impls.__file__).parent / framework / f"{module}.py").read_text(encoding="utf-8")
    tree = ast.parse(code)
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)
    body = code.splitlines()[function.body[0].lineno - 1 : function.end_lineno]
    used = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    imports = [
        ast.unparse(node)
        for node in tree.body
        if isinstance(node, ast.Import) and any((alias.asname or alias.name) in used for alias in node.names)
    ]
    return "\n".join([heading(name), docstring(name), *body]) + "\n", imports


def outline(name: str) -> str:
    """The contract's function as a comment."""
    lines = f"{heading(name)}\n{docstring(name)}\n    raise NotImplementedError".splitlines()
    return "\n".join(f"# {line}".rstrip() for line in lines) + "\n"


def heading(name: str) -> str:
    return f"def {name}{bare(inspect.signature(stubs()[name]))}:".replace("'", '"')


def docstring(name: str) -> str:
    """What it computes, and the shapes: the summary, arguments and result of the contract's docstring."""
    summary, *sections = re.split(r"\n\n", inspect.cleandoc(stubs()[name].__doc__ or ""))
    kept = [section for section in sections if section.startswith(("Args:", "Returns:"))]
    return textwrap.indent('"""' + "\n\n".join([summary, *kept]) + '\n"""', " " * 4)
