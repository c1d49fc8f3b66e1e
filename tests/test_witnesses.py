"""What is called wrong shows in a script on its package alone. For tox's published environments, which install them."""

import re

import pytest

from bench.proofs import published
from equivalence.published import adapters
from tests.conftest import WANTED

WITNESSES = sorted({each.witness for each in adapters(WANTED).values() if each.witness})


@pytest.mark.parametrize("name", WITNESSES)
def test_a_witness_prints_what_comes_beside_what_should(name):
    said = published.run_witness(name)
    assert "failed" not in said and len(re.findall(r"\d", said)) > 2
