"""Versions of packages: of what is installed here, else of what the published numbers were made with."""

import functools
import importlib.metadata
import re
from collections.abc import Iterable

from bench.places import ROOT

PINS = "constraints.txt"  # in a checkout


def versions(packages: Iterable[str]) -> str:
    """Name and version of those packages that are installed, as in "torch 2.13.0"; of none, the pinned ones.

    Builds of one version count as one, whatever processor they are for.
    """
    names = tuple(packages)
    found = {name: installed(name) for name in names if installed(name)} or pins()
    told = (f"{name.removesuffix('-cpu')} {found[name].partition('+')[0]}" for name in names if name in found)
    return ", ".join(dict.fromkeys(told))


def versions_on(package: str, framework: Iterable[str]) -> str:
    """The versions of a package and of what it runs on, of which one may be installed without the other."""
    told = f"{versions((package,))}, {versions(framework)}".split(", ")
    return ", ".join(dict.fromkeys(filter(None, told)))


def named(told: str) -> tuple[str, ...]:
    """The packages whose versions are told, as `versions` tells them; TensorFlow's smaller build is one of its own."""
    names = [part.rpartition(" ")[0] for part in told.split(", ")]
    return tuple(each for name in names for each in ((name, f"{name}-cpu") if name == "tensorflow" else (name,)))


@functools.cache
def installed(package: str) -> str:
    """A package's version; empty where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


@functools.cache
def pins() -> dict[str, str]:
    """The versions that the checkout pins; none where there is no checkout."""
    path = ROOT / PINS
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return dict(re.findall(r"^([\w.-]+)==(\S+)$", text, re.MULTILINE))
