"""The page: what is wrong, missing, stale or no number shows as such, and every cell leads to its records."""

import base64
import gzip
import json
import math
import re
import shlex

import numpy as np
import pytest

from bench.places import ROOT
from bench.records.schema import (
    KINDS,
    AtlasRecord,
    ConformanceRecord,
    PeerRecord,
    PrecisionRecord,
    SelfCheckRecord,
    TrainingRecord,
    VariationRecord,
)
from bench.records.store import FILES, latest, read, read_latest
from bench.report import html, page
from bench.report.reproduce import command
from bench.report.tables.entries import BAD, OPEN, Entry, framed, number
from tests.report.made import (
    agreement_record,
    call_record,
    claim_record,
    cold_record,
    cost_record,
    of_every_kind,
    store,
)
from tests.report.many import fill

CELL = {"framework": "torch", "mode": "eager", "workload": "mlp", "status": "ok"}
OTHERS = [  # a record of each kind that `made` has none of
    AtlasRecord(
        operation="F.layer_norm",
        family="normalisations",
        framework="torch",
        mode="eager",
        version="torch 2.13.0",
        status="ok",
    ),
    ConformanceRecord(
        package="foolbox",
        version="foolbox 3.3.4, torch 2.13.0",
        judged_version="3.3.4",
        function="LinfFastGradientAttack",
        method="fgm",
        compared="L∞",
        word="right",
        said="sign g",
        framework="torch",
        status="ok",
    ),
    PrecisionRecord(case="bert", dtype="bfloat16", framework="torch", status="failed", reason="no such product"),
    VariationRecord(framework="torch", seed=3, status="ok"),
    PeerRecord(task="fgm l2", method="foolbox", **CELL),
    SelfCheckRecord(method="plain", **CELL),
    TrainingRecord(dataset="digits-100", regime="fgm", strength=1.0, seed=0, part="test", framework="jax", status="ok"),
]


def written(tmp_path, records):
    store(tmp_path, records)
    page.write(tmp_path)
    return (tmp_path / "index.html").read_text("utf-8")


def unpacked(text):
    packed = re.search(r'id="records">([^<]*)</script>', text)[1]
    return json.loads(gzip.decompress(base64.b64decode(packed)))


def cells(text, word):
    """Cells whose text has the word, with the state that colours them and the records that they open."""
    found = re.findall(
        r'<td[^>]*?(?:class="(?:whole ?)?(\w*)")?>(?:<button type="button" data-records="([\d ]*)">)?([^<]*)', text
    )
    return [(state, numbers, shown) for state, numbers, shown in found if word in shown]


def test_what_is_wrong_missing_stale_or_no_number_shows_as_such(tmp_path):
    nan = agreement_record([math.nan], framework="tensorflow")
    wrong = cost_record("vat", status="wrong", reason="off by 40 units")
    text = written(tmp_path, [*of_every_kind(), nan, wrong])
    assert any(state == "bad" for state, _, _ in cells(text, "wrong: off by 40 units"))
    assert any(state == "bad" for state, _, _ in cells(text, "timeout"))
    assert any(state == "open" for state, _, _ in cells(text, "not measured"))
    assert any(state == "open" and "†" in shown for state, _, shown in cells(text, "holds"))
    assert cells(text, "nan · nan")
    assert "records were made with other code" in text


def test_every_cell_of_a_measurement_opens_its_records(tmp_path):
    made = of_every_kind()
    text = written(tmp_path, made)
    records = unpacked(text)["records"]
    behind = [[records[int(number)] for number in numbers.split()] for _, numbers, _ in cells(text, " ms · ")]
    [blocks] = [each for each in behind if each[0]["method"] == "fgm"]
    assert [block["block"] for block in blocks] == [0, 1, 2]
    assert blocks[0]["steps"] == made[-4].steps and blocks[0]["again"].startswith("python -m bench time")
    assert unpacked(text)["environments"]["e1"]["cpu"] == "a CPU"


def test_the_page_needs_nothing_else(tmp_path):
    text = written(tmp_path, of_every_kind())
    assert not re.search(r'(src|href)="(https?:)?//', text)
    assert "import(" not in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    targets = re.findall(r'href="#([^"]+)"', text)
    assert targets and all(f'id="{target}"' in text for target in targets)


def test_ids_are_unique(tmp_path):
    ids = re.findall(
        r'\sid="([^"]+)"',
        re.sub(r"<script type=\"module\">.*", "", written(tmp_path, of_every_kind()), flags=re.DOTALL),
    )
    repeated = {name for name in ids if ids.count(name) > 1}
    assert not repeated


def test_an_entry_sorts_by_its_number_and_is_coloured_by_its_state_whatever_its_text_says():
    entries = [number(2.04831, ".2f", mark="≈ "), number(1e-5, ".0e", " s"), number(3, "g"), Entry("wrong", state=BAD)]
    shown = html.Book().table(framed([(entry, "wrong variant of claim A1, not measured 7") for entry in entries]))
    assert re.findall(r'data-order="([^"]*)"', shown) == ["2.04831", "1e-05", "3", ""]
    assert shown.count("bad") == 1 and OPEN not in re.findall(r'class="[^"]*?(\w*)"', shown)


def test_markup_in_a_reason_stays_text():
    shown = html.Book().cell(Entry('<script>alert("x")</script>', records=[claim_record()]))
    assert "<script>" not in shown and "&lt;script&gt;" in shown


def test_long_lists_are_cut_where_they_do_not_fit():
    long = cost_record("fgm", steps=[float(number) for number in range(1000)], base=[1.0] * 1000)
    whole = html.pack_records([long], {}, 10**6)
    text = html.pack_records([long], {}, len(whole) - 1)
    [record] = json.loads(gzip.decompress(base64.b64decode(text)))["records"]
    assert record["steps"] == {"left out here": 1000, "least": 0.0, "median": 499.5, "largest": 999.0}
    assert len(text) < len(whole)


def test_of_many_records_a_part_says_how_far_lists_are_cut(monkeypatch):
    """The same cut as without a look at a part, which alone compresses at most half as well."""
    draws = np.random.default_rng(0)
    many = [cost_record("fgm", steps=list(draws.normal(size=70))) for _ in range(60)]
    room = len(html.pack_records(many, {}, 10**6)) // 4
    tried = html.pack_records(many, {}, room)
    monkeypatch.setattr(html, "MANY", 50)
    assert html.much_larger(many, {}, html.LONGEST[0], room) and not html.much_larger(many, {}, 8, room)
    assert html.pack_records(many, {}, room) == tried


def test_what_has_no_room_at_all_keeps_its_facts():
    long = cost_record("fgm", steps=[0.5] * 1000)
    [record] = json.loads(gzip.decompress(base64.b64decode(html.pack_records([long], {}, 0))))["records"]
    assert record["method"] == "fgm" and record["again"] and "steps" not in record


def test_a_folder_of_many_records_has_as_many(tmp_path):
    everything = len(latest(record for path in (ROOT / "results").glob(FILES) for record in read(path)[0]))
    fill(tmp_path, everything + 500)  # five hundred of them copies
    [path] = tmp_path.glob(FILES)
    records, problems = read(path)
    assert not problems and len(latest(records)) == everything + 500
    last, again = read_latest(path)
    kept = [each for each in records if each.kind == "environment"] + [*latest(records)]
    assert [each.model_dump_json() for each in last] == [each.model_dump_json() for each in kept] and not again


def test_json_has_no_word_for_what_is_no_number():
    assert html.simplify({"a": [math.nan, 1.0], "b": math.inf}, 9) == {"a": ["nan", 1.0], "b": "inf"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_record_says_how_it_is_measured_again(kind):
    made = [*of_every_kind()[1:], *OTHERS, cold_record(), agreement_record([1.0]), call_record([1.0])]
    record = next(each for each in made if each.kind == kind)
    name, *options = shlex.split(command(record).removeprefix("python -m bench "))
    assert name in (
        "verify",
        "mutants",
        "variations",
        "precision",
        "atlas",
        "published",
        "time",
        "peers",
        "selfcheck",
        "train",
    )
    assert options[options.index("--framework") + 1] == record.framework


def test_a_planted_mistake_is_planted_again():
    again = shlex.split(command(claim_record(wrong="fgm: one norm for the whole batch")))
    assert again[3] == "mutants" and again[again.index("--mutant") + 1] == "fgm: one norm for the whole batch"


def test_a_topic_of_which_a_machine_has_nothing_leads_to_the_first_that_has_some():
    measured, missing = (
        '<h2 id="{}-cost">Cost</h2><td data-records="3">',
        '<h2 id="{}-cost">Cost</h2><p>not measured</p>',
    )
    bodies = [["", missing.format(0)], ["", measured.format(1)], ["", measured.format(2)]]
    first, second, third = html.lead_on(bodies, ["new", "<old>", "oldest"])
    assert '<a class="elsewhere" href="#1-cost">measured on &lt;old&gt; →</a>' in first[1]
    assert (second, third) == (bodies[1], bodies[2])
    nowhere = html.lead_on([["", missing.format(0)]], ["new"])
    assert nowhere == [["", missing.format(0)]]
