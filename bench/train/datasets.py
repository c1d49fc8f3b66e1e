"""The data sets by name."""

from collections.abc import Callable
from functools import lru_cache, partial

from bench.train.corpora import CORPORA
from bench.train.data import Dataset
from bench.train.finetuning import SHIPPED_STEPS, Source, own, shipped
from bench.train.scratch import digits, reviews

USUAL = "reviews-200", "reviews-1000", "reviews-4000", "digits-100", "digits-1000"  # where none is named
SCRATCH: dict[str, Callable[[int], Dataset]] = {
    **{f"reviews-{count}": partial(reviews, labelled=count) for count in (100, 200, 300, 1000, 4000)},
    **{f"digits-{count}": partial(digits, labelled=count) for count in (100, 1000)},
}
SHIPPED: dict[str, Callable[[int], Dataset]] = {  # beside an encoder that a package ships
    f"{corpus}-{count}": partial(shipped, corpus=corpus, labelled=count)
    for corpus in CORPORA
    for count in SHIPPED_STEPS
}
DATASETS = SCRATCH | SHIPPED


@lru_cache(maxsize=2)
def dataset(name: str, seed: int, source: Source | None = None) -> Dataset:
    """One of DATASETS by its name, or the one of that name from a source of the user's own."""
    return own(seed, source, name) if source else DATASETS[name](seed)
