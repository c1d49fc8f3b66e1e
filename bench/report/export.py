"""Records as Parquet or CSV, a file a kind, with a dictionary of what every column means."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.records import files
from bench.records.frames import frames
from bench.records.schema import KINDS, SCHEMA, Environment, Unit

Format = Literal["parquet", "csv"]
MARK = b"equireg"  # of files that are ours, in Parquet's own metadata
DICTIONARY = "dictionary.csv"
DICTIONARY_COLUMNS = ("kind", "field", "type", "unit", "meaning")


def export(out: Path, folder: Path, form: Format) -> dict[str, int]:
    """Write every kind of record that a folder of results has, and the dictionary; returns how many of each there are.

    Raises:
        ValueError: there is no record at all.
    """
    counts = {}
    for kind, table in frames(out).items():
        WRITERS[form](flat(table, lists=form == "parquet"), folder / f"{file_name(kind)}.{form}")
        counts[kind] = len(table)
    if not counts:
        raise ValueError(f"{out}: no record to export; `python -m bench run` makes some")
    files.replace(folder / DICTIONARY, dictionary().to_csv(index=False))
    return counts


def file_name(kind: str) -> str:
    return kind.replace(" ", "-")


def flat(table: pd.DataFrame, lists: bool) -> pd.DataFrame:
    """What no column can hold as it is becomes JSON text: mappings, and lists where `lists` says no."""
    nested = (dict,) if lists else (dict, list)
    return table.map(lambda value: json.dumps(value, ensure_ascii=False) if isinstance(value, nested) else value)


def write_parquet(table: pd.DataFrame, path: Path) -> None:
    found = pa.Table.from_pandas(table, preserve_index=False)
    mark = {MARK: json.dumps({"schema": SCHEMA}).encode()}
    marked = found.replace_schema_metadata({**(found.schema.metadata or {}), **mark})
    files.replace_by(path, lambda unfinished: pq.write_table(marked, unfinished))


def write_csv(table: pd.DataFrame, path: Path) -> None:
    files.replace(path, table.to_csv(index=False))


WRITERS: dict[Format, Callable[[pd.DataFrame, Path], None]] = {"parquet": write_parquet, "csv": write_csv}


def read(path: Path) -> pd.DataFrame:
    """A Parquet file of ours.

    Raises:
        ValueError: it is damaged, not ours, or of a schema that this code does not know.
    """
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path}: cannot be read as Parquet: {error}. Export it again") from None
    mark = (table.schema.metadata or {}).get(MARK)
    if mark is None:
        raise ValueError(f"{path}: got a Parquet file of something else, expected one that `bench export` wrote")
    if (version := json.loads(mark)["schema"]) != SCHEMA:
        raise ValueError(f"{path}: got records of schema {version}, expected {SCHEMA}: written by another version")
    return table.to_pandas()


def dictionary() -> pd.DataFrame:
    """One row a field of every kind of record: its type, unit and meaning."""
    return pd.DataFrame(list(described()), columns=DICTIONARY_COLUMNS)


def described() -> Iterator[tuple[str, ...]]:
    for kind, model in KINDS.items():
        for name, field in model.model_fields.items():
            meaning = "The kind of record." if name == "kind" else field.description or ""
            unit = next((found.name for found in units(field.metadata, field.annotation)), "")
            yield kind, name, spelled(field.annotation), unit, meaning
        for name in ("machine", "cpu", "commit"):
            about = Environment.model_fields[name]
            yield kind, name, spelled(about.annotation), "", f"{about.description} Of the environment."


def units(metadata: list[Any], annotation: Any) -> Iterator[Unit]:
    """Yield the unit of a number, or of the numbers in a list."""
    yield from (each for each in metadata if isinstance(each, Unit))
    for part in get_args(annotation):
        yield from units(list(getattr(part, "__metadata__", ())), part)


def spelled(annotation: Any) -> str:
    """A type in a word or two."""
    if values := [value for value in get_args(annotation) if isinstance(value, str)]:
        return "one of " + ", ".join(values)
    origin = getattr(annotation, "__origin__", annotation)
    names = {str: "text", bool: "yes or no", int: "whole number", float: "number", list: "list of numbers"}
    return names.get(origin, "JSON text: a mapping")
