"""The steps of the workflow that gate a pull request, as they stand in its file, run by a shell in a clone."""

import configparser
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

WORKFLOW, JOBS = ".github/workflows/ci.yml", ("gate", "comment")
PREPARATION = "pip install"  # of what is installed here already
TOX = re.compile(r"python -m tox run -e (\S+) --")
GH = '#!/bin/sh\n# gh pr comment NUMBER --body-file FILE: what would have been posted\ncp "$5" posted.md\n'


@dataclass(frozen=True)
class Ran:
    """Whether every step passed, what they printed, the job's summary, and what was posted in the pull request."""

    passed: bool
    said: str
    summary: str
    posted: str


def run(clone: Path, base: str, framework: str, options: str) -> Ran:
    """Run the gate's jobs on what is checked out in a clone. `options` are added to the measuring step."""
    summary, posted, tools = clone / "step-summary", clone / "posted.md", clone / "tools"
    for left in (summary, posted, *clone.glob("gate-*")):
        left.unlink(missing_ok=True)
    tools.mkdir(exist_ok=True)
    (tools / "gh").write_text(GH)
    (tools / "gh").chmod(0o755)
    facts = {"github.event.pull_request.base.sha": base, "matrix.framework": framework}
    shell = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}", "GITHUB_STEP_SUMMARY": str(summary)}
    ended = []
    for command, settings in steps(clone, options):
        given = {name: fill(str(value), facts) for name, value in settings.items()}
        ended.append(
            subprocess.run(["bash", "-ec", command], cwd=clone, env=shell | given, capture_output=True, text=True)
        )
    said = "".join(each.stdout + each.stderr for each in ended)
    texts = [path.read_text("utf-8") if path.exists() else "" for path in (summary, posted)]
    return Ran(not any(each.returncode for each in ended), said, *texts)


def steps(clone: Path, options: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the commands of the jobs with their variables; tox's environments are replaced by what they run."""
    jobs = yaml.safe_load((clone / WORKFLOW).read_text("utf-8"))["jobs"]
    for step in (step for name in JOBS for step in jobs[name]["steps"]):
        command = step.get("run", "").strip()
        if not command or PREPARATION in command:
            continue
        if environment := TOX.search(command):
            command = f"{command.replace(environment[0], runs(clone, environment[1]))} {options}"
        yield command, step.get("env", {})


def runs(clone: Path, environment: str) -> str:
    """The command of an environment of tox.ini, which the packages that are installed here run as well."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(clone / "tox.ini", "utf-8")
    return parser[f"testenv:{environment}"]["commands"].replace("{posargs}", "").strip()


def fill(text: str, facts: Mapping[str, str]) -> str:
    """The text with what GitHub would put in the place of an expression; nothing for what is a secret there."""
    return re.sub(r"\$\{\{\s*(.*?)\s*\}\}", lambda found: facts.get(found[1], ""), text)
