"""A comparison for people and for programs."""

import json
from collections.abc import Iterable
from dataclasses import asdict

import pandas as pd

from bench.report import markdown
from bench.report.ci import LIMIT
from bench.report.compare.changes import Change, Comparison
from bench.report.compare.sides import Results

COLUMNS = ("change", "what", "before", "after", "difference", "machine")


def table(found: Iterable[Change]) -> pd.DataFrame:
    return pd.DataFrame([asdict(change) for change in found], columns=COLUMNS)


def markdown_text(base: Results, new: Results, found: Comparison, limit: int = LIMIT) -> str:
    """What changed, for people; within what a job's summary may hold (GitHub's limit is 1 MiB)."""
    word = "passes" if found.passes else "does not pass"
    lines = [f"## {base.name} → {new.name}: {word}", "", markdown.text(found.describe()), ""]
    for rest in (found.changes, found.changes[:200], found.changes[:20]):
        text = "\n".join(lines) + "\n\n" + (markdown.table(table(rest)) if rest else "Nothing changed.\n")
        if len(rest) < len(found.changes):
            text += f"\n{len(found.changes) - len(rest)} more are in the JSON.\n"
        if len(text.encode()) <= limit:
            return text
    return "\n".join(lines[:3])


def json_text(base: Results, new: Results, found: Comparison) -> str:
    facts = {
        "base": base.name,
        "new": new.name,
        "passes": found.passes,
        "regressions": found.regressions,
        "compared": dict(found.compared),
        "not compared": dict(found.not_compared),
        "allowed to be missing": found.allowed,
        "changes": [asdict(change) | {"regression": change.regression} for change in found.changes],
    }
    return json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
