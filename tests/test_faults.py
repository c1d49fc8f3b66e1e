"""The faults that users can repeat: as many as promised, each the same by its number; and what judges them sees."""

import os
import signal
import subprocess
import sys

import pytest

if os.name == "nt":
    pytest.skip("signals, forks and limits of another system", allow_module_level=True)

from tests.faults import damaged, kills, texts
from tests.faults.harness import MARK, Ended, Verdict, a_folder, lines_of, marked, some_records, torn_files, write_store
from tests.faults.kinds import KINDS

PROMISED = {"kills": 36, "foreign files": 60, "command lines": 60, "damaged records": 1000, "wrong values": 500}


def test_there_are_as_many_as_promised():
    assert {name: KINDS[name].count >= count for name, count in PROMISED.items()} == dict.fromkeys(PROMISED, True)
    assert len(texts.TEXTS) >= 20 and set(kills.OFTEN) <= {plan[0] for plan in kills.PLAN}


def test_a_fault_is_the_same_by_its_number():
    assert damaged.inflict(31, 5).what == damaged.inflict(31, 5).what


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        (Ended(None, "", 1.0, []), "no end"),
        (Ended(70, "", 1.0, []), "exit status 70"),
        (Ended(0, "", 1.0, ["12 (sleep)"]), "outlived by 12"),
        (Ended(0, "x\nTraceback (most recent call last):\n", 1.0, []), "Traceback"),
    ],
)
def test_what_does_not_end_in_order_is_seen(ended, words):
    verdict = Verdict("a fault")
    ended.judge(verdict, {0})
    assert not verdict.survived and words in " ".join(verdict.complaints)


@pytest.mark.parametrize(
    ("said", "survived"),
    [
        ("interrupted", True),
        ('Traceback (most recent call last):\n  File "<frozen runpy>", line 189, in _x\nKeyboardInterrupt\n', True),
        ('Traceback (most recent call last):\n  File "/a/bench/x.py", line 1, in _x\nKeyboardInterrupt\n', False),
    ],
)
def test_what_ends_in_order_survives(said, survived):
    """Python's own traceback, of Ctrl-C before it has found the command, is no traceback of ours."""
    verdict = Verdict("a fault")
    Ended(130, said, 1.0, []).judge(verdict, {130})
    assert verdict.survived == survived


def test_a_lost_record_and_a_torn_page_are_seen():
    with a_folder() as folder:
        lines, verdict = lines_of(some_records(1)), Verdict("a fault")
        out = folder / "out"
        write_store(out, lines)
        before = kills.measured(out)
        (out / "here" / "records.jsonl").write_text("\n".join(lines[:-1]) + "\n")
        (out / "index.html").write_text("<html>")
        kills.look(out, before, verdict)
        assert verdict.lost == 1 and torn_files(out) == ["index.html"] and "cut short" in verdict.complaints[0]


def test_a_process_that_is_left_behind_is_found():
    environment = os.environ | {MARK: "a mark of this test"}
    with subprocess.Popen([sys.executable, "-c", "input()"], env=environment, stdin=subprocess.PIPE) as process:
        assert [each.pid for each in marked("a mark of this test")] == [process.pid]
        process.send_signal(signal.SIGKILL)
    assert marked("a mark of this test") == []
