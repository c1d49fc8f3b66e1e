"""Which higher derivatives of which operations and layers each framework gets right.

An entry is one operation at one input. Its derivatives are taken by every order of reverse and forward mode and held
against a value that no automatic differentiation enters. Entries are text, so that what was measured can be printed as
a short program on the framework alone; only `transforms` in a framework's folder imports that framework.
"""

import functools
import importlib
import importlib.util
import pkgutil
from types import MappingProxyType

from equivalence.atlas.entry import Entry

FAMILIES = (  # what models are made of comes first
    "normalisations", "attention", "activations", "losses", "custom", "recurrent", "pooling", "convolutions",
    "embeddings", "linear_algebra", "ordering", "indexing", "interpolation", "special",
)  # fmt: skip
TRANSFORMS = "transforms"  # the file of a framework's folder that takes the derivatives; the others are families


@functools.cache
def families(framework: str) -> tuple[str, ...]:
    """The families of a framework's entries, a file each; of a framework without a folder, none."""
    place = f"{__name__}.{framework}"
    if importlib.util.find_spec(place) is None:
        return ()
    names = {info.name for info in pkgutil.iter_modules(importlib.import_module(place).__path__)} - {TRANSFORMS}
    if unknown := names.difference(FAMILIES):
        raise ValueError(f"{place}: got the families {', '.join(sorted(unknown))}, expected some of FAMILIES")
    return tuple(name for name in FAMILIES if name in names)


@functools.cache
def entries(framework: str) -> MappingProxyType[str, Entry]:
    """A framework's entries by name.

    Raises:
        ValueError: two entries have one name, and the record of one would replace that of the other.
    """
    found: dict[str, Entry] = {}
    for family in families(framework):
        for entry in importlib.import_module(f"{__name__}.{framework}.{family}").ENTRIES:
            if entry.name in found:
                raise ValueError(f"{framework}: two entries are called {entry.name!r}, expected one")
            found[entry.name] = entry
    return MappingProxyType(found)
