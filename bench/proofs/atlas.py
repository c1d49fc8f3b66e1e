"""Which entries of the atlas to measure, records of what came back, and what is known of a layer or function."""

import functools
import importlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.places import PUBLISHED
from bench.records.schema import AtlasRecord
from bench.records.store import FILES, latest, read
from bench.records.versions import installed, versions
from bench.running.job import Job, Outcome
from bench.running.shard import WHOLE, Shard
from equivalence.atlas import entries
from equivalence.atlas.compositions import COMPOSITIONS
from equivalence.atlas.entry import Entry
from equivalence.atlas.judge import HURTS, RIGHT

LIMIT = 600.0  # seconds of processor time an entry may take in all of its modes
COMPILED_FAST = {"XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"}


@dataclass(frozen=True)
class Chosen:
    """What to measure; empty sets stand for everything that is measured by default."""

    operations: frozenset[str] = frozenset()
    families: frozenset[str] = frozenset()
    compositions: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()


def modes(framework: str, every: bool = False) -> tuple[str, ...]:
    """A framework's modes, those that take minutes only where every one is asked for."""
    described = importlib.import_module(f"equivalence.atlas.{framework}")
    return described.MODES if every else described.DEFAULT_MODES


def compositions(framework: str, mode: str, chosen: Chosen) -> list[str]:
    left_out = importlib.import_module(f"equivalence.atlas.{framework}").LEFT_OUT.get(mode, ())
    return [name for name in chosen.compositions or COMPOSITIONS if chosen.compositions or name not in left_out]


def version_of(framework: str, entry: Entry) -> str:
    """The packages that a record of the entry is about, with their versions."""
    packages = importlib.import_module(f"equivalence.atlas.{framework}").PACKAGES
    return versions((*packages, *filter(None, [entry.needs])))


def tasks(framework: str, chosen: Chosen) -> list[Any]:
    """Everything to measure in one framework: entries whose package is not installed are left out."""
    asked = {
        mode: compositions(framework, mode, chosen)
        for mode in modes(framework, every=True)
        if mode in (chosen.modes or modes(framework))
    }
    return [
        ["entry", entry.name, asked]
        for entry in entries(framework).values()
        if (not chosen.operations or entry.name in chosen.operations)
        and (not chosen.families or entry.family in chosen.families)
        and (not entry.needs or installed(entry.needs))
        and asked
    ]


def jobs(frameworks: Sequence[str], chosen: Chosen, slots: int, shard: Shard = WHOLE) -> list[Job]:
    """One process a framework, or as many as leave no slot idle."""
    arguments = {"device": "cpu", "environment": COMPILED_FAST}
    planned = []
    for framework in frameworks:
        shares = max(1, slots // len(frameworks))
        dealt = [shard.of(tasks(framework, chosen))[share::shares] for share in range(shares)]
        planned += [
            Job("equivalence.atlas.worker", framework, arguments, part, limit=LIMIT, processor_time=True)
            for part in dealt
            if part
        ]
    return planned


def records(outcome: Outcome) -> list[AtlasRecord]:
    """What an outcome says, a record a mode."""
    _, name, asked = outcome.task
    framework = outcome.job.framework
    entry, (plainest, *_) = entries(framework)[name], modes(framework)
    return [
        AtlasRecord(
            operation=name,
            family=entry.family,
            framework=framework,
            mode=mode,
            version=version_of(framework, entry),
            status=outcome.status,
            reason=outcome.reason,
            input=entry.where,
            rows=outcome.result.get(mode, {}),
            kinks=outcome.result.get("kinks", {}) if mode == plainest else {},
        )
        for mode in asked
    ]


def stored(folder: Path = PUBLISHED) -> list[AtlasRecord]:
    """The atlas as it was measured last; none where there are no results."""
    found = latest(record for path in sorted(folder.glob(FILES)) for record in read(path, "atlas")[0])
    return [record for record in found if record.kind == "atlas"]


@functools.cache
def published() -> list[AtlasRecord]:
    """The atlas that was published, read once."""
    return stored()


def bare(name: str) -> str:
    """What is left of a name that several spellings share: nn.LayerNorm, F.layer_norm and LayerNorm are one."""
    return name.partition(",")[0].partition("(")[0].rpartition(".")[2].replace("_", "").lower()


def lookup(framework: str, name: str, known: Iterable[AtlasRecord] | None = None) -> list[AtlasRecord]:
    """What is known of a layer or function, by its name or by one that computes the same; none where it is not there.

    Records have a mode each; `wrong_in` says which compositions of one hurt. Records are the published ones unless
    others are handed over.
    """
    wanted = bare(name)
    fitting = {
        entry.name
        for entry in entries(framework).values()
        if wanted in {bare(each) for each in (entry.name, *entry.also)}
    }
    found = published() if known is None else known
    return [record for record in found if record.framework == framework and record.operation in fitting]


def wrong_in(record: AtlasRecord) -> list[str]:
    """The compositions of which a record says that their number is wrong, and nobody is told."""
    return [composition for composition, row in record.rows.items() if row["word"] in HURTS]


def news(found: Iterable[AtlasRecord], before: Iterable[AtlasRecord]) -> list[str]:
    """What is wrong now and was not known to be: operation, framework, mode and composition in words."""
    known = {
        (record.framework, record.operation, record.mode): record.rows for record in before if record.status == "ok"
    }
    return [
        f"{record.framework} {record.mode}: {record.operation}: {composition} {record.rows[composition]['word']}"
        for record in found
        for composition in wrong_in(record)
        if known.get((record.framework, record.operation, record.mode), {}).get(composition, {"word": RIGHT})["word"]
        not in HURTS
    ]
