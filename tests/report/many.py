"""A folder with many records that differ in their keys, made of those in results/; and what the page of them takes.

`python -m tests.report.many 100000` says so: seconds of processor time, memory, bytes.
"""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

from bench.places import ROOT
from bench.records.schema import Environment, Header
from bench.records.store import FILES, Latest, latest, read
from bench.report import page

OTHERWISE = {  # the field in which a copy differs from its record, by kind
    "claim": "case",
    "agreement": "case",
    "call": "dtype",
    "atlas": "operation",
    "conformance": "function",
    "precision": "case",
    "variations": "seed",
    "cost": "workload",
    "peer": "workload",
    "self-check": "run",
    "cold": "workload",
    "training": "seed",
}


def fill(folder: Path, many: int) -> None:
    """Write so many records of one machine, with the environments in which they were made."""
    records = [record for path in sorted((ROOT / "results").glob(FILES)) for record in read(path)[0]]
    places = [record for record in records if isinstance(record, Environment)]
    path = folder / "machine" / "records.jsonl"
    path.parent.mkdir(parents=True)
    with path.open("w", encoding="utf-8") as file:
        for record in [Header(), *places]:
            file.write(record.model_dump_json() + "\n")
        for facts in islice(copies(latest(records)), many):
            file.write(json.dumps(facts, ensure_ascii=False) + "\n")


def copies(records: Latest) -> Iterator[dict[str, Any]]:
    """The records, and then each again and again under another name."""
    for copy in count():
        for record in records:
            facts, name = record.model_dump(), OTHERWISE[record.kind]
            if copy:
                facts[name] = facts[name] + 10_000 * copy if isinstance(facts[name], int) else f"{facts[name]} ({copy})"
            yield facts


def main(many: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder, many)
        began = time.process_time()
        page.write(folder)
        seconds, size = time.process_time() - began, (folder / "index.html").stat().st_size
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(f"{many:,} records: {seconds:.1f} s, at most {most:.0f} MiB, a page of {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(int(sys.argv[1]))
