"""Where this code is and where it keeps things: a checkout of the repository, or a package in someone's environment.

What is measured goes to a folder that git ignores, below the one that the user stands in; the checkout's own `results`
are written to only by who names them. What is installed never writes beside itself, and takes nothing from the user's
folder: neither modules of the same names as ours nor that folder's version history.
"""

import importlib.metadata
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import platformdirs

import impls

INSTALLED = __name__.startswith("equireg.")  # the wheel has all packages below this one
ROOT = Path(impls.__file__).parents[1]  # has the folders impls, equivalence and bench
RESULTS = Path("equireg-results")  # in the folder that the user stands in
PUBLISHED = ROOT / "results"  # of a checkout, committed
CACHE = platformdirs.user_cache_path("equireg") if INSTALLED else ROOT / ".cache"

# A new Python with this code: `[*PYTHON, "-m", MODULE]`, started in the folder START (None: the user's). -P keeps that
# folder's modules, a `torch.py` for instance, from being found before those that are installed.
PYTHON = [sys.executable, "-P"] if INSTALLED else [sys.executable]
START = None if INSTALLED else ROOT

GIT = ["git", "--no-optional-locks"]  # what only looks holds no lock, which would stay behind if it were killed


def commit() -> str:
    """What tells this code from other versions: the checkout's commit, or the package's version.

    A package that pip has fetched from a repository has the commit in its version's local part. Empty where a checkout
    has no history.
    """
    if not INSTALLED:
        return git("rev-parse", "--short", "HEAD")
    package = importlib.metadata.distribution("equireg")
    origin = json.loads(package.read_text("direct_url.json") or "{}")
    fetched = origin.get("vcs_info", {}).get("commit_id", "")
    return f"{package.version}+g{fetched[:7]}" if fetched else package.version


def changed(folders: tuple[str, ...]) -> bool:
    """Whether these folders of the checkout are not as they were committed."""
    return bool(git("status", "--porcelain", "--", *folders))


def git(*arguments: str) -> str:
    """What git says of the checkout; nothing where it has no history, though a folder above it may have one."""
    if not (ROOT / ".git").exists():
        return ""
    try:
        return subprocess.run([*GIT, *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def unpack(commit: str, folder: Path, *paths: str) -> str:
    """Write the checkout as it was committed, or some of its paths, to a folder; what git complains of, or nothing."""
    if commit.startswith("-"):  # git would take it for an option of its own
        return "its name is an option's"
    packed = subprocess.run(["git", "archive", commit, *paths], cwd=ROOT, capture_output=True)
    if packed.returncode:
        return packed.stderr.decode("utf-8", "backslashreplace").strip()
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return ""
