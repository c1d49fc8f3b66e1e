"""What a run in CI shows outside its folder: a job's summary in Markdown, and a badge."""

import json
from collections.abc import Sequence
from typing import Any

from bench.report import answers, markdown
from bench.report.tables.outcomes import HOLDS, SHOWS_NOTHING, outcome

LIMIT = 900_000  # bytes; GitHub takes 1 MiB a step


def summary(machines: Sequence[dict[str, Any]], newest: Sequence[answers.Answer]) -> str:
    """The newest answers, and of each machine what to know before believing it, and what does not hold.

    Never longer than a job may say.
    """
    parts = [f"## Answers\n\n{markdown.table(answers.newest_table(newest))}"]
    for machine in machines:
        lines = [f"## {markdown.text(machine['name'])}\n"]
        lines += [f"- {markdown.text(caveat)}" for caveat in machine["caveats"]]
        for failure in machine["failures"]:
            rest = failure.head(100)
            lines += ["", markdown.table(rest)]
            lines += [f"\n{len(failure) - len(rest)} more are in the page."] if len(rest) < len(failure) else []
        parts.append("\n".join(lines))
    text = "\n\n".join(parts) + "\n"
    return text if len(text.encode()) <= LIMIT else text.encode()[:LIMIT].decode(errors="ignore") + "\n… cut here\n"


def badge(records: Sequence[Any]) -> str:
    """How many checks hold, of those that were measured and show something.

    As https://shields.io/badges/endpoint-badge reads it.
    """
    judged = [record for record in records if record.kind in ("claim", "agreement") and not record.wrong]
    checks = [found for found in map(outcome, judged) if found != SHOWS_NOTHING]
    held = checks.count(HOLDS)
    color = "lightgrey" if not checks else "brightgreen" if held == len(checks) else "red"
    message = f"{held} of {len(checks)} checks hold" if checks else "not measured"
    return json.dumps({"schemaVersion": 1, "label": "verified", "message": message, "color": color}) + "\n"
