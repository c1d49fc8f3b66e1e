"""The page as people use it, in a real browser: from disk, with the keyboard, on a phone, in the dark, on paper."""

import shutil
from pathlib import Path

import pytest

from bench.records.store import FILES
from bench.report import page as pages
from tests.browser import chromium
from tests.report.made import cost_records, of_every_kind, store

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: tox -e page")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed: tox -e page")

ROOT = Path(__file__).parents[2]
COMMITTED = sorted((ROOT / "results").glob(FILES))
SIZES = {"desk": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        try:
            found = started.chromium.launch(executable_path=chromium.path(), args=chromium.ARGUMENTS)
        except playwright.Error as error:
            pytest.skip(f"no browser can be started: {str(error).splitlines()[0]}")
        yield found
        found.close()


@pytest.fixture(scope="module", params=["made", "committed"])
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


def shown_table(page, heading):
    """The first table below a heading, brought into view."""
    table = page.locator(f"section:not([hidden]) h2:text-is('{heading}') ~ .scroll table").first
    table.evaluate("table => table.closest('.scroll').scrollIntoView()")  # far from the screen nothing is laid out
    page.wait_for_function(
        "table => table.classList.contains('dataTable') && table.innerText", arg=table.element_handle()
    )
    return table


def container(table):
    """What DataTables puts around a table: search, pages, how many rows."""
    return table.locator("xpath=ancestor::div[contains(@class, 'dt-container')][1]")


def column(table, number):
    return [cell.strip() for cell in table.locator(f"tbody tr td:nth-child({number})").all_inner_texts()]


def test_a_table_is_sorted_by_its_numbers(opened):
    page = opened()
    table = shown_table(page, "Cost")
    names = [name.strip() for name in table.locator("thead th").all_inner_texts()]
    place = names.index("cost") + 1
    for word, reverse in (("ascending", False), ("descending", True)):
        table.locator(f"thead th:nth-child({place})").click()
        table.locator(f"thead th:nth-child({place})[aria-sort='{word}']").wait_for()
        found = [float(text.split()[0]) for text in column(table, place) if text[:1].isdigit()]
        assert len(found) > 1 and found == sorted(found, reverse=reverse), word


def test_a_table_is_searched(opened):
    page = opened()
    table = shown_table(page, "Cost")
    container(table).get_by_role("searchbox").fill("fgm")
    rows = table.locator("tbody tr").all_inner_texts()
    assert rows and all("fgm" in row for row in rows)


def test_a_selector_acts_on_all_tables(opened):
    page = opened()
    page.locator("#filters select[name=mode]").select_option("compiled")
    table = shown_table(page, "Cost")
    names = [name.strip() for name in table.locator("thead th").all_inner_texts()]
    assert set(column(table, names.index("mode") + 1)) == {"compiled"}
    assert page.locator("#chosen").inner_text() == "mode: compiled"


def test_a_framework_alone_has_its_own_columns(opened):
    page = opened()
    page.locator("#filters select[name=framework]").select_option("torch")
    names = [name.strip() for name in shown_table(page, "Claims").locator("thead th").all_inner_texts()]
    assert "torch" in names and "jax" not in names and "tensorflow" not in names


def test_a_cell_opens_its_records_by_keyboard(opened):
    page = opened()
    table = shown_table(page, "Cost")
    table.locator("tbody button").first.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog#record")
    dialog.wait_for(state="visible")
    if not dialog.locator("details[open]").count():  # one record alone is open already
        dialog.locator("summary").first.click()
    text = dialog.inner_text()
    assert "python -m bench time" in text and "environment" in text and "steps" in text
    page.keyboard.press("Escape")
    assert not dialog.is_visible()


def test_every_internal_link_leads_somewhere(opened):
    page = opened()
    links = page.locator("main a[href^='#'], nav a[href^='#']")
    assert links.count() > 5
    for number in range(links.count()):
        target = links.nth(number).get_attribute("href")
        assert page.locator(f"[id='{target[1:]}']").count() == 1, target
    page.locator("nav a").last.click()
    assert page.evaluate("location.hash").startswith("#")


def test_one_machine_at_a_time(opened, written):
    if "made" not in str(written):
        pytest.skip("one machine")
    page = opened()
    page.locator("#machine").select_option("1")
    assert [name.strip() for name in page.locator("section.machine:not([hidden]) .name").all_inner_texts()] == ["here"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_nothing(opened, size, scheme):
    page = opened(size, scheme)
    shown_table(page, "Cost")
    found = axe.Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    told = [(each["id"], each["help"], [node["target"] for node in each["nodes"]][:3]) for each in found]
    assert told == []


def test_the_dialog_is_clean_too(opened):
    page = opened()
    shown_table(page, "Cost").locator("tbody button").first.click()
    page.locator("dialog#record").wait_for(state="visible")
    found = axe.Axe().run(page, context="#record").response["violations"]
    assert [(each["id"], each["help"]) for each in found] == []


def test_a_phone_scrolls_down_only(opened):
    page = opened("phone")
    wide = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    assert not wide


def test_paper_has_every_row(opened):
    page = opened()
    table = shown_table(page, "Agreement with the oracle")
    said = container(table).locator(".dt-info").inner_text()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert table.locator("tbody tr").count() == int(said.split()[0])


def test_without_scripts_everything_is_there(opened, browser, written):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(written.as_uri())
    assert page.locator("h2", has_text="Claims").first.is_visible() and page.locator("table").count() > 10
    context.close()
