"""Which source a kind of record rests on, as a hash: made with other source, a record is stale."""

import hashlib

from bench.places import ROOT

MEASURING = ("impls", "equivalence", "bench")
TALKING = (  # measures nothing: what is asked for, which processes it takes, and what is shown
    "bench/__main__.py",
    "bench/commands/arguments.py",
    "bench/commands/app.py",
    "bench/commands",
    "bench/records/merge.py",
    "bench/places.py",
    "bench/report",
    "bench/records/staleness.py",
    "bench/records/store.py",
    "bench/proofs/template.py",
    "bench/costs/timing.py",
)
OWN = {"peer": "bench/peers", "training": "bench/train"}  # what one kind alone rests on


class Codes(dict[str, str]):
    """The hash of the source as it is now, by kind of record; each is computed when first asked for."""

    def __missing__(self, kind: str) -> str:
        without = [ROOT / place for place in (*TALKING, *(own for name, own in OWN.items() if name != kind))]
        digest = hashlib.sha256()
        for path in (path for folder in MEASURING for path in sorted((ROOT / folder).rglob("*.py"))):
            if not any(path == other or other in path.parents for other in without):
                digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
        self[kind] = digest.hexdigest()[:12]
        return self[kind]


def stale(record: object, codes: dict[str, str] | None) -> bool:
    """Whether other code made the record; nothing is where no code is given to compare with."""
    return codes is not None and record.code != codes[record.kind]  # type: ignore[attr-defined]
