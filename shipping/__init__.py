"""What the wheel holds: one package, `equireg`, made of the repository's folders. For setup.py; not shipped itself."""

from pathlib import Path

from shipping.relocation import HOME, relocate
from shipping.stubs import ARRAYS, stub


def ship(root: Path, target: Path) -> None:
    """Write the package into the folder `target`, from the repository in `root`."""
    relocate(root, target)
    for framework in ARRAYS:
        (target / HOME / f"{framework}.pyi").write_text(stub(root, framework), encoding="utf-8")
