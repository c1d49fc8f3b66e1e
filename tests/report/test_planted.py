"""What the gate is tried on (`tox -e planted`) still has its place in the code: else nothing would be planted."""

import shutil

import pytest

from bench.places import ROOT
from tests.gate.planted import RED


@pytest.mark.parametrize("planted", RED, ids=lambda planted: planted.name)
def test_what_is_planted_changes_its_file(planted, tmp_path):
    place = tmp_path / planted.file
    place.parent.mkdir(parents=True)
    shutil.copy(ROOT / planted.file, place)
    planted.plant(tmp_path)
    assert not place.exists() or place.read_bytes() != (ROOT / planted.file).read_bytes()
    with pytest.raises((AssertionError, FileNotFoundError)):
        planted.plant(tmp_path)
