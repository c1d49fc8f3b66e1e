"""What a newcomer asks: each question is answered on the page of the committed records, within two clicks, rightly.

A click opens a topic, searches a table or chooses something; what must be read then is computed from the records.
"""

import re

import pytest

from tests.browser.test_page import container, shown_table


@pytest.fixture
def committed(written, opened):
    if "committed" not in str(written):
        pytest.skip("the questions are about what is committed")
    return opened()


def topic_of(page, heading):
    """One click: the topic in the menu, which leads to the machine that measured it; its text."""
    page.locator(f"nav#sections a:text-is('{heading}')").click()
    shown_table(page, heading)
    return page.locator("section.machine:not([hidden]) details.topic[open]").first.inner_text()


def searched(page, heading, word):
    """Two clicks: the topic, and a word in the search of its first table; the rows that are left."""
    topic_of(page, heading)
    table = shown_table(page, heading)
    container(table).get_by_role("searchbox").fill(word)
    rows = [" ".join(row.split()) for row in table.locator("tbody tr").all_inner_texts()]
    assert rows and "no row" not in rows[0]
    return rows


def train_with(page, labels, framework):
    """Two clicks: so many labels, and the framework; the candidates."""
    box = page.locator("section:not([hidden]) .candidates")
    box.locator("select[name=labels]").select_option(label=labels)
    box.locator("select[name=in]").select_option(framework)
    box.evaluate("box => box.scrollIntoView()")
    return [row.inner_text() for row in box.locator("tbody tr:not([hidden])").all()]


ATLAS = "The atlas: which higher derivatives of the frameworks are right"
COST = r"[\d.]+ ms · [≈? ]*[\d.]+ ×"


@pytest.mark.parametrize("number", range(4))
def test_the_four_answers_need_no_click(committed, number):
    """Does it hold? Would a mistake be noticed? What does it cost? What does it bring?"""
    tile = committed.locator("section:not([hidden]) figure.tile").nth(number)
    words = ("claims hold", "planted mistake", "FGM [\\d.]+–[\\d.]+", "comparisons with plain training")
    assert re.search(words[number], tile.inner_text()) and tile.locator("svg").is_visible()


def test_where_was_it_measured(committed):
    said = committed.locator("section:not([hidden]) .line").first.inner_text()
    assert re.search(r"torch \d.*jax \d.*tensorflow.* \d.*cores.*commit \w+.*\d{4}-\d\d-\d\d", said)


def test_is_something_wrong(committed):
    line = committed.locator("section:not([hidden]) .line").first
    if "no cell is wrong" in line.inner_text():
        return
    line.locator("a").click()
    committed.locator("section:not([hidden]) details.topic[open] td.bad").first.wait_for(state="attached")


@pytest.mark.parametrize("framework", ["torch", "jax", "tensorflow"])
def test_what_for_a_thousand_texts_and_what_does_it_cost(committed, framework):
    found = train_with(committed, "1000 texts (reviews)", framework)
    assert 1 <= len(found) <= 3
    assert all(re.search(r"\+[\d.]+ \(\+[\d.]+ to \+[\d.]+\)\s+[\d.]+ in \w+", row) for row in found)
    assert {"torch": "step = ", "jax": "objective = ", "tensorflow": "_training(model"}[framework] in " ".join(found)


def test_what_for_a_hundred_images(committed):
    assert all(
        "texts" not in row and '"embedding"' not in row for row in train_with(committed, "100 images (digits)", "torch")
    )


def test_pgd_in_xla_beside_compiled_pytorch(committed):
    rows = searched(committed, "Cost", "pgd-10")
    for framework, mode in (("torch", "compiled"), ("tensorflow", "xla"), ("jax", "jit")):
        named = rf"{framework} {mode} (float32 )?pgd-10"  # where all are of float32, that has no column
        assert any(re.search(named, row) and re.search(COST, row) for row in rows), framework


def test_does_label_smoothing_help(committed):
    """The tile leads to the machine that trained."""
    committed.locator("figure.tile a", has_text="Gain against cost").click()
    table = shown_table(committed, "What it does for a model")
    container(table).get_by_role("searchbox").fill("label smoothing")
    rows = table.locator("tbody tr").all_inner_texts()
    assert rows and all(re.search(r"better|worse|no difference shown", row) for row in rows)


def test_which_step_is_the_default(committed):
    topic = topic_of(committed, "What half precision leaves")
    assert "default step" in topic and "√u" in topic and "radius has no default" in topic


def test_how_much_memory_does_vat_need(committed):
    rows = searched(committed, "Before a step is fast, and memory", "vat")
    table = shown_table(committed, "Before a step is fast, and memory")
    place = [name.strip() for name in table.locator("thead th").all_inner_texts()].index("in steps MiB")
    assert len(rows) > 1 and all(
        int(held) > 0 for held in table.locator(f"td:nth-child({place + 1})").all_inner_texts()
    )


def test_what_does_a_large_bert_cost(committed):
    topic = topic_of(committed, "Cost")
    assert "bert-base" in topic, "its cost, or that it was not measured"


def test_do_frameworks_agree_on_a_product_with_the_hessian(committed):
    assert any(
        row.startswith("hvp") and "holds" in row for row in searched(committed, "Agreement with the oracle", "hvp")
    )


def test_what_is_a_unit(committed):
    topic = topic_of(committed, "Agreement with the oracle")
    assert "A rounding unit is" in topic and "condition is" in topic


def test_which_derivatives_of_pytorch_are_wrong(committed):
    committed.locator("#filters select[name=framework]").select_option("torch")
    topic_of(committed, ATLAS)
    table = shown_table(committed, ATLAS)
    assert {row.split()[0] for row in table.locator("tbody tr").all_inner_texts()} == {"torch"}


def test_how_is_a_number_measured_again(committed):
    topic_of(committed, "Cost")
    shown_table(committed, "Cost").locator("tbody button").first.click()
    dialog = committed.locator("dialog#record")
    dialog.wait_for(state="visible")
    assert "python -m bench time" in dialog.inner_text()


def test_whose_code_made_a_mistake(committed):
    """A search for the package, in the table of every mistake, on the machine that is chosen first or on another."""
    for machine in range(committed.locator("section.machine").count()):
        committed.locator("select#machine").select_option(index=machine)
        topic = committed.locator("section:not([hidden]) details.topic:has(> summary > h2:text-is('Planted mistakes'))")
        topic.locator("summary").first.click()
        topic.locator("details summary").click()
        if box := topic.locator("details").get_by_role("searchbox").all():
            box[0].fill("cleverhans fast_gradient_method.py")
            found = topic.locator("details td a[href='https://github.com/cleverhans-lab/cleverhans']")
            if found.count():
                assert found.first.is_visible()
                return
    raise AssertionError("no machine's page leads to the code")
