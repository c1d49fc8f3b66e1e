"""CLUE's files are read as they are published; what is wrong with one is numbered, and nothing is silently left out."""

import json

import numpy as np
import pytest

from bench.train.clue import DEV, LABELS, TEST, TRAIN, read
from bench.train.data import size
from bench.train.datasets import dataset
from bench.train.finetuning import Source, own_in_pieces
from bench.train.texts import BadData
from equivalence.bert import Size
from equivalence.cases import bert_params
from tests.test_checkpoint import saved, without_classifier

NAMES = ("100", "101", "116")
LINES = [
    {
        "label": NAMES[i % 3],
        "label_desc": "news",
        "sentence": f"上课时学生手机响个不停{'一二三四五六七八九十'[i]}",
        "keywords": "",
    }
    for i in range(10)
]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"上课时学生手机响个不停"]


def lines(objects):
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in objects)


@pytest.fixture
def folder(tmp_path):
    """A small task in the format of TNEWS."""
    task = tmp_path / "tnews"
    task.mkdir()
    (task / TRAIN).write_text(lines(LINES), encoding="utf-8")
    (task / DEV).write_text(lines(LINES[:4]), encoding="utf-8")
    (task / TEST).write_text(lines({"id": i, "sentence": each["sentence"]} for i, each in enumerate(LINES)), "utf-8")
    (task / LABELS).write_text(lines({"label": name, "label_desc": "news"} for name in NAMES), encoding="utf-8")
    return task


@pytest.fixture
def checkpoint(tmp_path):
    """A BERT of two layers without a classifier, and its vocabulary."""
    path = tmp_path / "bert"
    path.mkdir()
    few = Size(vocabulary=len(VOCABULARY), width=8, hidden=12, layers=2, positions=12)
    settings = {
        "model_type": "bert", "vocab_size": few.vocabulary, "hidden_size": 8, "intermediate_size": 12,
        "num_hidden_layers": 2, "max_position_embeddings": 12, "type_vocab_size": 2, "num_attention_heads": 2,
    }  # fmt: skip
    saved(path, without_classifier(bert_params(np.random.default_rng(0), few, classes=3)), settings)
    (path / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    return path


def test_a_task_is_read(folder):
    task = read(folder)
    assert (task.name, task.classes) == ("tnews", NAMES)
    assert task.train.labels == [i % 3 for i in range(10)] and task.test.labels == [0, 1, 2, 0]
    assert task.train.sentences[1] == LINES[1]["sentence"]
    assert len(task.unlabelled.sentences) == 10 and task.unlabelled.labels == []


@pytest.mark.parametrize("name", [TRAIN, DEV, LABELS])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(BadData, match=f"{name} not found"):
        read(folder)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{not json", "line 11: not JSON"),
        ('["a list"]', "line 11: got a list, expected an object"),
        ('{"label": "100"}', "line 11: sentence: got None, expected text"),
        ('{"label": "100", "sentence": " "}', "line 11: sentence: got ' ', expected text"),
        ('{"sentence": "上课"}', "line 11: label: got None, expected text"),
        ('{"label": "7", "sentence": "上课"}', "line 11: label: got '7', which labels.json does not have"),
        ('{"label": "100", "sentence": 5}', "line 11: sentence: got 5, expected text"),
        ('{"label": true, "sentence": "上课"}', "line 11: label: got True, expected text"),
        (r'{"label": "100", "sentence": "\ud800"}', "line 11: sentence: got half of a character"),
        ("[" * 100_000, "line 11: not JSON"),
    ],
)
def test_a_bad_line_is_numbered_and_skipped_only_where_asked(folder, line, complaint):
    with (folder / TRAIN).open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    with pytest.raises(BadData, match="--skip-bad-lines") as error:
        read(folder)
    assert complaint in str(error.value)
    assert len(read(folder, skip_bad_lines=True).train.sentences) == 10


def test_another_encoding_is_refused_until_it_is_named(folder):
    for path in folder.iterdir():
        path.write_bytes(path.read_text(encoding="utf-8").encode("gb18030"))
    with pytest.raises(BadData, match=r"line 1: not written in utf-8; --encoding names another"):
        read(folder)
    assert read(folder, encoding="gb18030").train.sentences == [each["sentence"] for each in LINES]
    with pytest.raises(BadData, match="--encoding: got 'gb'"):
        read(folder, encoding="gb")


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_classes_are_refused(folder, count):
    (folder / LABELS).write_text(lines({"label": name} for name in NAMES[:count]), encoding="utf-8")
    with pytest.raises(BadData, match=f"got {count} classes, expected two or more"):
        read(folder)


def test_a_class_without_a_line_is_refused(folder):
    with (folder / LABELS).open("a", encoding="utf-8") as file:
        file.write('{"label": "117"}\n')
    with pytest.raises(BadData, match="no line has label 117"):
        read(folder)


def test_sentences_become_word_pieces(folder, checkpoint):
    pytest.importorskip("tokenizers")
    source = Source(str(folder), str(checkpoint), length=8)
    found, occurring = dataset("tnews", 3, source), own_in_pieces(source).occurring
    assert (size(found.labelled), size(found.validation), size(found.test), size(found.unlabelled)) == (9, 1, 4, 10)
    row, mask = found.test["tokens"][0], found.test["mask"][0]
    assert [VOCABULARY[occurring[number]] for number in row] == ["[CLS]", *"上课时学生手", "[SEP]"]
    assert mask.sum() == 8 and found.start.params["classifier.weight"].shape == (3, 8)
    assert set(found.unlabelled["labels"]) == {0}


def test_what_does_not_fit_is_refused(folder, checkpoint):
    pytest.importorskip("tokenizers")
    source = Source(str(folder), str(checkpoint), length=8)
    (checkpoint / "vocab.txt").write_text("\n".join([*VOCABULARY, "一"]), encoding="utf-8")
    with pytest.raises(BadData, match="17 words, expected at most 16"):
        dataset("tnews", 4, source)
    (checkpoint / "vocab.txt").write_text("\n".join(["[X]", *VOCABULARY[2:]]), encoding="utf-8")
    with pytest.raises(BadData, match=r"\[UNK\], \[PAD\] not found"):
        dataset("tnews", 6, source)
    (checkpoint / "vocab.txt").unlink()
    with pytest.raises(BadData, match=r"vocab\.txt: not found"):
        dataset("tnews", 5, source)
