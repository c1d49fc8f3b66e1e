"""Which source a kind of record rests on, as a hash: made with other source, a record is stale."""

from bench.records.source import digest

MEASURING = ("impls", "equivalence", "bench")
SHOWING = (  # measures nothing: what is asked for, which processes it takes, where records are kept, what is shown
    "bench/__main__.py",
    "bench/commands",
    "bench/costs/timing.py",
    "bench/places.py",
    "bench/proofs/template.py",
    "bench/records",
    "bench/report",
)
OWN = {"peer": "bench/peers", "training": "bench/train"}  # what one kind alone rests on


class Codes(dict[str, str]):
    """The hash of the source as it is now, by kind of record; each is computed when first asked for."""

    def __missing__(self, kind: str) -> str:
        without = [*SHOWING, *(own for name, own in OWN.items() if name != kind)]
        self[kind] = digest([f"{folder}/**/*.py" for folder in MEASURING], leave_out=without)
        return self[kind]


def stale(record: object, codes: dict[str, str] | None) -> bool:
    """Whether other code made the record; nothing is where no code is given to compare with."""
    return codes is not None and record.code != codes[record.kind]  # type: ignore[attr-defined]
