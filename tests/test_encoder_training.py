"""Fine-tuning a small BERT: padding and rows that no text uses change nothing; text elsewhere is judged, too."""

from dataclasses import replace

import numpy as np
import pytest

from bench.train import robustness
from bench.train.data import Dataset, trimmed
from bench.train.loop import epoch, started, train
from bench.train.regimes import REGIMES
from bench.train.worth import logits, worth
from equivalence.bert import Size
from equivalence.cases import TABLES, Case, bert_params
from tests.quick import mostly_slow

pytestmark = pytest.mark.usefixtures("precision")
VOCABULARY, LONGEST, GRANULE = 30, 12, 4


def texts(seed, count, words=20):
    """Texts of 3 to 11 word pieces, the last batch's all short."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, LONGEST, count)
    mask = (np.arange(LONGEST) < lengths[:, None]).astype(float)
    tokens = (rng.integers(1, words, (count, LONGEST)) * (mask > 0)).astype(np.int32)
    return {"tokens": tokens, "mask": mask, "labels": (tokens.sum(1) % 3).astype(np.int32)}


@pytest.fixture(scope="module")
def few(bridge):
    labelled = texts(0, 16)
    size = Size(vocabulary=VOCABULARY, width=8, hidden=12, layers=2, positions=LONGEST)
    one = {name: array[:1] for name, array in labelled.items()}
    params = bert_params(np.random.default_rng(1), size, classes=3)
    start = Case(name="bert", title="", model="bert", loss="cross_entropy", params=params, options={"heads": 2}, **one)
    parts = labelled, texts(2, 40), texts(3, 20), texts(4, 30)
    return Dataset("few", "few texts", *parts, start, 2, 4, 2**-9, texts(5, 10), GRANULE)


def trained(framework, data, regime, strength=0.3):
    options = {"optimizer": "momentum", "dtype": "float64", "steps": 5}
    return train(framework, data, REGIMES[regime], strength, 0, **options)


SAME = ["plain", "fgm articles", "gradient penalty table", "fgm", "gradient penalty"]  # whatever is drawn has a shape


@pytest.mark.parametrize("regime", mostly_slow(SAME, ["fgm articles"]))
def test_padding_changes_nothing(framework, few, regime):
    short, long = (trained(framework, replace(few, granule=granule), regime) for granule in (GRANULE, 0))
    assert short.losses == pytest.approx(long.losses, rel=1e-11)


@pytest.mark.parametrize("regime", mostly_slow(SAME[:3], SAME[:1]))
def test_rows_that_no_text_uses_change_nothing(framework, few, regime):
    params = few.start.params | {TABLES[1]: few.start.params[TABLES[1]][:20]}
    narrow = replace(few, start=replace(few.start, params=params))
    assert trained(framework, narrow, regime).losses == pytest.approx(trained(framework, few, regime).losses, rel=1e-11)


@pytest.mark.parametrize("regime", mostly_slow(["vat", "r-drop", "consistency", "noise"], ["vat"]))
def test_what_is_drawn_fits_texts_of_any_length(framework, few, regime):
    assert np.isfinite(trained(framework, few, regime).losses).all()


def test_batches_are_as_long_as_their_longest_text(few):
    lengths = set()
    for labelled, unlabelled, extra in epoch(few, REGIMES["vat"], 1.0, started(0)):
        longest = labelled["mask"].sum(1).max()
        assert longest <= labelled["tokens"].shape[1] < longest + GRANULE
        assert extra["start"].shape == (*unlabelled["tokens"].shape, 8), "of what is perturbed: texts without labels"
        lengths.add(unlabelled["tokens"].shape[1])
    assert lengths <= {4, 8, 12}


def test_a_model_is_judged_here_and_elsewhere(framework, few, monkeypatch):
    monkeypatch.setattr(robustness, "STEPS", 2)
    trainer = trained(framework, few, "plain").trainer
    found = worth(trainer, few, "test", 0, attacked=False)
    assert {"accuracy", "elsewhere_accuracy", "elsewhere_confidence"} <= set(found)
    assert "pgd_accuracy" not in found and "pgd_accuracy" in worth(trainer, few, "test", 0)
    padded = trainer.logits(few.test)
    np.testing.assert_allclose(logits(trainer, few.test, GRANULE), padded, rtol=1e-10, atol=1e-12)


def test_strengths_follow_the_embeddings_norms(few):
    """Twice as long embeddings are moved twice as far; a pretrained encoder's are as long as they are."""
    twice = {TABLES[1]: 2 * few.start.params[TABLES[1]]}
    once, double = (
        robustness.strengths(replace(few.start, params=few.start.params | more), few.test) for more in ({}, twice)
    )
    assert double == pytest.approx((2 * once[0], 2 * once[1]))
    used = few.start.params[TABLES[1]][few.test["tokens"][few.test["mask"] > 0]]
    assert once[0] == pytest.approx(robustness.RADIUS_SHARE * np.linalg.norm(used, axis=1).mean())


def test_nothing_but_padding_is_cut(few):
    cut = trimmed(few.test, GRANULE)
    assert cut["mask"].sum() == few.test["mask"].sum() and trimmed(few.test, 0) is few.test
