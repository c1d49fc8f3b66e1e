"""Records on disk: one JSON object a line, appended and flushed as it comes. All reports are computed from them."""

import functools
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.records import files
from bench.records.machine import describe
from bench.records.schema import ADAPTER, SCHEMA, Environment, Header
from bench.records.staleness import Codes

# Kinds that others took the place of: what older code wrote of them is passed over.
RETIRED = (b'"kind":"own loss"',)
FILES = "*/records.jsonl"  # below a folder of results


class Store:
    """A folder of records, a file a machine: `<out>/<machine>/records.jsonl`."""

    def __init__(self, out: Path):
        self.out, self.codes = out, Codes()
        self.environments: dict[Path, list[Environment]] = {}  # that have been written, by file
        self.environment = describe()
        self.path = self.place(self.environment)
        self.environment = self.known(self.environment)

    def place(self, environment: Environment) -> Path:
        """The file of the environment's machine, which is there once it has a record."""
        path = self.out / environment.machine / "records.jsonl"
        if path not in self.environments:
            before = read(path)[0] if path.exists() else []
            self.environments[path] = [record for record in before if isinstance(record, Environment)]
        return path

    def known(self, environment: Environment) -> Environment:
        """The one that has been written, if this is the same again: a machine's rate varies."""
        written = (each for each in self.environments.get(self.out / environment.machine / "records.jsonl", ()))
        return next((each for each in written if each.same_as(environment)), environment)

    def append(self, record: Any, environment: Environment | None = None) -> None:
        """Write one record, measured in an environment, else in this one: it survives whatever comes next."""
        environment = environment or self.environment
        path = self.place(environment)
        if (environment := self.known(environment)) not in self.environments[path]:
            self.write(path, environment, environment)
            self.environments[path].append(environment)
        self.write(path, record, environment)

    def write(self, path: Path, record: Any, environment: Environment) -> None:
        record.time = datetime.now(UTC).isoformat(timespec="seconds")
        record.code, record.environment = self.codes.of(record), environment.id
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file:
            if file.tell() > 0:
                file.seek(-1, os.SEEK_END)
                before = b"" if file.read(1) == b"\n" else b"\n"  # else a write was interrupted here
            else:
                before = Header().model_dump_json().encode() + b"\n"
            file.write(before + record.model_dump_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def compact(self) -> None:
        """Leave out what a later record has replaced, and environments without records; keep a file with damage."""
        for path in filter(Path.exists, self.environments):
            records, problems = read(path)
            if not problems:
                rewrite(path, records, latest(records))

    def read(self) -> tuple[list[Any], list[str]]:
        return read(self.path)

    def everything(self) -> list[Any]:
        """What there is of every machine."""
        return [record for path in sorted(self.out.glob(FILES)) for record in read(path)[0]]


def rewrite(path: Path, records: Iterable[Any], kept: Iterable[Any]) -> None:
    """Put the kept records, after the environments in which they were made, in the place of what a file holds."""
    kept = list(kept)
    named = {record.environment for record in kept}
    places = {record.id: record for record in records if isinstance(record, Environment) and record.id in named}
    lines = [Header(), *places.values(), *kept]
    files.replace(path, "".join(line.model_dump_json() + "\n" for line in lines))


def schema(path: Path) -> int:
    """Read the schema of a file of records from its first line."""
    with path.open("rb") as file:
        first = file.readline()
    try:
        return Header.model_validate_json(first).version
    except ValidationError:
        return 1


def read(path: Path, kind: str = "") -> tuple[list[Any], list[str]]:
    """The records of a file, and for each line that is not one, what is wrong with it. The rest is kept.

    kind: leave out all others, before they are read.
    """
    problems: list[str] = []
    return list(told(path, problems, kind)), problems


def read_latest(path: Path) -> tuple[list[Any], list[str]]:
    """The environments and the last record of each key, and the problems: what others replace need not be held."""
    problems: list[str] = []
    environments: list[Any] = []

    def noted() -> Iterator[Any]:
        for record in told(path, problems):
            if isinstance(record, Environment):
                environments.append(record)
            yield record

    found = latest(noted())
    return [*environments, *found], problems


def told(path: Path, problems: list[str], kind: str = "") -> Iterator[Any]:
    """Yield the records of a file, and note in `problems` what is none."""
    places: dict[str, dict[str, Any]] = {}
    for number, line in lines(path):
        if kind and f'"kind":"{kind}"'.encode() not in line:
            continue
        try:
            record = ADAPTER.validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            problems.append(f"{path}:{number}: not a record, left out: {first['msg']}")
            continue
        if isinstance(record, Environment):
            said = record.model_dump(exclude={"time", "code"})
            if places.setdefault(record.id, said) != said:
                problems.append(f"{path}:{number}: another environment with the id {record.id}, left out")
                continue
        if not isinstance(record, Header):
            yield record


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines with their numbers, one at a time; empty ones are left out."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if (line := line.rstrip(b"\n")) and not any(kind in line for kind in RETIRED):
                yield number, line


def of_this_schema(folder: Path) -> Path:
    """A folder of results, if this code can read its records; an empty one, or none yet, is.

    Raises:
        ValueError: they have another schema.
    """
    for path in sorted(folder.glob(FILES)):
        if (found := schema(path)) != SCHEMA:
            advice = "use the code that wrote it, or another folder"
            raise ValueError(f"{path}: its records have schema {found}, expected {SCHEMA}: {advice}")
    return folder


class Latest(tuple[Any, ...]):
    """Records no two of which have the same key, and what has been computed from all of them together."""

    @functools.cached_property
    def remembered(self) -> dict[str, Any]:
        return {}

    @functools.cached_property
    def kinds(self) -> dict[str, list[Any]]:
        """Sort the records by their kind."""
        found: dict[str, list[Any]] = {}
        for record in self:
            found.setdefault(record.kind, []).append(record)
        return found


def latest(records: Iterable[Any]) -> Latest:
    """The last record of each key, in the order of first appearance: a new measurement replaces the one before.

    What was interrupted replaces nothing: an older measurement is still the last one.
    """
    if isinstance(records, Latest):
        return records
    kept: dict[tuple[str, ...], Any] = {}
    for record in records:
        if not isinstance(record, Environment) and (record.status != "interrupted" or record.key() not in kept):
            kept[record.key()] = record
    return Latest(kept.values())
