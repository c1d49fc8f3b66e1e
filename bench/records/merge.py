"""Several folders of results into one: shards of one run, or runs on several machines."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.records.store import FILES, latest, read, rewrite

HISTORY = "history.csv"  # beside a machine's records: what past commits measured


def merge(folders: Sequence[Path], out: Path) -> dict[str, int]:
    """Merge folders into `out`, which may hold records already; the number of records by machine.

    A machine's records stay in its own folder. What was measured later replaces what was measured before. The same
    folders give the same file, in whatever order and however often; other files in `out` are left alone.
    """
    machines = sorted({path.parent.name for folder in folders for path in folder.glob(FILES)})
    counts = {}
    for machine in machines:
        paths = [path for folder in (*folders, out) if (path := folder / machine / "records.jsonl").exists()]
        records = sorted((record for path in paths for record in read(path)[0]), key=age)
        kept = sorted(latest(records), key=age)
        (out / machine).mkdir(parents=True, exist_ok=True)
        rewrite(out / machine / "records.jsonl", records, kept)
        counts[machine] = len(kept)
    return counts


def problems(folders: Iterable[Path]) -> list[str]:
    """What is wrong with the folders' files, by line."""
    return [problem for folder in folders for path in sorted(folder.glob(FILES)) for problem in read(path)[1]]


def age(record: Any) -> tuple[str, str]:
    """The time of writing; what was written in the same second is in the same order everywhere, too."""
    return record.time, record.model_dump_json()
