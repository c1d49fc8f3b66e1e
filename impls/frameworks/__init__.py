"""The frameworks, each described in a file of its own, `impls/frameworks/<name>.py`. None of them is imported by it.

Whatever asks for a fact about a framework reads it here: to add a framework is to add a file.
"""

import importlib
import pkgutil

from impls.frameworks.description import Framework


def describe_all() -> dict[str, Framework]:
    """The descriptions by name, in the order in which tables show them."""
    names = [info.name for info in pkgutil.iter_modules(__path__) if info.name != "description"]
    found = [importlib.import_module(f"{__name__}.{name}").FRAMEWORK for name in names]
    return {each.name: each for each in sorted(found, key=lambda each: each.rank)}


DESCRIBED = describe_all()
FRAMEWORKS = tuple(DESCRIBED)
