"""Other people's files that fork, flood, patch, seed, hang, exit and leave things behind: a verdict in words, no more.

A file may spoil its own process; the run that holds it to the claims goes on, ends, and leaves no process behind.
"""

# ruff: noqa: E501 - a program a line

import textwrap

from tests.faults.harness import Kind, Verdict, a_folder, run

WRONG, REFUSED, RIGHT = {1}, {2}, {0}
GOOD = "import torch\ndef {name}(loss, x, *, radius, norm='l2', scope='sample'):\n"
RULE = "    from impls.torch.adversarial import fgm as right\n    return right(loss, x, radius=radius, norm=norm, scope=scope)\n"

IMPORTED = {  # what a file does when it is imported, and with which status that may end
    "nothing": ("", RIGHT | WRONG),
    "sys.exit": ("import sys; sys.exit(0)", REFUSED),
    "os._exit": ("import os; os._exit(0)", REFUSED),
    "an exception": ("raise RuntimeError('[red]no[/]')", REFUSED),
    "a syntax error": ("def f(:", REFUSED),
    "a null byte": ("x = '\0'", REFUSED),
    "SIGKILL": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", REFUSED),
    "SIGTERM": ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", REFUSED),
    "SIGSEGV": ("import ctypes; ctypes.string_at(0)", REFUSED),
    "SIGSTOP of none": ("import os, signal; os.kill(os.getpid(), 0)", RIGHT | WRONG),
    "a parent's SIGHUP is its own": ("import os, signal; signal.raise_signal(signal.SIGHUP)", REFUSED),
    "a flood on standard output": ("for _ in range(20000): print('x' * 1000)", RIGHT | WRONG),
    "a flood on standard error": ("import sys\nfor _ in range(20000): print('x' * 1000, file=sys.stderr)", RIGHT | WRONG),
    "a flood by the system's call": ("import os\nfor _ in range(2000): os.write(1, b'x' * 10000)", RIGHT | WRONG),
    "forged events": ("import os\nfor fd in range(1, 20):\n    try: os.write(fd, b'{\"event\": \"done\", \"number\": 0, \"status\": \"ok\"}\\n')\n    except OSError: pass", RIGHT | WRONG),
    "closed standard output": ("import os; os.close(1)", RIGHT | WRONG | REFUSED),
    "closed everything": ("import os; os.closerange(0, 100)", WRONG | REFUSED),
    "a fork that lives on": ("import os, time\nif os.fork() == 0: time.sleep(3000)", RIGHT | WRONG),
    "a fork that goes on": ("import os; os.fork()", RIGHT | WRONG | REFUSED),
    "a fork in a session of its own": ("import os, time\nif os.fork() == 0:\n    os.setsid(); time.sleep(3000)", RIGHT | WRONG),
    "many forks": ("import os, time\nfor _ in range(20):\n    if os.fork() == 0: time.sleep(3000)", RIGHT | WRONG),
    "a pool of processes": ("import multiprocessing as m\np = m.get_context('fork').Pool(2); print(p.map(abs, [1]))", RIGHT | WRONG | REFUSED),
    "a program that lives on": ("import subprocess; subprocess.Popen(['sleep', '3000'])", RIGHT | WRONG),
    "a thread that lives on": ("import threading, time\nthreading.Thread(target=time.sleep, args=(3000,)).start()", RIGHT | WRONG | REFUSED),
    "a daemon thread": ("import threading, time\nthreading.Thread(target=time.sleep, args=(3000,), daemon=True).start()", RIGHT | WRONG),
    "an exit handler that hangs": ("import atexit, time; atexit.register(time.sleep, 3000)", RIGHT | WRONG | REFUSED),
    "an exit handler that raises": ("import atexit\n@atexit.register\ndef f(): raise RuntimeError('late')", RIGHT | WRONG),
    "another folder": ("import os; os.chdir('/')", RIGHT | WRONG),
    "a folder that is gone": ("import os, tempfile\nd = tempfile.mkdtemp(); os.chdir(d); os.rmdir(d)", RIGHT | WRONG | REFUSED),
    "an empty environment": ("import os; os.environ.clear()", RIGHT | WRONG),
    "no limit of recursion": ("import sys; sys.setrecursionlimit(10**8)\ndef f(n): return f(n + 1)\nf(0)", REFUSED),
    "recursion": ("def f(n): return f(n + 1)\nf(0)", REFUSED),
    "a huge allocation": ("x = bytearray(1 << 60)", REFUSED),
    "a hang": ("import time; time.sleep(3000)", REFUSED),
    "a hang that hears no signal": ("import signal, time\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\nsignal.setitimer(signal.ITIMER_REAL, 0)\nwhile True: pass", REFUSED),
    "torch is another": ("import sys; sys.modules['torch'] = None", WRONG | REFUSED),
    "numpy is patched": ("import numpy; numpy.abs = lambda *a, **k: 0", WRONG | REFUSED),
    "builtins are patched": ("import builtins; builtins.abs = lambda x: 0", WRONG | REFUSED),
    "the judge is patched": ("import equivalence.measure as m\nfor n in list(vars(m)):\n    if callable(getattr(m, n)): setattr(m, n, lambda *a, **k: {})", WRONG | REFUSED),
    "json is patched": ("import json; json.dumps = lambda *a, **k: '{}'", WRONG | REFUSED),
    "the output is another": ("import sys, io; sys.stdout = io.StringIO(); sys.stderr = None", RIGHT | WRONG),
    "a seed": ("import torch, random; torch.manual_seed(0); random.seed(0)", RIGHT | WRONG),
    "float64 as the default": ("torch_ = __import__('torch'); torch_.set_default_dtype(torch_.float64)", RIGHT | WRONG),
    "no gradients": ("import torch; torch.set_grad_enabled(False)", RIGHT | WRONG),
    "its temporary folder is gone": ("import shutil, tempfile; shutil.rmtree(tempfile.gettempdir(), ignore_errors=True)", RIGHT | WRONG | REFUSED),
    "every warning is an error": ("import warnings; warnings.simplefilter('error')", RIGHT | WRONG),
    "a tracer": ("import sys; sys.settrace(lambda *a: None)", RIGHT | WRONG),
}  # fmt: skip
CALLED = {  # what its function does instead
    "sys.exit": "import sys; sys.exit(3)",
    "os._exit": "import os; os._exit(3)",
    "SIGKILL": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "SIGSEGV": "import ctypes; ctypes.string_at(0)",
    "a fork that goes on": "import os; os.fork(); return x",
    "a fork that lives on": "import os, time\nif os.fork() == 0: time.sleep(3000)\nreturn x",
    "KeyboardInterrupt": "raise KeyboardInterrupt",
    "GeneratorExit": "raise GeneratorExit",
    "recursion": "return fgm(loss, x, radius=radius)",
    "a huge allocation": "import torch; return torch.zeros(1 << 50)",
    "a hang": "import time; time.sleep(3000)",
    "a flood": "for _ in range(3000): print('x' * 1000)\nreturn x",
    "None": "return None",
    "text": "return '[/red]'",
    "NaN": "return x * float('nan')",
    "closed files": "import os; os.closerange(3, 100); return x",
    "an exception that cannot be said": "class E(Exception):\n    def __str__(self): raise ValueError\nraise E",
}
PLAN = [("imported", name) for name in IMPORTED] + [("called", name) for name in CALLED]


def inflict(number: int, seed: int) -> Verdict:
    when, name = PLAN[number % len(PLAN)]
    verdict = Verdict(f"{name}, when it is {when}")
    with a_folder() as folder:
        path = folder / "own [red]file.py"
        path.write_text(text(when, name), encoding="utf-8")
        words = ["verify", "--impl", str(path), "--framework", "torch", "--claim", "C6", "--quick"]
        ended = run([*words, "--json", str(folder / "records.json")], folder)
        ended.judge(verdict, IMPORTED[name][1] if when == "imported" else WRONG)
        if ended.status == 2:
            verdict.complain_unless("error:" in ended.said, "no word of why it is refused")
        if when == "called" and ended.status == 1:
            verdict.complain_unless("fgm" in ended.said, "the function is not named")
    return verdict


def text(when: str, name: str) -> str:
    """The file: right but for what it does when it is imported, or wrong in what its function does."""
    head = GOOD.format(name="fgm")
    if when == "imported":
        return f"{IMPORTED[name][0]}\n{head}{RULE}"
    return head + textwrap.indent(CALLED[name], "    ") + "\n"


KIND = Kind("foreign files", len(PLAN), inflict)
