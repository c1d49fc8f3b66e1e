"""A pytest fixture that holds an implementation of one's own to the claims, in a project's own tests.

def test_mine(equireg_verify):
    equireg_verify("own.py", framework="torch")
"""

import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

HOLDS, FAILS = 0, 1  # exit statuses of the command


@pytest.fixture
def equireg_verify(request: pytest.FixtureRequest) -> Callable[..., None]:
    """What `equireg verify --impl` says, as a test: it passes where everything holds, and fails with the explanation.

    The file is looked for beside the test, then in pytest's root, then where pytest was started. `claim`, `method` and
    `quick` are the command's options; of the first two one name or several.
    """
    from bench.places import PYTHON, START  # only now: pytest loads this file in projects that never use it

    folders = (request.path.parent, request.config.rootpath, request.config.invocation_params.dir)

    def verify(
        path: str | Path,
        framework: str,
        *,
        claim: str | Iterable[str] = (),
        method: str | Iterable[str] = (),
        quick: bool = False,
    ) -> None:
        __tracebackhide__ = True
        found = next((folder / path for folder in folders if (folder / path).is_file()), None)
        if found is None:
            raise FileNotFoundError(f"{path}: not found in any of {', '.join(map(str, dict.fromkeys(folders)))}")
        command = [*PYTHON, "-m", "equireg", "verify", "--impl", str(found), "--framework", framework]
        command += [word for name in listed(claim) for word in ("--claim", name)]
        command += [word for name in listed(method) for word in ("--method", name)]
        command += ["--quick"] if quick else []
        done = subprocess.run(
            command, cwd=START, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8"
        )
        if done.returncode == FAILS:
            pytest.fail(f"{found} does not hold\n{done.stdout}", pytrace=False)
        if done.returncode != HOLDS:
            raise RuntimeError(f"{found} was not verified, exit status {done.returncode}\n{done.stdout}")

    return verify


def listed(names: str | Iterable[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)
