"""Records as tables: nothing is lost on the way, every column is explained, and other files are refused."""

import json
import runpy
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.records.frames import load
from bench.records.schema import KINDS
from bench.records.store import read
from bench.report import export
from tests.report.made import cost_records, of_every_kind, store

ROOT = Path(__file__).parents[2]


def test_what_is_read_back_is_what_was_recorded(tmp_path):
    store(tmp_path / "results", of_every_kind())
    counts = export.export(tmp_path / "results", tmp_path / "tables", "parquet")
    assert counts == {"claim": 5, "agreement": 2, "cost": 6, "cold": 1}
    table = export.read(tmp_path / "tables" / "cost.parquet")
    [fgm] = [
        each for each in of_every_kind() if getattr(each, "method", "") == "fgm" and getattr(each, "block", 0) == 1
    ]
    row = table[(table["method"] == "fgm") & (table["block"] == 1)].iloc[0]
    assert row["steps"].tolist() == fgm.steps and row["cpu"] == "a CPU" and row["machine"] == "here"
    claims = export.read(tmp_path / "tables" / "claim.parquet")
    assert json.loads(claims["parts"][0])["θ-gradient"]["order"] == 2


def test_csv_has_the_same_rows(tmp_path):
    store(tmp_path / "results", of_every_kind())
    export.export(tmp_path / "results", tmp_path / "tables", "csv")
    table = pd.read_csv(tmp_path / "tables" / "cost.csv")
    assert len(table) == 6 and json.loads(table["base"][0]) == [0.010, 0.011, 0.012, 0.011]


def test_every_column_is_explained(tmp_path):
    found = export.dictionary()
    assert set(found["kind"]) == set(KINDS)
    assert found[found["meaning"] == ""].empty, "a field of a record without a docstring"
    store(tmp_path / "results", of_every_kind())
    export.export(tmp_path / "results", tmp_path / "tables", "parquet")
    for kind in ("claim", "agreement", "cost", "cold"):
        columns = set(export.read(tmp_path / "tables" / f"{kind}.parquet").columns)
        assert columns == set(found[found["kind"] == kind]["field"])


def test_units_are_said():
    found = export.dictionary().set_index(["kind", "field"])
    assert found.loc[("cost", "steps"), "unit"] == "s" and found.loc[("cost", "steps"), "type"] == "list of numbers"
    assert found.loc[("cold", "memory"), "unit"] == "MiB" and found.loc[("cost", "quick"), "type"] == "yes or no"


def test_a_damaged_or_foreign_file_is_refused(tmp_path):
    damaged, foreign, newer = (tmp_path / f"{name}.parquet" for name in ("damaged", "foreign", "newer"))
    damaged.write_bytes(b"PAR1 and nothing else")
    pq.write_table(pa.table({"a": [1]}), foreign)
    marked = pa.table({"a": [1]}).replace_schema_metadata({export.MARK: b'{"schema": 99}'})
    pq.write_table(marked, newer)
    for path, words in ((damaged, "cannot be read"), (foreign, "something else"), (newer, "schema 99")):
        with pytest.raises(ValueError, match=words):
            export.read(path)
    with pytest.raises(ValueError, match="cannot be read"):
        export.read(tmp_path / "none.parquet")


def test_no_record_is_an_error_not_an_empty_table(tmp_path):
    (tmp_path / "results").mkdir()
    with pytest.raises(ValueError, match="no record"):
        export.export(tmp_path / "results", tmp_path / "tables", "csv")
    with pytest.raises(ValueError, match="no record of kind 'cost'"):
        load(tmp_path / "results")
    with pytest.raises(ValueError, match="expected one of claim"):
        load(tmp_path / "results", "price")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        load(tmp_path / "nowhere")


def test_the_analysis_in_the_docs_runs(tmp_path, monkeypatch, capsys):
    environment = of_every_kind()[0]
    made = [*cost_records("plain", [1.0, 1.01]), *cost_records("fgm", [2.0, 2.1])]
    for record in made:
        record.environment = environment.id
    store(tmp_path, [environment, *made])
    monkeypatch.setattr(sys, "argv", ["analysis.py", str(tmp_path)])
    found = runpy.run_path(str(ROOT / "docs" / "analysis.py"))
    assert found["answer"]["ratio"].tolist() == [2.05] and found["answer"]["blocks"].tolist() == [2]
    assert found["ratios"].loc["fgm"].tolist() == pytest.approx([2.05])


def test_what_is_left_out_is_said(tmp_path):
    store(tmp_path, of_every_kind(), ending='{"kind": "cost"')
    with pytest.warns(UserWarning, match="1 lines are left out"):
        assert len(load(tmp_path)) == 6


def test_an_id_that_means_two_environments_is_a_problem(tmp_path):
    environment = of_every_kind()[0]
    path = store(tmp_path, [environment, environment, environment.model_copy(update={"cpu": "another"})])
    records, problems = read(path)
    assert [record.cpu for record in records] == ["a CPU", "a CPU"] and len(problems) == 1
    assert "another environment with the id e1" in problems[0]
