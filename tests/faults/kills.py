"""Kills of a command or of one of its workers, by every usual signal, at random moments of its run.

What was stored before stays, to the byte; what is stored is whole and there once; workers end with their parent.
"""

import functools
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from bench.check.template import TEMPLATES
from bench.records.store import FILES, read
from tests.faults.harness import (
    Command,
    Kind,
    Verdict,
    a_folder,
    generator,
    measured,
    run,
    torn_files,
    write_results,
)

FRAMEWORK = "torch"
COMMANDS = {  # with what each takes about, in seconds on a quiet core: moments are drawn from that
    "verify": (["verify", "--quick", "--claim", "C6", "--claim", "A4", "--framework", FRAMEWORK], 9.0),
    "time": (["time", "--quick", "--framework", FRAMEWORK, "--workload", "digits-mlp batch=8 width=16"], 9.0),
    "train": (["train", "--quick", "--framework", FRAMEWORK, "--regime", "plain", "--regime", "fgm"], 14.0),
    "report": (["report"], 5.0),
    "merge": (["merge", "first", "second"], 3.0),
    "check": (["check", "mine.py", "--json", "mine.json", "--html", "mine.html"], 15.0),
    "atlas": (["atlas", "--framework", FRAMEWORK, "--operation", "F.layer_norm", "--mode", "eager"], 9.0),
    "precision": (["precision", "--framework", FRAMEWORK, "--workload", "digits-mlp", "--dtype", "bfloat16"], 12.0),
    "published": (["published", "--framework", FRAMEWORK, "--package", "torch F.normalize"], 9.0),
}
PARENT = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
WORKER = (signal.SIGKILL, signal.SIGSEGV)
EXPECTED = {  # exit statuses: by the signal, in order, or it was over already
    signal.SIGKILL: {-signal.SIGKILL},
    signal.SIGTERM: {130, -signal.SIGTERM},
    signal.SIGHUP: {-signal.SIGHUP},
    signal.SIGINT: {130, -signal.SIGINT},  # before Python hears any signal
}
OFTEN = ("report", "merge")  # each signal twice
NO_WORKERS = ("report", "merge")
NO_FOLDER = ("check",)  # that stores nothing
PLAN = [
    (command, who, number)
    for command in COMMANDS
    for who, numbers in (("parent", PARENT), ("worker", () if command in NO_WORKERS else WORKER))
    for number in numbers
    for _ in range(2 if command in OFTEN else 1)
]


def inflict(number: int, seed: int) -> Verdict:
    command, who, with_signal = PLAN[number % len(PLAN)]
    words, seconds = COMMANDS[command]
    moment = generator(seed, "kills", number).uniform(0.1, seconds)
    verdict = Verdict(f"{command}: {who} gets {with_signal.name} after {moment:.1f} s")
    with a_folder() as folder:
        out = folder / "out"
        prepare(folder, out, command)
        before = measured(out)
        words = [*words, *([] if command in NO_FOLDER else ["--out", str(out)])]
        started = Command(words, folder, on_one_core(number) if number % 2 else None)  # with one worker, or with more
        time.sleep(moment)
        struck = strike(started, who, with_signal)
        ended = started.end()
        over = {0, 1, 2} if command == "check" and who == "worker" else {0, 1}  # without a worker nothing is known
        expected = over if not struck or who == "worker" else over | EXPECTED[with_signal]
        ended.judge(verdict, expected)
        look(out, before, verdict)
        verdict.complaints += [f"{name} is cut short" for name in torn_files(folder) if name.startswith("mine")]
        if command == "verify" and number % 4 == 0 and verdict.survived:
            go_on(folder, words, verdict)
    return verdict


def on_one_core(number: int) -> Callable[[], None] | None:
    """What keeps a command to one of the cores, where a system can."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    return functools.partial(os.sched_setaffinity, 0, {cores[number // 2 % len(cores)]})


def prepare(folder: Path, out: Path, command: str) -> None:
    """Results that are there before, and what a merge takes."""
    write_results(out, with_report=command == "report")
    if command == "merge":
        for name in ("first", "second"):
            write_results(folder / name, with_report=False)
    if command == "check":
        (folder / "mine.py").write_text(TEMPLATES[FRAMEWORK])


def strike(started: Command, who: str, with_signal: signal.Signals) -> bool:
    """Send the signal; whether there was a process to get it."""
    victims = [psutil.Process(started.process.pid)] if who == "parent" else started.workers()
    for victim in victims[:1]:
        try:
            if victim.status() != psutil.STATUS_ZOMBIE:
                victim.send_signal(with_signal)
                return True
        except psutil.Error:
            pass
    return False


def look(out: Path, before: dict, verdict: Verdict) -> None:
    """Nothing that was there is gone, half written, or there twice."""
    after = measured(out)
    verdict.lost += sum(after.get(key) != text for key, text in before.items())
    for path in out.glob(FILES):
        records, problems = read(path)
        lines = path.read_bytes().count(b"\n")
        last = [problem for problem in problems if f":{lines + 1}: " in problem]
        verdict.complain_unless(len(problems) == len(last), f"damaged lines: {problems[:2]}")
        told = [record.model_dump_json() for record in records if record.kind != "environment"]
        verdict.complain_unless(len(told) == len(set(told)), "a record is there twice")
    for name in torn_files(out):
        verdict.complaints.append(f"{name} is cut short")


def go_on(folder: Path, words: list[str], verdict: Verdict) -> None:
    """The same command with --resume measures the rest, and no command is in its way."""
    shutil.rmtree(folder / "tmp", ignore_errors=True)
    ended = run([*words, "--resume"], folder)
    ended.judge(verdict, {0})
    found = [key for key in measured(folder / "out") if key[0] == "claim" and key[1] in ("C6", "A4")]
    verdict.complain_unless(bool(found), "nothing is measured after --resume")


KIND = Kind("kills", len(PLAN), inflict)
