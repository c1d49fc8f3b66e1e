"""A full disk, for every file that is written: one sentence and exit status 2, and what was there stays whole.

A small tmpfs is the disk where one may be mounted; elsewhere a limit on the size of files is.
"""

import contextlib
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.faults.harness import (
    Kind,
    Verdict,
    a_folder,
    generator,
    measured,
    run,
    torn_files,
    write_results,
)

SIZE = 8 * 2**20  # bytes of the disk
VERIFY = ["verify", "--quick", "--claim", "C6", "--framework", "torch"]
TRAIN = ["train", "--quick", "--framework", "torch", "--regime", "plain"]
PLAN = [  # words, what the folder has before, and so many bytes at most are free
    *[(["report"], "reported", 2_000_000)] * 12,
    *[(["report"], "", 2_000_000)] * 6,
    *[(["merge", "first", "second"], "reported", 120_000)] * 6,
    *[(["compact"], "reported", 120_000)] * 4,
    *[(["export", "DISK/tables"], "reported", 60_000)] * 4,
    *[(["export", "DISK/tables", "--format", "csv"], "reported", 60_000)] * 4,
    *[(["compare", "first", "second", "--json", "DISK/c.json", "--markdown", "DISK/c.md"], "", 300)] * 3,
    *[([*VERIFY, "--json", "DISK/v.json"], "reported", 4_000)] * 4,
    *[(TRAIN, "reported", 3_000)] * 3,
]
SENTENCE = ("No space left", "File too large", "cannot be written", "Disk quota")


def inflict(number: int, seed: int) -> Verdict:
    words, state, most = PLAN[number % len(PLAN)]
    free = int(generator(seed, "disk", number).integers(0, most))
    with a_folder() as folder, disk(folder / "disk") as mounted:
        kind = "tmpfs" if mounted else "ulimit -f"
        verdict = Verdict(f"{' '.join(words)}: {free} bytes left on the disk ({kind})")
        out = folder / "disk" / "out"
        write_results(out, with_report=state == "reported")
        for place in (folder / "first", folder / "second"):
            write_results(place, with_report=False)
        before, names = measured(out), {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
        words = [word.replace("DISK", str(folder / "disk")) for word in words]
        words += [] if words[0] == "compare" else ["--out", str(out)]
        if mounted:
            fill(folder / "disk", free)
            ended = run(words, folder)
        else:
            ended = run(words, folder, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (free, free)))
        ended.judge(verdict, {0, 1, 2})
        if ended.status == 2:
            verdict.complain_unless(any(word in ended.said for word in SENTENCE), f"no reason: {ended.said[-300:]}")
        look(out, before, names, ended.status == 2, verdict)
    return verdict


@contextlib.contextmanager
def disk(place: Path) -> Iterator[bool]:
    """A folder on a small disk of its own, if this user may have one; whether it is."""
    place.mkdir()
    options = f"size={SIZE}"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True, check=False)
    try:
        yield done.returncode == 0
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "-l", place], capture_output=True, check=False)


def fill(place: Path, free: int) -> None:
    """Leave about so many bytes on a disk."""
    block = b"x" * 4096
    with (place / "ballast").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(block) == len(block):
            pass
    size = (place / "ballast").stat().st_size
    with (place / "ballast").open("rb+") as file:
        file.truncate(max(0, size - free))


def look(out: Path, before: dict, names: dict[Path, bytes], refused: bool, verdict: Verdict) -> None:
    """No record is gone, no file is cut short or gone, and no half of one lies about."""
    after = measured(out)
    verdict.lost += sum(after.get(key) != text for key, text in before.items())
    verdict.lost += sum(not path.exists() for path in names)
    for name in torn_files(out):
        verdict.complaints.append(f"{name} is cut short")
    histories = [path for path in names if path.name == "history.csv"]
    for path in histories:
        verdict.lost += not set(names[path].splitlines()) <= set(path.read_bytes().splitlines())
    litter = [path.name for path in out.rglob(".*") if path.name != ".lock"]
    verdict.complain_unless(not litter, f"left behind: {', '.join(litter)}")


KIND = Kind("full disk", len(PLAN), inflict)
