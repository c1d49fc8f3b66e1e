"""`python -m bench`, and where it is installed the command `equireg`."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy only checks here: it must not take the workers' cores

from bench.cli import app


def main() -> None:
    app(prog_name="python -m bench")


if __name__ == "__main__":
    main()
