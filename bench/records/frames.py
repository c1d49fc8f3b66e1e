"""Records as data frames of pandas."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.records.schema import KINDS, Environment
from bench.records.store import FILES, latest, of_this_schema, read

if TYPE_CHECKING:
    import pandas as pd


def load(out: Path | str = "results", kind: str = "cost") -> "pd.DataFrame":
    """The latest records of one kind, of every machine: one row a record, what is known of its environment beside it.

    Columns are the record's fields (`python -m bench export` writes what each means) and `machine`, `cpu`, `commit` of
    the environment, missing where that was not recorded. Lists stay lists.

    Raises:
        ValueError: there is no such kind, no record of it, or the records have another schema.
        FileNotFoundError: there is no such folder.
    """
    if kind not in KINDS:
        raise ValueError(f"kind: got {kind!r}, expected one of {', '.join(KINDS)}")
    if (found := frames(out).get(kind)) is None:
        raise ValueError(f"{out}: no record of kind {kind!r}; what measures it: python -m bench --help")
    return found


def frames(out: Path | str) -> "dict[str, pd.DataFrame]":
    """What `load` gives of each kind that there is, in the order of KINDS; the files are read once."""
    import pandas as pd  # here: what measures does without it

    if not Path(out).is_dir():
        raise FileNotFoundError(f"{out}: no such folder, expected one of results")
    rows: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    for path in sorted(of_this_schema(Path(out)).glob(FILES)):
        records, problems = read(path)
        if problems:
            warnings.warn(f"{len(problems)} lines are left out: {problems[0]}", stacklevel=3)
        places = {record.id: record for record in records if isinstance(record, Environment)}
        for record in latest(records):
            place = places.get(record.environment)
            told = {name: getattr(place, name, None) for name in ("machine", "cpu", "commit")}
            rows[record.kind].append(record.model_dump() | told)
    return {kind: pd.DataFrame(found) for kind, found in rows.items() if found}
