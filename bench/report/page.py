"""What is written below a folder of results, from the records of every machine: two pages, figures, a job's summary."""

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from bench.costs import timing
from bench.costs.workloads import WORKLOADS
from bench.places import PUBLISHED, ROOT
from bench.records import block_statistics, files
from bench.records.schema import DISTURBED, Environment
from bench.records.staleness import Codes, stale
from bench.records.store import FILES, Latest, latest, read_latest
from bench.report import answers, ci, first_screen, history, html, markdown, readme
from bench.report.curve_figures import curve_figures
from bench.report.effect_figures import effect_figures
from bench.report.figures import figures
from bench.report.finetuning_figures import finetuning_figures
from bench.report.growth_figures import growth_figures
from bench.report.precision_figures import precision_figures
from bench.report.tables import (
    agreement,
    atlas,
    conformance,
    costs,
    effects,
    finetuning,
    mistakes,
    peers,
    precision,
    variations,
)
from bench.report.tables.claims import claim_details, claims_table
from bench.report.tables.curves import curves_table
from bench.report.tables.entries import BAD, NONE, NOT_MEASURED, OPEN, STALE, count, framed, number
from bench.train.statistics import MARGIN
from equivalence import judge
from equivalence.atlas import judge as atlas_judge
from equivalence.atlas.judge import NONE as DOCUMENTED
from equivalence.atlas.judge import RAISES, UNDECIDED
from equivalence.atlas.measure import DIRECTIONS
from equivalence.claim import claims
from equivalence.mutant import mutants

FACTS = {  # that the templates name beside the records
    "mutants": list(mutants().values()),
    "judge": judge,
    "atlas_judge": atlas_judge,
    "directions": DIRECTIONS,
    "statistics": block_statistics,
    "timing": timing,
    "costs": costs,
    "stale": STALE,
    "disturbed": DISTURBED,
    "margin": f"{100 * MARGIN:g}",
}


@dataclass(frozen=True)
class Machine:
    """What is known of one machine."""

    name: str
    records: list[Any]
    problems: list[str]
    figures: dict[str, str] = field(default_factory=dict)  # SVG by file name
    history: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=history.COLUMNS))

    @functools.cached_property
    def measured(self) -> Latest:
        """The last record of each key."""
        return latest(self.records)

    def last(self) -> str:
        """When its newest record was made; nothing where there is none."""
        return max((getattr(record, "time", "") for record in self.records), default="")


def write(out: Path) -> list[str]:
    """Write both pages and the figures; returns what is wrong with the records' files, by line."""
    machines = [load(path) for path in sorted(out.glob(FILES))]
    for machine in machines:
        for name, svg in machine.figures.items():
            files.replace(out / machine.name / "figures" / name, svg)
    code = Codes()
    shown = sections(machines, code)
    newest = answers.choose_newest(shown, code)
    everything = [record for machine in machines for record in machine.measured]
    written = {
        "README.md": markdown.render(shown, answers=answers.newest_table(newest), **FACTS),
        "index.html": html.render(shown, first_screen.first_screen(shown, newest), **FACTS),
        "summary.md": ci.summary(shown, newest),
        "badge.json": ci.badge(everything),
    }
    for name, text in written.items():
        files.replace(out / name, text)
    if out.resolve() == PUBLISHED:
        readme.update(ROOT / "README.md", "results", shown, newest)
    return [problem for machine in machines for problem in machine.problems]


def load(path: Path) -> Machine:
    """A machine's records; a file that cannot be read at all is a problem, not an end."""
    name = path.parent.name
    try:
        records, problems = read_latest(path)
    except (OSError, UnicodeError) as error:
        records, problems = [], [f"{path}: cannot be read: {error}"]
    problems = [problem.replace(str(path), f"{name}/{path.name}") for problem in problems]
    try:
        trend = history.update(path.parent, records)
    except history.Damaged as error:
        trend, problems = history.lines(records), [*problems, f"{name}/{error}"]
    machine = Machine(name, records, problems, history=trend)
    found = machine.measured
    drawn = figures(found) | growth_figures(found) | effect_figures(finetuning.unplanned(found)) | curve_figures(found)
    drawn |= precision_figures(found) | finetuning_figures(found)
    machine.figures.update(drawn | history.trend_figures(trend))
    return machine


def sections(machines: Sequence[Machine], code: Codes | None) -> list[dict[str, Any]]:
    """What the pages need of each machine, that with the newest record first; where there is none, what says so."""
    newest = sorted(machines, key=Machine.last, reverse=True)
    return [section(machine, code) for machine in newest or [Machine(NOT_MEASURED, [], [])]]


def section(machine: Machine, code: Codes | None) -> dict[str, Any]:
    """Everything of one machine that is shown. The same records and the same code give the same."""
    records = machine.measured
    places = {record.id: record for record in machine.records if isinstance(record, Environment)}
    drawn = {
        f"{kind}_figures": {name: svg for name, svg in machine.figures.items() if name.startswith(f"{kind}-")}
        for kind in ("precision", "growth", "effects", "planned", "training", "trend")
    }
    others = {name for figures in drawn.values() for name in figures}
    tabled = make_tables(records, code)
    found = answers.findings(tabled, records)
    return (
        tabled
        | drawn
        | {
            "name": machine.name,
            "findings": answers.table(found),
            "found": found,
            "records": records,
            "line": first_screen.line(machine.name, records, places, tabled),
            "caveats": answers.caveats(records, machine.problems, code),
            "environments": environments(records, places),
            "places": places,
            "unpriced": [name for name in WORKLOADS if name not in set(tabled["cost"]["workload"])],
            "stale": count_stale(records, code),
            "failures": failures(records, code),
            "figures": {name: svg for name, svg in machine.figures.items() if name not in others},
            "trend": history.trend_table(machine.history),
            "problems": machine.problems,
        }
    )


def make_tables(records: Latest, code: Codes | None) -> dict[str, pd.DataFrame]:
    """The tables by name."""
    cost = costs.cost_table(records, code)
    return {
        "claims": add_formulas(claims_table(records, code)),
        "mistakes": mistakes.kill_summary(records, code),
        "kill_matrix": mistakes.kill_matrix(records),
        "agreement": agreement.agreement_table(records, code),
        "half_agreement": agreement.half_agreement_table(records, code),
        "precision": precision.precision_table(records, code),
        "cross_framework": agreement.cross_framework_table(records, code),
        "variations": variations.variations_table(records, code),
        "atlas": atlas.summary_table(records, code),
        "atlas_wrong": atlas.operations_table(records, code),
        "atlas_refused": atlas.operations_table(records, code, (RAISES, DOCUMENTED, UNDECIDED)),
        "kinks": atlas.kinks_table(records, code),
        "published": conformance.summary_table(records, code),
        "published_functions": conformance.functions_table(records, code),
        "cost": cost,
        "priced": costs.priced_table(cost, records, code),
        "half_cost": costs.half_table(records, code),
        "by_hand": costs.by_hand_table(records, code),
        "growth": costs.growth_table(records, code),
        "effects": effects.effects_table(finetuning.unplanned(records), code),
        "half_effects": effects.half_effects_table(finetuning.unplanned(records), code),
        "articles": effects.articles_table(finetuning.unplanned(records)),
        "planned": finetuning.planned_table(records, code),
        "stated": finetuning.stated_table(records),
        "curves": curves_table(records),
        "peers": peers.peer_table(records, code),
        "selfcheck": costs.selfcheck_table(records, code),
        "cold": costs.cold_table(records, code),
    }


def failures(records: Latest, code: Codes | None) -> list[pd.DataFrame]:
    """What does not hold, claims and then uses; no table where all of it does."""
    details = claim_details(records, code), agreement.agreement_details(records, code)
    return [bad for detail in details if not (bad := select_failing(detail)).empty]


def add_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """The table of claims with what each says as a formula, and where it comes from."""
    known = [claims()[name] for name in table["claim"]]
    table.insert(2, "formula", [claim.formula for claim in known])
    table["source"] = [claim.source for claim in known]
    return table


def count_stale(records: Sequence[Any], code: Codes | None) -> str:
    """How many of the records that count were made with other code."""
    count = sum(stale(record, code) for record in records)
    return f"{count} of {len(records)} records" if count else ""


def select_failing(details: pd.DataFrame) -> pd.DataFrame:
    return details[[entry.state in (BAD, OPEN) for entry in details["result"]]]


def environments(records: Sequence[Any], places: Mapping[str, Environment]) -> pd.DataFrame:
    """One row an environment in which a record that counts was made."""
    columns = (
        "CPU",
        "cores",
        "product on one core",
        "memory",
        "system",
        "Python",
        "packages",
        "variables",
        "commit",
        "records",
        "made",
    )
    counts = Counter(record.environment for record in records)
    days: dict[str, list[str]] = {}
    for record in records:
        days.setdefault(record.environment, []).append(record.time[:10])
    rows = []
    for name, made in counts.items():
        facts = describe_environment(places[name]) if name in places else ["not recorded"] * (len(columns) - 2)
        rows.append([*facts, count(made), " to ".join(dict.fromkeys((min(days[name]), max(days[name]))))])
    return framed(rows, columns)


def describe_environment(environment: Environment) -> list[str]:
    packages = ", ".join(f"{name} {version}" for name, version in sorted(environment.packages.items()))
    commit = (environment.commit or "unknown") + (", with changes" if environment.dirty else "")
    size = number(environment.memory_gb, "g", " GiB")
    variables = ", ".join(f"{name}={value}" for name, value in environment.variables.items()) or NONE
    software = environment.system, environment.python, packages, variables, commit
    rate = number(environment.product_gflops, "g", " GFLOP/s") if environment.product_gflops else NONE
    return [environment.cpu, count(environment.cores), rate, size, *software]
