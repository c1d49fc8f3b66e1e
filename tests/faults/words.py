"""Command lines that cannot be used, or that end early: the documented exit status, and words that help."""

import os
import shlex
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

from bench.places import ROOT
from tests.faults.harness import (
    Command,
    Ended,
    Kind,
    Verdict,
    a_folder,
    generator,
    lines_of,
    some_records,
    write_store,
)

T = ["--framework", "torch"]
REFUSED = [  # words, and what must be said; exit status 2
    (["verify", "--claim", "[/red]"], "got '[/red]'"),
    (["verify", "--claim", "Z9"], "nearest"),
    (["verify", "--claim", ""], "got ''"),
    (["verify", "--framework", "theano"], "got 'theano'"),
    (["verify", "--method", "fgmm"], "nearest: fgm"),
    (["verify", "--workload", "nothing"], "got 'nothing'"),
    (["verify", "--device", "tpu"], "got 'tpu'"),
    (["verify", "--shard", "١/٢"], "expected I/N"),
    (["verify", "--shard", "1/10²²"], "expected I/N"),
    (["verify", "--shard", "1/99999999999"], "expected I/N"),
    (["verify", "--shard", "2/1"], "expected I/N"),
    (["verify", "--shard", ""], "expected I/N"),
    (["verify", "--out", ""], "got no name"),
    (["verify", "--out", "/dev/null"], "cannot be written"),
    (["verify", "--out", "/proc/nothing"], "cannot be written"),
    (["verify", "--out", "x" * 300], "error: "),
    (["verify", "--json", "/proc/nothing/x.json", *T], "cannot be written"),
    (["verify", "--json", ".", *T], "is a folder"),
    (["verify", "--executor", "slurm"], "got 'slurm'"),
    (["verify", "--memory-limit", "-1"], "--memory-limit"),
    (["verify", "--memory-limit", "much"], "--memory-limit"),
    (["verify", "--wait", "-1"], "--wait"),
    (["verify", "--impl", "nowhere.py", *T], "cannot be read"),
    (["verify", "--impl", ".", *T], "expected a Python file"),
    (["verify", "--impl", "x.txt", *T], "expected a Python file"),
    (["verify", "--impl", "nowhere.py"], "exactly one --framework"),
    (["verify", "--nothing"], "No such option"),
    (["verify", "C1"], "unexpected extra argument"),
    (["vrify"], "No such command"),
    (["template"], "exactly one --framework"),
    (["template", "--framework", "mxnet"], "got 'mxnet'"),
    (["mutants", "--mutant", "no such mistake"], "got 'no such mistake'"),
    (["variations", "--count", "0"], "--count"),
    (["variations", "--seed", "-1"], "--seed"),
    (["time", "--workload", "digits-mlp batch=3 batch=4"], "each size once"),
    (["time", "--workload", "digits-mlp batch=0"], "at least 1"),
    (["time", "--workload", "digits-mlp batch=٣"], "at least 1"),
    (["time", "--workload", "digits-mlp batch=1e3"], "at least 1"),
    (["time", "--workload", "digits-mlp depth=3"], "expected some of"),
    (["time", "--workload", "digits-mlp  "], "workload"),
    (["time", "--mode", "fastest"], "got 'fastest'"),
    (["time", "--blocks", "0"], "--blocks"),
    (["time", "--checkpoint", "nowhere", *T], "nowhere"),
    (["grow", "--sweep", "time"], "got 'time'"),
    (["peers", "--task", "chess"], "got 'chess'"),
    (["selfcheck", "--runs", "0"], "--runs"),
    (["train", "--dataset", "mnist"], "got 'mnist'"),
    (["train", "--regime", "[bold]x"], "got '[bold]x'"),
    (["train", "--seeds", "1"], "--seeds"),
    (["train", "--clue", "nowhere"], "need each other"),
    (["train", "--clue", "nowhere", "--checkpoint", "nowhere"], "not found"),
    (["train", "--encoding", "klingon", "--clue", "clue", "--checkpoint", "clue"], "--encoding"),
    (["merge", "nowhere", "--out", "merged"], "expected a folder of results"),
    (["merge"], "Missing"),
    (["compact", "--out", "nowhere"], "expected a folder of results"),
    (["report", "--out", "/dev/null"], "expected a folder of results"),
    (["export", "tables", "--format", "xlsx"], "got 'xlsx'"),
    (["export", "tables", "--out", "nowhere"], "no such folder"),
    (["compare", "nowhere", "nowhere"], "nowhere"),
    (["compare", "one"], "Missing"),
    (["compare", "\udcff", "full"], "no folder, no file, and no commit"),
    (["compare", "full", "--", "--output=made"], "no folder, no file, and no commit"),
    (["verify", "--impl", "\udcff", *T], "expected a Python file"),
    (["check", "nowhere\udcff.py"], "error: "),
    (["report", "--out", "nowhere"], "expected a folder of results"),
    (["gate", "no such commit"], "no commit of this project"),
    (["precision", "--workload", "[/red]"], "got '[/red]'"),
    (["atlas", "--operation", "[/red]"], "got '[/red]'"),
    (["published", "--package", "[/red]"], "got '[/red]'"),
]
SAID = "said"  # a file with what a command says
LONG = 200  # seconds, in which a command is refused wherever it is
EARLY = ["verify", "time", "train", "report", "merge", "list"]  # that Ctrl-C ends in its first seconds
SHORT = [["list"], ["--help"], ["verify", "--help"]]  # whose reader has enough after a line


def inflict(number: int, seed: int) -> Verdict:
    with a_folder() as folder:
        write_store(folder / "full", lines_of(some_records(1)))
        (folder / "clue").mkdir()
        for name in ("train.json", "dev.json", "labels.json"):
            (folder / "clue" / name).write_text("{}\n")
        number %= COUNT
        if number < len(REFUSED):
            return refused(*REFUSED[number], folder)
        number -= len(REFUSED)
        if number < len(SHORT):
            return cut_short(SHORT[number], folder)
        command = EARLY[(number - len(SHORT)) % len(EARLY)]
        return interrupted(command, generator(seed, "words", number).uniform(0.05, 2.5), folder)


def refused(words: list[str], wanted: str, folder) -> Verdict:
    verdict = Verdict(" ".join(words))
    before = sorted(folder.rglob("*"))
    ended = run_in_a_fork(words, folder)
    ended.judge(verdict, {2})
    verdict.complain_unless(wanted in " ".join(ended.said.split()), f"not said: {wanted!r}, but: {ended.said[-300:]}")
    made = set(folder.rglob("*")) - {*before, folder / SAID}
    verdict.complain_unless(not made, f"made: {', '.join(sorted(map(str, made)))}")
    return verdict


def run_in_a_fork(words: list[str], folder: Path) -> Ended:
    """The command in a copy of this process, which has read all packages: most refusals take less than reading them."""
    from bench.__main__ import main
    from bench.commands import app  # noqa: F401 - read before the fork

    with (folder / SAID).open("w+b") as output:
        child = os.fork()
        if child == 0:
            status = 70  # none that is documented
            try:
                signal.alarm(LONG)
                os.chdir(folder)
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
                sys.stdout = sys.stderr = os.fdopen(1, "w", encoding="utf-8", closefd=False)
                os.environ["COLUMNS"] = "300"
                sys.argv = ["bench", *words]
                main()
            except SystemExit as error:
                status = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(status)
        _, ended = os.waitpid(child, 0)
        output.seek(0)
        return Ended(os.waitstatus_to_exitcode(ended), output.read().decode("utf-8", "replace"), 0.0, [])


def cut_short(words: list[str], folder) -> Verdict:
    """A reader that goes after the first line is no fault."""
    verdict = Verdict(f"{' '.join(words)} | head -1")
    line = shlex.join([sys.executable, "-m", "bench", *words])
    done = subprocess.run(
        ["bash", "-c", f"{line} | head -1 >/dev/null; echo status ${{PIPESTATUS[0]}}"],
        cwd=folder, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    Ended(0, done.stderr, 0.0, []).judge(verdict, {0})
    verdict.complain_unless("status 0" in done.stdout, f"got {done.stdout.strip()}")
    return verdict


def interrupted(command: str, moment: float, folder) -> Verdict:
    verdict = Verdict(f"{command}: Ctrl-C after {moment:.1f} s")
    words = [command, *(["full"] if command == "merge" else [])]
    words += [] if command == "list" else ["--out", str(folder / ("full" if command == "report" else "out"))]
    started = Command(words, folder)
    time.sleep(moment)
    started.process.send_signal(signal.SIGINT)
    # A signal that comes before Python hears any ends it, which is 130 for a shell, too.
    started.end().judge(verdict, {130, 0, -signal.SIGINT})
    return verdict


COUNT = len(REFUSED) + len(SHORT) + 4 * len(EARLY)
KIND = Kind("command lines", COUNT, inflict)
