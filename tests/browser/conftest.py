"""A browser, and the page opened in it: whatever it asks the network for, or complains of, fails the test."""

import shutil
from pathlib import Path

import pytest

from bench.records.store import FILES
from bench.report import page as pages
from tests.browser import chromium
from tests.report.made import cost_records, of_every_kind, store

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: tox -e page")

ROOT = Path(__file__).parents[2]
COMMITTED = sorted((ROOT / "results").glob(FILES))
SIZES = {"desk": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}


@pytest.fixture(scope="session")
def browser():
    with playwright.sync_playwright() as started:
        try:
            found = started.chromium.launch(executable_path=chromium.path(), args=chromium.ARGUMENTS)
        except playwright.Error as error:
            pytest.skip(f"no browser can be started: {str(error).splitlines()[0]}")
        yield found
        found.close()


@pytest.fixture(scope="session", params=["made", "committed"])
def written(request, tmp_path_factory):
    """A page of two machines made by hand, and that of the records in this repository."""
    out = tmp_path_factory.mktemp(request.param)
    if request.param == "committed":
        for path in COMMITTED:
            (out / path.parent.name).mkdir()
            shutil.copy(path, out / path.parent.name)
        if not COMMITTED:
            pytest.skip("no records are committed")
    else:
        made = [*of_every_kind(), *cost_records("fgm", [2.0] * 3, mode="compiled", workload="cnn")]
        for steps in range(2, 8):
            made += cost_records(f"pgd-{steps}", [steps + 1.0] * 3, mode="compiled")
        store(out, made)
        (out / "here").rename(out / "elsewhere")
        store(out, made)
    pages.write(out)
    return out / "index.html"


@pytest.fixture
def opened(browser, written):
    """Opens the page; whatever it asks the network for, or complains of, fails the test."""
    complaints, contexts = [], []

    def open_page(size="desk", scheme="light", **options):
        context = browser.new_context(viewport=SIZES[size], color_scheme=scheme, **options)
        contexts.append(context)
        found = context.new_page()
        found.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        found.on("pageerror", lambda error: complaints.append(str(error)))
        found.on(
            "request",
            lambda asked: None if asked.url.startswith(("file:", "data:", "blob:")) else complaints.append(asked.url),
        )
        found.goto(written.as_uri())
        found.wait_for_function("document.documentElement.dataset.ready === 'yes'")
        return found

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
