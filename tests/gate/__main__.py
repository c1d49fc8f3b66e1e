"""Run a pull request's gate by the workflow's own commands in a fresh clone: `tox -e planted`.

Each planted regression must be red, with a table that names it in the job's summary and in the comment; a change of
nothing must be green, as often as `--green` says. What is not committed here is not in the clone. Exit status 1 where
one of them is not as it must be.
"""

import argparse
import re
import subprocess
import tempfile
import time
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from bench.places import ROOT
from tests.gate import workflow
from tests.gate.planted import NOTHING, RED, Planted

AUTHOR = ["-c", "user.name=planted", "-c", "user.email=planted@localhost"]


def main() -> None:
    given = arguments()
    console, table = Console(highlight=False), Table(box=box.SIMPLE)
    for name in ("change", "gate", "seconds", "as it must be", "row that names it"):
        table.add_column(name)
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        git("clone", "--quiet", str(ROOT), str(clone))
        for planted in [*[each for each in RED if given.only in each.name], *[NOTHING] * given.green]:
            began = time.monotonic()
            ran = gate(clone, planted, given.options)
            found = re.search(planted.named + ".*", ran.summary) if planted.named else None
            right = judge(planted, ran)
            wrong += not right
            row = planted.name, "green" if ran.passed else "red", f"{time.monotonic() - began:.0f}", right
            console.print(*row, found[0] if found else "")
            if not right:
                console.print(ran.said, ran.summary)
            table.add_row(*map(str, row), found[0] if found else "")
    console.print(table)
    raise SystemExit(wrong > 0)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.gate", description=__doc__)
    parser.add_argument("--green", type=int, default=1, help="how often nothing is changed")
    parser.add_argument("--only", default="", help="words in the name of what is planted: 'plain step'")
    parser.add_argument("--options", default="", help="further options of the gate: '--rounds 4'")
    return parser.parse_args()


def gate(clone: Path, planted: Planted, options: str) -> workflow.Ran:
    """Commit what is planted on top of what was cloned, and run the jobs on it."""
    git("checkout", "--quiet", "--force", "--detach", "origin/HEAD", cwd=clone)
    base = git("rev-parse", "HEAD", cwd=clone)
    planted.plant(clone)
    git(*AUTHOR, "commit", "--quiet", "--all", "--message", planted.name, cwd=clone)
    return workflow.run(clone, base, planted.framework, f"{planted.options} {options}")


def judge(planted: Planted, ran: workflow.Ran) -> bool:
    """Red with a row that names it, or green; the comment says what the summary says."""
    if ran.posted.strip() != ran.summary.strip():
        return False
    if not planted.named:
        return ran.passed and ": passes" in ran.summary
    return not ran.passed and ": does not pass" in ran.summary and re.search(planted.named, ran.summary) is not None


def git(*words: str, cwd: Path | None = None) -> str:
    return subprocess.run(["git", *words], cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
