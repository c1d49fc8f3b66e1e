"""The kinds of faults by name, and what tries one of them in a process of its own."""

import time

from tests.faults import cluster, damaged, disk, foreign, kills, texts, values, words
from tests.faults.harness import Kind, Verdict

KINDS: dict[str, Kind] = {
    module.KIND.name: module.KIND for module in (kills, foreign, words, disk, damaged, values, texts, cluster)
}


def attempt(name: str, number: int, seed: int) -> Verdict:
    began = time.monotonic()
    verdict = KINDS[name].inflict(number, seed)
    verdict.seconds = time.monotonic() - began
    return verdict
