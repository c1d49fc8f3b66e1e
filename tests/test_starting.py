"""A worker that proves starts with its framework, and with nothing that the framework only converts or draws with."""

import importlib
import json
import subprocess
import sys

import pytest

from bench.places import ROOT
from equivalence.worker import hidden
from impls.frameworks import DESCRIBED

STARTED = """
import sys
from equivalence.worker import start
start({{"framework": {name!r}, "cores": [0], "device": "cpu"}})
print("found", *sorted(set({extras!r}) & sys.modules.keys()))
"""


def test_a_hidden_package_is_as_if_not_installed(monkeypatch):
    monkeypatch.delitem(sys.modules, "this", raising=False)
    with hidden(("this",)), pytest.raises(ImportError):
        importlib.import_module("this")
    assert "this" not in sys.modules  # and can be imported again


def test_what_is_imported_already_stays():
    with hidden(("json",)):
        assert importlib.import_module("json") is json


@pytest.mark.slow
def test_a_worker_imports_no_extras(framework):
    extras = DESCRIBED[framework].extras
    code = STARTED.format(name=framework, extras=extras)
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1].split() == ["found"]
