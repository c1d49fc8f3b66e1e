"""`compact`: what is damaged is said first, then taken out where asked; nothing whole is lost."""

from typer.testing import CliRunner

from bench.commands.app import app
from bench.records.store import read
from bench.report import history
from tests.report.made import of_every_kind, store


def invoke(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_damaged_lines_are_said_and_then_taken_out(tmp_path):
    path = store(tmp_path, [*of_every_kind(), *of_every_kind()], ending='{"kind": "claim", "cl')
    path.write_text('{"kind":"store","version":1}\n' + path.read_text())
    before, whole = path.read_bytes(), {record.model_dump_json() for record in read(path)[0]}
    said = invoke("compact", "--out", tmp_path)
    assert said.exit_code == 2 and "records.jsonl:" in said.output and "nothing was changed" in said.output
    assert path.read_bytes() == before
    said = invoke("compact", "--out", tmp_path, "--skip-damaged")
    assert said.exit_code == 0, said.output
    records, problems = read(path)
    assert problems == [] and {record.model_dump_json() for record in records} == whole
    assert invoke("compact", "--out", tmp_path).exit_code == 0, "nothing is left to say"


def test_a_torn_history_is_mended_too(tmp_path):
    path = store(tmp_path, of_every_kind())
    assert invoke("report", "--out", tmp_path).exit_code == 0
    torn = path.with_name(history.FILE)
    whole = torn.read_text()
    torn.write_text(whole + "2026-01-02T03")
    assert invoke("report", "--out", tmp_path).exit_code == 1
    assert invoke("compact", "--out", tmp_path).exit_code == 2
    assert invoke("compact", "--out", tmp_path, "--skip-damaged").exit_code == 0
    assert torn.read_text() == whole and invoke("report", "--out", tmp_path).exit_code == 0


def test_a_folder_merged_into_itself_loses_what_is_damaged_and_no_more(tmp_path):
    path = store(tmp_path, of_every_kind(), ending="torn")
    whole = len(read(path)[0])
    assert invoke("merge", tmp_path, "--out", tmp_path).exit_code == 2
    assert invoke("merge", tmp_path, "--out", tmp_path, "--skip-damaged").exit_code == 0
    assert (len(read(path)[0]), read(path)[1]) == (whole, [])


def test_what_holds_no_records_is_refused(tmp_path):
    assert invoke("compact", "--out", tmp_path).exit_code == 2
    assert invoke("compact", "--out", tmp_path / "nowhere").exit_code == 2
    assert not (tmp_path / "nowhere").exists()
