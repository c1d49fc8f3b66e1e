"""A Chromium for tests of the page: the one that EQUIREG_CHROMIUM names, one on the PATH, or Playwright's own.

Run as a script it has Playwright fetch its own where there is none of the others.
"""

import os
import shutil
import subprocess
import sys

# No word to hosts of its maker; as root in a container there is no sandbox to be had.
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip


def path() -> str | None:
    """Of a browser that is there already; None: Playwright's own is to be used."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("EQUIREG_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


if __name__ == "__main__" and not path():
    subprocess.run([sys.executable, "-m", "playwright", "install", "--with-deps", "chromium"], check=True)
