"""The layout, read as text: what the folders have against what the contract asks for. No framework is imported.

Each function takes the repository's root and returns complaints, so that a broken copy can be held against it.
"""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

from impls.frameworks import DESCRIBED

CONTRACT = Path("impls", "contract")
# Folders with a file a framework.
OWN = ("equivalence/trainees", "equivalence/divided", "equivalence/state", "equivalence/mixed")
OWN_MODELS = "equivalence/own_models"  # with files that begin with a framework's name
PUBLISHED = "equivalence/published"  # has a folder a framework, whose functions import their packages
WITNESSES = f"{PUBLISHED}/witnesses/"  # scripts, which nothing imports
ATLAS = "equivalence/atlas"  # has a folder a framework, of which one file alone imports it
BRIDGE_CONSTANTS = {"MODES", "SWEEP_MODE", "ONCE_MODE", "COMPARED_MODES", "SETTINGS", "INTEGERS", "TRACED_SEEDS"}
# What one framework's methods share: where derivatives, graphs and loops come from, what it gets wrong.
ALONE = {
    "torch": {"derivatives", "formulas", "graphs", "refusals", "sparse"},
    "jax": {"iterations"},
    "tensorflow": {"formulas"},
}
# What training is built of, in each ecosystem's own terms.
TRAINING = {"batches", "kept", "objectives", "outcomes", "passes", "replicas", "sites", "smoothness", "vectors"}
# What belongs to a framework and may be imported in its folder alone.
PACKAGES = {name: set(each.imports) for name, each in DESCRIBED.items()}


def complaints(root: Path) -> list[str]:
    """Everything that is wrong with the layout."""
    found = framework_free(root) + arrows(root) + rooms(root)
    for framework in PACKAGES:
        found += files(root, framework) + signatures(root, framework) + foreign_imports(root, framework)
    return found


def files(root: Path, framework: str) -> list[str]:
    """A framework's folder has the contract's files and what stands behind its training: no more, no less."""
    wanted, found = stubs(root), {path.stem for path in (root / "impls" / framework).glob("*.py")} - {"__init__"}
    missing = [f"impls/{framework}: {name}.py is missing" for name in sorted(wanted - found)]
    extra = found - wanted - TRAINING - ALONE.get(framework, set())
    return missing + [f"impls/{framework}: {name}.py is not in the contract" for name in sorted(extra)]


def signatures(root: Path, framework: str) -> list[str]:
    """Each function of the contract is there, with its parameters, and no other public name is."""
    found = against_stub(root, root / CONTRACT / "bridge.py", root / "impls" / framework / "__init__.py")
    for name in sorted(stubs(root)):
        path = root / "impls" / framework / f"{name}.py"
        if path.exists():
            found += against_stub(root, root / CONTRACT / f"{name}.py", path)
    return found


def against_stub(root: Path, stub: Path, path: Path) -> list[str]:
    """Complaints about one file."""
    where, wanted, there = path.relative_to(root), functions(stub), functions(path)
    constants = BRIDGE_CONSTANTS if stub.stem == "bridge" else set()
    found = [f"{where}: {name} is missing" for name in sorted((set(wanted) | constants) - public(path))]
    idiom = stub.stem == "training"  # each ecosystem's own: more names, and more parameters before the options
    if not idiom:
        found += [f"{where}: {name} is not in the contract" for name in sorted(public(path) - set(wanted) - constants)]
    for name in sorted(set(wanted) & set(there)):
        expected, got = parameters(wanted[name]), parameters(there[name])
        keyed = {"seed=0"} if path.parent.name == "jax" else set()  # its keys are arguments of each step
        if got != expected and not (idiom and options(wanted[name]) - keyed <= options(there[name])):
            found.append(f"{where}: {name}({got}), expected {name}({expected})")
        if stub.stem not in ("bridge", "models") and not is_checked(there[name]):
            found.append(f"{where}: {name} is not @checked: wrong arguments would pass")
    return found


def foreign_imports(root: Path, framework: str) -> list[str]:
    """Nothing of another framework is imported in a framework's folder, nor anything relative to the folder."""
    other = {name for owner in PACKAGES.keys() - {framework} for name in PACKAGES[owner] | {f"impls.{owner}"}}
    places = [f"{folder}/{framework}" for folder in ("impls", ATLAS, PUBLISHED)]
    places += [f"{folder}/{framework}.py" for folder in OWN]
    places += [str(path.relative_to(root)) for path in (root / OWN_MODELS).glob(f"{framework}*.py")]
    return [said for place in places for said in importing(root, place, other | {"."}, everywhere=True)]


def framework_free(root: Path) -> list[str]:
    """Importing these imports no framework; functions may, when they are called."""
    every = {name for owner in PACKAGES for name in PACKAGES[owner] | {f"impls.{owner}"}}
    places = ("impls/__init__.py", "impls/checks.py", "impls/contract", "impls/frameworks", "equivalence")
    own = tuple(f"{folder}/{name}.py: " for folder in OWN for name in PACKAGES)  # loaded by name, one a process
    own += tuple(f"{OWN_MODELS}/{name}" for name in PACKAGES)
    own += (*(f"{ATLAS}/{name}/transforms.py: " for name in PACKAGES), WITNESSES)
    found = [said for place in places for said in importing(root, place, every, everywhere=False)]
    return [said for said in found if not said.startswith(own)]


def arrows(root: Path) -> list[str]:
    """Imports point one way: equireg → bench → equivalence → impls."""
    above = {"tests", "shipping", "equireg"}
    found = importing(root, "bench", above, everywhere=True)
    found += importing(root, "equivalence", above | {"bench"}, everywhere=True)
    return found + importing(root, "impls", above | {"bench", "equivalence"}, everywhere=True)


FLOORS = (  # the rooms of bench, from the ground up
    {"records"},
    {"running"},
    {"costs", "proofs", "train"},
    {"peers"},
    {"report"},
    {"check"},
    {"commands"},
)


def rooms(root: Path) -> list[str]:
    """Every room of bench stands on a floor, and imports from those below alone."""
    there = {path.parent.name for path in (root / "bench").glob("*/__init__.py")}
    found = [f"bench/{room}: stands on no floor" for room in sorted(there - set().union(*FLOORS))]
    for height, floor in enumerate(FLOORS):
        for room in floor:
            others = {f"bench.{other}" for above in FLOORS[height:] for other in above - {room}}
            found += importing(root, f"bench/{room}", others, everywhere=True)
    return found


def importing(root: Path, place: str, forbidden: set[str], *, everywhere: bool) -> list[str]:
    """Complaints about imports of forbidden modules in a file or folder, in functions too or at module level alone."""
    start = root / place
    found = []
    for path in [start] if start.is_file() else sorted(start.rglob("*.py")):
        names = imports(tree(path), everywhere)
        bad = sorted({owner for name in names for owner in forbidden if f"{name}.".startswith(f"{owner}.")})
        found += [f"{path.relative_to(root)}: imports {name}" for name in bad]
    return found


def imports(node: ast.AST, everywhere: bool) -> Iterator[str]:
    """Dotted names that are imported; a relative import begins with dots."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            module = "." * child.level * 2 + (child.module or "")  # two dots: an empty name, then "."
            yield from (f"{module}.{alias.name}" for alias in child.names)
        elif everywhere or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from imports(child, everywhere)


def stubs(root: Path) -> set[str]:
    """Files that every framework must have."""
    return {path.stem for path in (root / CONTRACT).glob("*.py")} - {"__init__", "types", "bridge"}


def tree(path: Path) -> ast.Module:
    return parsed(path.read_text(encoding="utf-8"))


parsed = functools.cache(ast.parse)  # by text: most files of a broken copy are whole


def functions(path: Path) -> dict[str, ast.FunctionDef]:
    """Public functions at the top of a file."""
    body = tree(path).body
    return {node.name: node for node in body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")}


def public(path: Path) -> set[str]:
    """Every public name that a file defines: functions, classes, assignments. What it imports is not its own."""
    names = set()
    for node in tree(path).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            names |= {
                leaf.id for leaf in ast.walk(node) if isinstance(leaf, ast.Name) and isinstance(leaf.ctx, ast.Store)
            }
    return {name for name in names if not name.startswith("_")}


def parameters(function: ast.FunctionDef) -> str:
    """Names, kinds, order and defaults, as written: `x, *, radius, norm='l2'`."""
    arguments = function.args
    for argument in ast.walk(arguments):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    return ast.unparse(arguments)


def options(function: ast.FunctionDef) -> set[str]:
    """Keyword-only parameters with their defaults, as written: {"radius", "norm='l2'"}."""
    arguments = function.args
    defaults = [f"={ast.unparse(default)}" if default else "" for default in arguments.kw_defaults]
    return {argument.arg + default for argument, default in zip(arguments.kwonlyargs, defaults, strict=True)}


def is_checked(function: ast.FunctionDef) -> bool:
    return any(isinstance(mark, ast.Name) and mark.id == "checked" for mark in function.decorator_list)
