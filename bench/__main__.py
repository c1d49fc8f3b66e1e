"""`python -m bench`."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy only checks here: it must not take the workers' cores

from bench.cli import app

app(prog_name="python -m bench")
