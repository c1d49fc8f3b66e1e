"""A table of one's own: what cannot be trained on is refused in a sentence, before any training."""

import pytest

from bench.train import table
from bench.train.data import size
from bench.train.datasets import dataset
from bench.train.finetuning import Source, own_in_pieces
from bench.train.texts import BadData
from tests.test_clue import checkpoint  # noqa: F401 - a fixture
from tests.test_train_cli import invoke, told  # noqa: F401 - a fixture

ROWS = [
    f"上课时{'一二三四五六七八九十'[number % 10]}{'学生手机响' * (number // 10)},{number % 2}" for number in range(40)
]


@pytest.fixture
def csv_file(tmp_path):
    """Writes a table of texts and labels."""

    def write(rows=ROWS, header="text,label", encoding="utf-8"):
        path = tmp_path / "reviews.csv"
        path.write_text("\n".join([header, *rows]) + "\n", encoding=encoding)
        return path

    return write


def test_a_table_is_read(csv_file):
    task = table.read(csv_file(), "text", "label")
    assert (task.name, task.classes) == ("reviews", ("0", "1"))
    assert (len(task.train.sentences), len(task.test.sentences)) == (32, 8)
    assert task == table.read(csv_file(), "text", "label"), "its test part is always the same"


def test_a_row_that_stands_twice_counts_once(csv_file):
    assert len(table.read(csv_file(ROWS * 2), "text", "label").train.sentences) == 32


def test_a_mark_of_utf_8_is_no_part_of_a_column(csv_file):
    for name in ("utf-8", "UTF-8", "utf8", "utf-8-sig"):
        assert table.read(csv_file(encoding="utf-8-sig"), "text", "label", encoding=name).classes == ("0", "1")


@pytest.mark.parametrize(
    ("rows", "columns", "complaint"),
    [
        (ROWS, ("sentence", "label"), r"no column 'sentence'; its columns: text, label"),
        (ROWS, ("a", "b"), r"no column 'a' and no column 'b'"),
        ([row[:-1] + "1" for row in ROWS], ("text", "label"), r"got 1 classes, '1', expected two or more"),
        ([], ("text", "label"), "got 0 classes, expected two or more"),
        ([*ROWS, ",1"], ("text", "label"), "line 42: text: got nothing.*--skip-bad-lines"),
        ([*ROWS, "上课"], ("text", "label"), "line 42: label: got nothing"),
    ],
)
def test_what_cannot_be_used_is_refused(csv_file, rows, columns, complaint):
    with pytest.raises(BadData, match=complaint):
        table.read(csv_file(rows), *columns)


def test_bad_rows_are_left_out_where_asked(csv_file):
    assert table.read(csv_file([*ROWS, ",1"]), "text", "label", True) == table.read(csv_file(), "text", "label")


def test_another_encoding_is_refused_until_it_is_named(csv_file):
    path = csv_file(encoding="gb18030")
    with pytest.raises(BadData, match="not written in utf-8; --encoding names another"):
        table.read(path, "text", "label")
    assert table.read(path, "text", "label", encoding="gb18030").train.sentences[0][:3] == "上课时"
    for name in ("gb", "hex", "undefined", "a\0b"):
        with pytest.raises(BadData, match="--encoding: got"):
            table.read(path, "text", "label", encoding=name)


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(BadData, match="not found, expected a CSV file"):
        table.read(tmp_path / "none.csv", "text", "label")


def source(path, checkpoint, **options):  # noqa: F811
    return Source(str(path), str(checkpoint), text="text", label="label", **options)


def test_few_labels_leave_the_rest_unlabelled(csv_file, checkpoint, monkeypatch):  # noqa: F811
    pytest.importorskip("tokenizers")
    monkeypatch.setattr("bench.train.data.VALIDATION", 4)
    own = source(csv_file(), checkpoint, length=8)
    few, every = dataset("reviews-10", 0, own), dataset("reviews", 0, own)
    assert (size(few.labelled), size(few.unlabelled), size(few.test)) == (10, 18, 8)
    assert sorted(few.labelled["labels"]) == [0] * 5 + [1] * 5 and not few.unlabelled["labels"].any()
    assert size(every.labelled) == 32 - 3


def test_texts_that_are_too_long_are_counted(csv_file, checkpoint):  # noqa: F811
    pytest.importorskip("tokenizers")
    found = own_in_pieces(source(csv_file(), checkpoint))
    assert found.length == 12, "the encoder's positions"
    pieces = [len(row.partition(",")[0]) + 2 for row in ROWS]
    assert found.cut == sum(number > 12 for number in pieces) > 0


def test_more_pieces_than_positions_are_refused(csv_file, checkpoint):  # noqa: F811
    pytest.importorskip("tokenizers")
    with pytest.raises(BadData, match="--length: got 13 word pieces, expected at most 12, the encoder's positions"):
        own_in_pieces(source(csv_file(), checkpoint, length=13))


def test_a_vocabulary_of_another_language_is_refused(csv_file, checkpoint):  # noqa: F811
    pytest.importorskip("tokenizers")
    english = [f"good word {number} here,{number % 2}" for number in range(20)]
    with pytest.raises(
        BadData, match=r"of the texts' word pieces are unknown to it.*take a BERT of the texts' language"
    ):
        own_in_pieces(source(csv_file(english), checkpoint))


def test_the_command_says_what_it_cuts_and_trains(csv_file, checkpoint, told, framework, tmp_path):  # noqa: F811
    pytest.importorskip("tokenizers")
    ask = ("--framework", framework, "--table", csv_file(), "--text", "text", "--label", "label", "--seeds", "2")
    ask = (*ask, "--checkpoint", checkpoint, "--strengths", "fgm table=0.5,1", "--regime", "fgm table")
    said = invoke(*ask, "--out", tmp_path / "out")
    assert said.exit_code == 0, said.output
    assert "of 40 texts have more than 12 word pieces: they are cut there" in " ".join(said.output.split())
    assert {task[1] for task in told.tasks} == {"reviews"}
    assert {task[3] for task in told.tasks if task[0] == "validation"} == {0.5, 1.0}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--text", "text"), "--table, --text and --label need each other"),
        (("--text", "t", "--label", "label"), "no column 't'"),
        (("--text", "text", "--label", "label", "--length", "13"), "--length: got 13 word pieces"),
        (("--text", "text", "--label", "label", "--strengths", "fgm=x"), "--strengths: got 'fgm=x'"),
        (("--text", "text", "--label", "label", "--clue", "."), "--clue and --table are two places"),
    ],
)
def test_wrong_arguments_are_refused_before_any_training(csv_file, checkpoint, told, tmp_path, words, complaint):  # noqa: F811
    pytest.importorskip("tokenizers")
    said = invoke("--table", csv_file(), "--checkpoint", checkpoint, *words, "--out", tmp_path / "out")
    assert said.exit_code == 2 and complaint in " ".join(said.output.split())
    assert not told.tasks and not (tmp_path / "out").exists()


def test_a_table_needs_a_checkpoint(csv_file, told):  # noqa: F811
    said = invoke("--table", csv_file(), "--text", "text", "--label", "label")
    assert said.exit_code == 2 and "--table and --checkpoint need each other" in " ".join(said.output.split())


def test_numbers_of_labels_are_of_a_task_of_ones_own(told):  # noqa: F811
    said = invoke("--labels", "100")
    assert said.exit_code == 2 and "--labels: of a task of your own" in " ".join(said.output.split())
