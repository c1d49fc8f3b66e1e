"""The page as people use it, in a real browser: from disk, with the keyboard, on a phone, in the dark, on paper."""

import itertools

import pytest

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed: tox -e page")


def shown_table(page, heading):
    """The first table below a heading, brought into view."""
    topic = page.locator(f"section:not([hidden]) details.topic:has(> summary > h2:text-is('{heading}'))")
    if not topic.evaluate("topic => topic.open"):
        topic.locator("summary").first.click()
    table = topic.locator(".scroll table").first
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
    text = dialog.inner_text()  # the first is open; what is no list is there, however full the page is
    assert "python -m bench time" in text and "environment" in text and "threads" in text
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")


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


def test_what_one_machine_has_not_measured_leads_to_another_that_has(opened, written):
    """From the menu and from the topic itself; the machine stands in the address then."""
    if "committed" not in str(written):
        pytest.skip("both machines measured the same")
    page = opened()
    shown = page.locator("section.machine:not([hidden])")
    first = shown.get_attribute("aria-label")
    assert shown.locator("p.name").inner_text() == first
    link = shown.locator("a.elsewhere").first
    heading = link.evaluate("link => link.closest('details').querySelector('h2').textContent")
    target = link.get_attribute("href")
    page.locator(f"nav#sections a:text-is('{heading}')").click()
    assert shown.get_attribute("aria-label") != first and "machine=" in page.evaluate("location.search")
    assert page.locator(f"[id='{target[1:]}']").evaluate("heading => heading.closest('details').open")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desk", "phone"])
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


def test_on_a_phone_panels_stand_one_below_the_other(opened, written):
    page = opened("phone")
    figure = page.locator("section.machine:not([hidden]) figure:has(.stacked)").first
    if not figure.count():
        pytest.skip("no figure has two panels")
    figure.evaluate("figure => { figure.closest('details').open = true; figure.scrollIntoView(); }")
    boxes = [view.bounding_box() for view in figure.locator(".stacked svg").all()]
    assert all(above["y"] + above["height"] <= below["y"] for above, below in itertools.pairwise(boxes))
    assert all(box["width"] > 300 for box in boxes) and len(boxes) > 1


def test_a_phone_scrolls_down_only(opened):
    page = opened("phone")
    wide = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    assert not wide


def test_what_is_chosen_stands_in_the_address(opened):
    page = opened()
    page.locator("#filters select[name=mode]").select_option("compiled")
    assert page.evaluate("location.search") == "?mode=compiled"
    page.reload()
    page.wait_for_function("document.documentElement.dataset.ready === 'yes'")
    assert page.locator("#filters select[name=mode]").input_value() == "compiled"
    table = shown_table(page, "Cost")
    names = [name.strip() for name in table.locator("thead th").all_inner_texts()]
    assert set(column(table, names.index("mode") + 1)) == {"compiled"}


def test_a_link_opens_what_is_folded(opened):
    page = opened()
    page.locator("nav a", has_text="Growth").first.click()
    topic = page.locator("section:not([hidden]) details.topic:has(> summary > h2:text-is('Growth'))")
    assert topic.evaluate("topic => topic.open")


def test_every_table_fits_a_desk(opened):
    """At 1,400 pixels, the menu beside them, no table has to be moved sideways."""
    page = opened()
    page.set_viewport_size({"width": 1400, "height": 900})
    page.add_style_tag(content=".scroll { content-visibility: visible !important }")
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    page.locator("#filters select[name=mode]").dispatch_event("change", {"bubbles": True})  # all tables come to life
    wide = page.evaluate(
        """[...document.querySelectorAll("section:not([hidden]) .scroll")]
        .filter((each) => each.scrollWidth > each.clientWidth + 1)
        .map((each) => [...each.querySelectorAll("thead th")].map((head) => head.textContent).join(" | "))"""
    )
    assert wide == []


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
