"""The page: `<out>/README.md` and its figures, from the records of every machine under `<out>`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from bench import statistics, timing
from bench.report import costs, effects, peers, tables
from bench.report.curve_figures import curve_figures, curves_table
from bench.report.figures import figures
from bench.report.growth_figures import growth_figures
from bench.staleness import Codes, stale
from bench.store import DISTURBED, FILES, Environment, latest, read
from bench.train.statistics import MARGIN
from equivalence import judge
from equivalence.claim import claims
from equivalence.mutant import mutants

TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,  # Markdown: `text` escapes what comes from records
)
SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\|*`[]<"} | {"\n": " "})


@dataclass(frozen=True)
class Machine:
    """What is known of one machine."""

    name: str
    records: list[Any]
    problems: list[str]
    figures: dict[str, str] = field(default_factory=dict)  # SVG by path below the page


def write(out: Path) -> list[str]:
    """Write the page and its figures; returns what is wrong with the records' files, by line."""
    machines = [load(path) for path in sorted(out.glob(FILES))]
    out.mkdir(parents=True, exist_ok=True)
    for machine in machines:
        for path, svg in machine.figures.items():
            (out / path).parent.mkdir(exist_ok=True)
            (out / path).write_text(svg, encoding="utf-8")
    (out / "README.md").write_text(render(machines, Codes()), encoding="utf-8")
    return [problem for machine in machines for problem in machine.problems]


def load(path: Path) -> Machine:
    """A machine's records; a file that cannot be read at all is a problem, not an end."""
    name = path.parent.name
    try:
        records, problems = read(path)
    except (OSError, UnicodeError) as error:
        records, problems = [], [f"{path}: cannot be read: {error}"]
    problems = [problem.replace(str(path), f"{name}/{path.name}") for problem in problems]
    drawn = {f"{name}/figures/{figure}": svg for figure, svg in drawn_figures(records).items()}
    return Machine(name, records, problems, drawn)


def drawn_figures(records: list[Any]) -> dict[str, str]:
    return figures(records) | growth_figures(records) | curve_figures(records)


def render(machines: Sequence[Machine], code: dict[str, str] | None) -> str:
    """The page as Markdown. The same records and the same code give the same text."""
    sections = [section(machine, code) for machine in machines or [Machine(tables.NOT_MEASURED, [], [])]]
    stated, planted = list(claims().values()), list(mutants().values())
    template = TEMPLATES.get_template("README.md.j2")
    return template.render(
        machines=sections,
        claims=stated,
        mutants=planted,
        judge=judge,
        statistics=statistics,
        timing=timing,
        costs=costs,
        stale=tables.STALE,
        disturbed=DISTURBED,
        margin=f"{100 * MARGIN:g}",
        text=text,
    )


def section(machine: Machine, code: dict[str, str] | None) -> dict[str, Any]:
    """What the template needs of one machine."""
    records = machine.records
    found = latest(records)
    details = tables.claim_details(records, code), tables.agreement_details(records, code)
    outdated = sum(stale(record, code) for record in found)
    return {
        "name": machine.name,
        "environments": markdown(environments(records)),
        "stale": f"{outdated} of {len(found)} records" if outdated else "",
        "claims": markdown(tables.claims_table(records, code)),
        "failures": [markdown(bad) for detail in details if not (bad := not_holding(detail)).empty],
        "mistakes": markdown(tables.kill_summary(records, code)),
        "kill_matrix": markdown(tables.kill_matrix(records)),
        "agreement": markdown(tables.agreement_table(records, code)),
        "cross_framework": markdown(tables.cross_framework_table(records, code)),
        "variations": markdown(tables.variations_table(records, code)),
        "own_losses": markdown(tables.own_losses_table(records, code)),
        "costs": markdown(costs.cost_table(records, code)),
        "growth": markdown(costs.growth_table(records, code)),
        "growth_figures": [name for name in machine.figures if "/growth-" in name],
        "effects": markdown(effects.effects_table(records, code)),
        "articles": markdown(effects.articles_table(records)),
        "parted": markdown(curves_table(records)),
        "training_figures": [name for name in machine.figures if "/training-" in name],
        "peers": markdown(peers.peer_table(records, code)),
        "selfcheck": markdown(costs.selfcheck_table(records, code)),
        "cold": markdown(costs.cold_table(records, code)),
        "figures": [name for name in machine.figures if "/growth-" not in name and "/training-" not in name],
        "problems": machine.problems,
    }


def not_holding(details: pd.DataFrame) -> pd.DataFrame:
    return details[~details["result"].str.startswith("holds")] if len(details) else details


def environments(records: Sequence[Any]) -> pd.DataFrame:
    """One row an environment in which a record that counts was made."""
    columns = ("CPU", "cores", "memory", "system", "Python", "packages", "variables", "commit", "records", "made")
    known = {record.id: record for record in records if isinstance(record, Environment)}
    counts = Counter(record.environment for record in latest(records))
    rows = []
    for name, count in counts.items():
        days = sorted(record.time[:10] for record in latest(records) if record.environment == name)
        facts = described(known[name]) if name in known else ["not recorded"] * (len(columns) - 2)
        rows.append([*facts, str(count), " to ".join(dict.fromkeys((days[0], days[-1])))])
    return pd.DataFrame(rows, columns=columns)


def described(environment: Environment) -> list[str]:
    packages = ", ".join(f"{name} {version}" for name, version in sorted(environment.packages.items()))
    commit = (environment.commit or "unknown") + (", with changes" if environment.dirty else "")
    size = f"{environment.memory_gb:g} GiB"
    variables = ", ".join(f"{name}={value}" for name, value in environment.variables.items()) or "–"
    software = environment.system, environment.python, packages, variables, commit
    return [environment.cpu, str(environment.cores), size, *software]


def markdown(frame: pd.DataFrame) -> str:
    """A table, or that there is nothing to show."""
    if frame.empty:
        return f"{tables.NOT_MEASURED}\n"
    rows = [frame.columns, ["---"] * len(frame.columns), *frame.itertuples(index=False)]
    lines = [[cell if cell == "---" else text(cell) for cell in row] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def text(value: Any) -> str:
    """Free of what Markdown would read as markup."""
    return str(value).translate(SPECIAL)
