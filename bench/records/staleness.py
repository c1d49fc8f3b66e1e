"""Which source a record rests on, as a hash: made with other source, a record is stale.

A record rests on what its worker loads: not on another framework's files, on another claim, on what other kinds of
records alone load, nor on methods that its claim never calls. A comment, a new method or a change of the report
therefore makes nothing stale, nor does the adapter of another published package. `tests/report/test_staleness.py` holds
this against the modules that workers really load.
"""

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from bench.records import source
from bench.records.versions import named, versions, versions_on
from equivalence.claim import claims
from equivalence.published import written_in
from impls.contract import MODULES
from impls.frameworks import DESCRIBED, FRAMEWORKS

MEASURING = ("impls", "equivalence", "bench")
SHOWING = (  # measures nothing: what is asked for, which processes it takes, where records are kept, what is shown
    "bench/__main__.py",
    "bench/commands",
    "bench/costs/timing.py",
    "bench/places.py",
    "bench/proofs",
    "bench/records",
    "bench/report",
    "bench/train/plan.py",
    "bench/train/statistics.py",
    "bench/train/study.py",
    "impls/frameworks",
)
PROOFS = {"claim", "agreement", "call", "variations", "precision", "conformance"}
TIMES = {"cost", "cold", "self-check", "peer"}
ADAPTERS = "equivalence/published"
LOADED_BY = {  # what the workers of some kinds of records alone load
    "bench/check": set(),  # a model of somebody's own leaves no record
    "equivalence/own_models": set(),
    "bench/costs": TIMES,
    "bench/peers": {"peer"},
    "bench/train": {"training"},
    "equivalence/claims": {"claim", "variations", "conformance"},
    "equivalence/calls": PROOFS,
    "equivalence/parts": {"claim", "variations", "conformance"},
    ADAPTERS: {"conformance"},
    "equivalence/foreign": PROOFS,
    "equivalence/trainees": PROOFS,
    "equivalence/divided": {"claim", "variations"},
    "equivalence/atlas": {"atlas"},
    "equivalence/mixed": {"agreement", "precision", "conformance", "cost", "cold", "training"},
}
# Its worker loads nothing else, but for how it talks to the run, which enters no number.
ATLAS = ("equivalence/atlas", "equivalence/__init__.py")
PLANTED = "equivalence/mutants"
DESCRIPTIONS = "impls/frameworks"  # read of every framework, wherever one is chosen


class File:
    """A file that measures, read once."""

    def __init__(self, path: Path):
        place = path.relative_to(source.ROOT)
        self.path, self.name = path, place.as_posix()
        self.places = {each.as_posix() for each in (place, *place.parents)}
        named = {part.partition("_")[0] for part in place.with_suffix("").parts}.intersection(FRAMEWORKS)
        self.frameworks = set() if DESCRIPTIONS in self.places else named
        self.code = source.read(path)

    @property
    def is_stub(self) -> bool:
        """Whether the contract's functions are in it."""
        return "impls/contract" in self.places and self.path.stem in MODULES

    def prepare(self) -> None:
        """Find what `unused` and `digest` ask for: a file's names, and the hash of the whole."""
        _ = self.code.definitions, self.code.identifiers, self.digest(())

    def digest(self, without: Iterable[str]) -> str:
        return self.code.digest(frozenset(without).intersection(self.code.definitions))


class Basis(NamedTuple):
    """What of a record decides which source it rests on."""

    kind: str
    framework: str
    claim: str
    methods: tuple[str, ...]
    """That it measures; none: those that its worker's files name."""
    planted: bool
    """Whether a mistake was planted, which may call any method."""
    family: str = ""
    """Of an operation in the atlas."""
    version: str = ""
    """Of the packages that a record is about, as they are now, where it is about some."""
    adapter: tuple[str, ...] = ()
    """The names of the files that put a published function in a method's place, and show what is wrong with it."""


def basis(record: Any) -> Basis:
    """Find out what a record rests on."""
    if record.kind == "atlas":
        return Basis(record.kind, record.framework, "", (), False, record.family, versions(named(record.version)))
    if record.kind == "conformance":
        version = versions_on(record.package, DESCRIBED[record.framework].packages)
        adapter = written_in(record.framework, record.package, record.function)
        return Basis(record.kind, record.framework, "", (record.method,), False, version=version, adapter=adapter)
    claim, planted = getattr(record, "claim", ""), bool(getattr(record, "wrong", ""))
    stated = claims().get(claim)
    measured = stated.methods if stated else (record.method,) if record.kind in ("agreement", "call") else ()
    return Basis(record.kind, getattr(record, "framework", ""), claim, () if planted else tuple(measured), planted)


class Codes:
    """The hash of the source as it is now that a record rests on; each is computed when first asked for."""

    def __init__(self) -> None:
        self.known: dict[Basis, str] = {}
        self.looked_at: dict[int, tuple[Any, bool]] = {}  # by identity: many tables ask for one record

    @functools.cached_property
    def files(self) -> list[File]:
        return sources()

    def prepare(self) -> None:
        """Read the source now: seconds of work that the first record would else make while a next step is timed."""
        for file in self.files:
            file.prepare()

    def of(self, record: Any) -> str:
        wanted = basis(record)
        if wanted not in self.known:
            loaded = [file for file in self.files if rests_on(file, wanted)]
            without = unused(wanted, loaded)
            parts = [(file.name, file.digest(without)) for file in loaded]
            self.known[wanted] = source.combined(parts, *filter(None, [wanted.version]))
        return self.known[wanted]


def stale(record: Any, codes: Codes | None) -> bool:
    """Whether other code made the record; nothing is where no code is given to compare with."""
    if codes is None:
        return False
    if id(record) not in codes.looked_at:
        # It is held, so that its identity stays its own.
        codes.looked_at[id(record)] = record, record.code != codes.of(record)
    return codes.looked_at[id(record)][1]


def sources() -> list[File]:
    """The project's files that measure."""
    paths = (path for folder in MEASURING for path in source.ROOT.glob(f"{folder}/**/*.py"))
    return [file for path in sorted(paths) if not (file := File(path)).places.intersection(SHOWING)]


def rests_on(file: File, wanted: Basis) -> bool:
    """Whether a worker that makes such a record loads the file, or a claim's mistakes are in it."""
    if wanted.kind == "atlas":
        own = file.name.endswith(("__init__.py", "transforms.py", f"/{wanted.family}.py")) or not file.frameworks
        return own and bool(file.places.intersection(ATLAS)) and file.frameworks <= {wanted.framework}
    if PLANTED in file.places and not wanted.planted:
        return False
    if any(place in file.places and wanted.kind not in kinds for place, kinds in LOADED_BY.items()):
        return False
    if file.places.intersection((f"{ADAPTERS}/{wanted.framework}", f"{ADAPTERS}/witnesses")):
        return file.path.stem in wanted.adapter
    if wanted.claim and "equivalence/claims" in file.places and file.path.stem != "__init__":
        return file.path.stem.startswith(f"{wanted.claim.lower()}_")
    return not wanted.framework or not file.frameworks or wanted.framework in file.frameworks


def unused(wanted: Basis, loaded: Iterable[File]) -> set[str]:
    """Methods of the contract that neither what was measured nor anything it calls names."""
    methods = {name for file in loaded if file.is_stub for name in file.code.definitions}
    called: dict[str, set[str]] = {}  # by name of what the framework's files define all identifiers in it
    fresh = set(wanted.methods)
    for file in loaded:
        for name, identifiers in file.code.definitions.items() if "impls" in file.places else ():
            called.setdefault(name, set()).update(identifiers)
        if not wanted.methods and "impls" not in file.places:
            fresh |= file.code.identifiers
    reached: set[str] = set()
    while fresh:
        reached |= fresh
        fresh = {name for caller in fresh for name in called.get(caller, ())} - reached
    return methods - reached
