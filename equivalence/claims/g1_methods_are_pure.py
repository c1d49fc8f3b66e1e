"""A method gives a result and does nothing else: what it is given stays, nothing is drawn or printed."""

import contextlib
import random
from collections import defaultdict

from equivalence.claim import Claim
from equivalence.foreign.guard import asked_about
from equivalence.parts.untouched import none
from equivalence.parts.watched import WATCHED, watch
from equivalence.protocol import NotCovered

OF_TOKENS = ("perturb_table", "perturb_output")  # the others do with less
OF_BATCHES = tuple(method for method in WATCHED if method not in OF_TOKENS)
TOPICS = {
    "changes": "arguments, parameters and data are left",
    "sets": "every generator of random numbers and every setting is left",
    "prints": "nothing is printed",
    "keeps": "results are no arrays that a later call hands out again",
    "returns": "results are the framework's arrays in the dtype and shape that they should have",
}


def measure(problem, reference):
    found, missing = defaultdict(dict), {}
    fitting = OF_BATCHES if problem.case.tokens is None else OF_TOKENS
    for method in sorted(asked_about(problem.methods).intersection(fitting)):
        if not (done := watch(problem, reference, method)):
            missing[method] = 1
            continue
        with contextlib.suppress(NotCovered):  # a framework's default dtype is one of the two, and shows in the other
            done["returns"] |= watch(problem.in_dtype("float32"), reference, method).get("returns", {})
        for topic, what in done.items():
            found[topic] |= {f"{method}: {words}": count for words, count in what.items()}
    yield none("every method is called", missing)
    for topic, words in TOPICS.items():
        yield none(words, found[topic], "" if topic in ("sets", "keeps") else "bytes")


def beside(method, act):
    return lambda *args, **options: (method(*args, **options), act())[0]


def adding(m):
    def weight_noise(loss, params, noise):
        params.update({name: params[name] + noise[name][0] for name in params})
        return m.weight_noise(loss, params, noise)

    return weight_noise


CLAIM = Claim(
    id="G1",
    title="Methods are pure functions: they leave arguments, random state and settings, and return the dtype given",
    formula="f(x) = f(x), twice the same; x, θ, every generator and setting after = before, bit for bit",
    source="the contract; cleverhans#1224 (silent float32), tensorflow/addons#2414 (the weight is assigned to)",
    methods=WATCHED,
    cases=("tanh-mlp", "reviews-text"),
    measure=measure,
    wrong={
        "an argument is changed": lambda m, bridge: {"weight_noise": adding(m)},
        "the random state is drawn from": lambda m, bridge: {"rademacher": beside(m.rademacher, random.random)},
        "something is printed": lambda m, bridge: {"fgm": beside(m.fgm, lambda: print("norm"))},
        "an axis too many": lambda m, bridge: {"hvp": lambda *args: m.hvp(*args)[None]},
    },
    control="tanh-mlp",
    itself=True,
    quick=("reviews-text",),  # what perturbs embeddings needs tokens
    by_case={"tanh-mlp": OF_BATCHES, "reviews-text": OF_TOKENS},
)
