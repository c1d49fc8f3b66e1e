"""Builds the wheel of `shipping`; everything else about the package stands in pyproject.toml."""

import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
sys.path.insert(0, str(ROOT))

from shipping import ship  # noqa: E402 - found by the line above


class BuildPy(build_py):
    """Writes the package; an editable install leaves everything where it is, under the names that it has there."""

    def run(self) -> None:
        if not self.editable_mode:
            shutil.rmtree(self.build_lib, ignore_errors=True)  # of an earlier build: it may have files that are gone
            ship(ROOT, Path(self.build_lib))


setup(cmdclass={"build_py": BuildPy})
