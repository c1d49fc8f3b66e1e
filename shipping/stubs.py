"""What an editor and a type checker read of `equireg.torch`, `equireg.jax`, `equireg.tensorflow`.

The implementations carry neither annotations nor docstrings, since the contract has them. A stub file repeats the
contract's functions, with the framework's own arrays; of training, whose first parameters are each framework's own, it
has the implementation's parameters and docstring, with the contract's annotations of the options.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from impls.contract import MODULES
from impls.frameworks import DESCRIBED

ARRAYS = {name: each.array for name, each in DESCRIBED.items()}
HEAD = '''"""Every method of the contract with {framework}'s arrays, and training in one line."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import {framework}
'''


def stub(root: Path, framework: str) -> str:
    """The stub file of `equireg.<framework>`, from the repository in `root`."""
    contract = root / "impls" / "contract"
    spelt = Spelt(contract / "types.py", ARRAYS[framework])
    folder = root / "impls" / framework
    paths = [path for name in ("training", "objectives") if (path := folder / f"{name}.py").exists()]
    declared = [*methods(contract), *(function for path in paths for function in training(contract, path))]
    parts = [ast.unparse(spelt.visit(function)) for function in declared]
    return "\n\n\n".join([HEAD.format(framework=framework).rstrip(), *parts]) + "\n"


def methods(contract: Path) -> Iterator[ast.FunctionDef]:
    for module in MODULES:
        yield from functions(contract / f"{module}.py")


def training(contract: Path, path: Path) -> Iterator[ast.FunctionDef]:
    """The framework's own functions that train; one that the contract does not have takes options of its first."""
    stubs = {function.name: function for function in functions(contract / "training.py")}
    for function in functions(path):
        if path.stem == "objectives" and not function.name.endswith("_objective"):
            continue
        named = function.name.replace("_objective", "_training")
        stated = stubs.get(named, next(iter(stubs.values()))).args.kwonlyargs
        annotations = {option.arg: option.annotation for option in stated}
        for argument in (*function.args.args, *function.args.kwonlyargs):
            argument.annotation = annotations.get(argument.arg, ast.Name("Any"))
        function.returns, function.decorator_list, function.body = ast.Name("Any"), [], function.body[:1]
        yield function


def functions(path: Path) -> list[ast.FunctionDef]:
    """A file's public functions."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return [node for node in body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]


class Spelt(ast.NodeTransformer):
    """Puts what the contract's names for types stand for in their place: `float | torch.Tensor` for `Scale`."""

    def __init__(self, types: Path, array: str):
        self.meanings: dict[str, ast.expr] = {"Array": ast.parse(array, mode="eval").body}
        for node in ast.parse(types.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript):
                self.meanings[ast.unparse(node.targets[0])] = self.visit(meaning(node.value))

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.meanings.get(node.id, node)


def meaning(annotated: ast.Subscript) -> ast.expr:
    """What is left of `Annotated[type, rule]`; a number may be traced, unless its rule denies it."""
    assert isinstance(annotated.slice, ast.Tuple)
    kind, rule = annotated.slice.elts
    said = ast.unparse(rule)
    if said.startswith("Interval(") and "traced=False" not in said:
        return ast.BinOp(kind, ast.BitOr(), ast.Name("Array"))
    return kind
