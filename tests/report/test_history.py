"""What commits measured stays, is added once, and is not lost to a damaged file."""

import pytest

from bench.report import history, page
from tests.report.made import claim_record, cost_records, of_every_kind, store


def of_commit(commit, ratio, day):
    environment = of_every_kind()[0].model_copy(update={"id": commit, "commit": commit, "dirty": False})
    made = [*cost_records("plain", [1.0] * 6, workload="digits-mlp"), claim_record()]
    made += cost_records("fgm", [ratio] * 6, workload="digits-mlp")
    for record in made:
        record.time, record.environment = f"2026-01-{day:02}T00:00:00+00:00", commit
    return [environment, *made]


@pytest.fixture
def two(tmp_path):
    history.update(tmp_path, of_commit("aaa", 2.0, 1))
    return history.update(tmp_path, of_commit("bbb", 2.2, 2))


@pytest.fixture
def three(two, tmp_path):
    return history.update(tmp_path, of_commit("ccc", 2.1, 3))


def test_what_another_commit_measured_stays(three):
    [row] = history.trend_table(three)[lambda table: table["name"].str.startswith("fgm")].to_dict("records")
    assert row["first"] == "2 plain steps (aaa)" and row["last"] == "2.1 plain steps (ccc)"
    assert row["change"] == "+5.0 %" and row["commits"] == "3"


def test_the_same_records_change_nothing(two, tmp_path):
    before = (tmp_path / history.FILE).read_bytes()
    again = history.update(tmp_path, of_commit("bbb", 2.2, 2))
    assert (tmp_path / history.FILE).read_bytes() == before and len(again) == len(two)


def test_two_commits_are_no_trend(two):
    assert history.trend_table(two).empty and history.trend_figures(two) == {}


def test_three_commits_are_drawn(three):
    assert "Cost by commit" in history.trend_figures(three)["trend-cost.svg"]


@pytest.mark.parametrize("damage", ["time,commit\n1,2\n", '"open quote\n\x00', "\x00\x00"])
def test_a_damaged_file_is_left_alone_and_said(tmp_path, damage):
    path = store(tmp_path, of_commit("aaa", 2.0, 1)).with_name(history.FILE)
    path.write_text(damage)
    [problem] = page.write(tmp_path)
    assert history.FILE in problem and path.read_text() == damage


def test_torn_lines_are_taken_out_where_asked_and_the_rest_stays(two, tmp_path):
    path = tmp_path / history.FILE
    whole = path.read_bytes()
    path.write_bytes(whole + b'2026-01-02T03:04:05+00:00,ccc,e3,cost,"fgm, tor')
    line = whole.count(b"\n") + 1
    with pytest.raises(history.Damaged, match=f"{history.FILE}:{line} is no whole line"):
        history.update(tmp_path, of_commit("bbb", 2.2, 2))
    assert path.read_bytes() != whole, "left alone"
    history.mend(tmp_path)
    assert path.read_bytes() == whole and history.problems(tmp_path) == []


@pytest.mark.parametrize("name", ["a\nb", "a\rb", 'a"b', "a,b", "a\u2028b", "\x00", "=1+1"])
def test_a_name_of_any_kind_is_one_line(tmp_path, name):
    records = of_commit("aaa", 2.0, 1)
    for record in records:
        if hasattr(record, "mode"):
            record.mode = name
    once = len(history.update(tmp_path, records))
    before = (tmp_path / history.FILE).read_bytes()
    assert history.problems(tmp_path) == [] and len(history.update(tmp_path, records)) == once
    assert (tmp_path / history.FILE).read_bytes() == before
