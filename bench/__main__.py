"""`python -m bench`, and where it is installed the command `equireg`."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy only checks here: it must not take the workers' cores

import io
import sys

INSTALL = "python -m pip install -c constraints.txt --group run --group data --group report"


def main() -> None:
    """Run the command line; where a package is missing that all of it needs, say which one."""
    try:
        from bench.commands.app import app
    except KeyboardInterrupt:  # in the first seconds, while packages are read
        raise SystemExit(130) from None
    except ModuleNotFoundError as error:
        name = str(error.name).partition(".")[0]
        print(
            f"error: the package {name} is not installed. What installs all that is needed: {INSTALL}", file=sys.stderr
        )
        raise SystemExit(2) from None
    for stream in (sys.stdout, sys.stderr):  # a file's name that is no text, or a terminal that knows few characters
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="python -m bench")
    except KeyboardInterrupt:  # while the options are read, before any command hears it
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
