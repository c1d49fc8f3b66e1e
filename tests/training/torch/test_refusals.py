"""What cannot work is refused: the message names the argument, what came and what was expected; nothing is changed."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

from impls.torch.objectives import adversarial_objective
from impls.torch.training import (
    adversarial_training,
    gradient_penalty_training,
    perturbed,
    virtual_adversarial_training,
)
from tests.training.torch.stateful import (
    BATCH,
    INPUT,
    LOSS,
    METHODS,
    Image,
    Pair,
    Text,
    batch,
    begun,
    compiled,
    made,
    state,
)


def training(model, inputs, labels, *, loss=LOSS, target=None, method=adversarial_training, optimizer=None, **options):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)]) if optimizer is None else optimizer
    method(model, optimizer, loss, target, **(options or {"radius": 1.0}))(inputs, labels)


def reduced(outputs, labels):
    return LOSS(outputs, labels).mean()


X, T = batch(Image)[0], batch(Text)[0]


NAN = float("nan")


REFUSED = {
    "negative radius": (Image, X, {"radius": -1.0}, "radius", "-1.0", "≥ 0"),
    "NaN as radius": (Image, X, {"radius": NAN}, "radius", "nan", "finite"),
    "radius a sample": (Image, X, {"radius": torch.ones(BATCH)}, "radius", "(5,)", "a number"),
    "unknown norm": (Image, X, {"radius": 1.0, "norm": "l3"}, "norm", "'l3'", "'linf'"),
    "unknown scope": (Image, X, {"radius": 1.0, "scope": "batch"}, "scope", "'batch'", "'tensor'"),
    "clean weight above 1": (Image, X, {"radius": 1.0, "clean_weight": 1.5}, "clean_weight", "1.5", "≤ 1"),
    "unknown where": (Text, T, {"radius": 1.0, "where": "weights", "target": "embedding"}, "where", "'weights'"),
    "negative weight": (Image, X, {"method": gradient_penalty_training, "weight": -1.0}, "weight", "-1.0", "≥ 0"),
    "norm of an attack": (
        Image,
        X,
        {"method": gradient_penalty_training, "weight": 1.0, "norm": "raw"},
        "norm",
        "'raw'",
        "'l2_squared'",
    ),
    "zero xi": (Image, X, {"method": virtual_adversarial_training, "radius": 1.0, "xi": 0.0}, "xi", "0.0", "> 0"),
    "no power step": (Image, X, {"method": virtual_adversarial_training, "radius": 1.0, "steps": 0}, "steps", "0"),
    "negative seed": (Image, X, {"method": virtual_adversarial_training, "radius": 1.0, "seed": -1}, "seed", "-1"),
    "reduced loss": (Image, X, {"loss": reduced, "radius": 1.0, "norm": "raw"}, "loss", "()", 'reduction="none"'),
    "reduced and penalised": (
        Image,
        X,
        {"loss": reduced, "method": gradient_penalty_training, "weight": 1.0},
        "loss",
        "()",
        "(5,)",
        'reduction="none"',
    ),
    "loss of another batch": (Image, X, {"loss": lambda *a: LOSS(*a)[:2]}, "loss", "(2,)", "(5,)"),
    "loss a class": (Image, X, {"loss": lambda outputs, labels: outputs}, "loss", "(5, 3)", "(5,)"),
    "loss that is a number": (Image, X, {"loss": lambda outputs, labels: 1.0}, "loss", "float", "tensor"),
    "infinite loss": (Image, X, {"loss": lambda *a: LOSS(*a) + float("inf")}, "loss", "NaN", "finite"),
    "NaN in the gradient": (Image, X, {"loss": lambda *a: (LOSS(*a) * 0).sqrt()}, "loss", "NaN", "gradient"),
    "integers": (Text, T, {}, "target", "torch.int64", "floating point", "embedding"),
    "NaN inputs": (Image, X * NAN, {}, "target", "NaN", "first input", "finite"),
    "no sample": (Image, X[:0], {}, "inputs", "(0, 4)", "at least one"),
    "no tokens": (Text, T[:0], {"target": "embedding"}, "inputs", "(0, 6)", "at least one"),
    "no tensor among the inputs": (Image, ["X"], {}, "inputs", "list", "tensor"),
    "missing name": (Text, T, {"target": "emb"}, "target", "'emb'", "embedding"),
    "a layer, not an embedding": (Text, T, {"target": "hidden"}, "target", "'hidden'", "embedding"),
    "no embedding at all": (Image, X, {"target": "embedding"}, "target", "'embedding'", "none"),
    "two embeddings": (Pair, T, {"target": "embedding"}, "target", "question.embedding and answer.embedding", "one"),
    "a model that is none": (Image, X, {"model": "function"}, "model", "function", "torch.nn.Module"),
    "an optimiser that is none": (Image, X, {"optimizer": "sgd"}, "optimizer", "str", "torch.optim.Optimizer"),
    "no positional argument": (Image, (), {}, "inputs", "nothing", "tensor"),
    "missing output": (Text, T, {"target": "emb", "where": "output", "radius": 1.0}, "target", "hidden, normalize"),
    "unused table": (Pair, T, {"target": "unused"}, "target", "does not depend", "'table.unused'"),
    "unused output": (Pair, T, {"target": "unused", "where": "output", "radius": 1.0}, "target", "0 times", "once"),
    "output of two calls": (
        Pair,
        T,
        {"target": "twice", "where": "output", "radius": 1.0},
        "target",
        "2 times",
        "once",
    ),
    "output of positions, not samples": (
        Text,
        T,
        {"target": "flat", "where": "output", "radius": 1.0, "model": "flat", "loss": lambda x, _: x.sum((1, 2))},
        "target",
        "(30, 4)",
        "(5, *S)",
    ),
    "output of several": (Pair, T, {"target": "pair", "where": "output", "radius": 1.0}, "target", "tuple", "tensor"),
    "loss that ignores the model": (Image, X, {"loss": lambda *a: torch.ones(BATCH)}, "target", "does not depend"),
    "sparse table": (
        Text,
        T,
        {"method": gradient_penalty_training, "weight": 1.0, "target": "embedding", "model": "sparse"},
        "target",
        "sparse",
        'where="output"',
    ),
    "frozen table": (Text, T, {"target": "embedding", "model": "frozen"}, "target", "frozen", 'where="output"'),
    "compiled and twice differentiated": (
        Image,
        X,
        {"method": gradient_penalty_training, "weight": 1.0, "model": "compiled"},
        "model",
        "compiled",
        "the module itself",
    ),
    "output inside of a compiled model": (
        Text,
        T,
        {"target": "embedding", "where": "output", "radius": 1.0, "model": "compiled"},
        "target",
        "compiled",
        "the module itself",
    ),
}


def unusual(kind, way):
    """A model in a state where some method cannot work."""
    if way == "function":
        return torch.tanh
    if way == "flat":
        return nn.Sequential(
            OrderedDict(table=made(kind).embedding, flat=nn.Flatten(0, 1), back=nn.Unflatten(0, T.shape))
        )
    model = made(kind, sparse=True) if way == "sparse" else made(kind)
    if way == "frozen":
        model.embedding.weight.requires_grad_(False)
    return compiled(model) if way == "compiled" else model


@pytest.mark.parametrize(
    ("kind", "inputs", "options", "argument", "words"),
    [(k, i, o, a, w) for k, i, o, a, *w in REFUSED.values()],
    ids=REFUSED,
)
def test_what_cannot_work_is_refused(kind, inputs, options, argument, words):
    model = unusual(kind, options.get("model"))
    options = {name: value for name, value in options.items() if name != "model"}
    torch.manual_seed(0)
    before = state(model) if isinstance(model, nn.Module) else None
    with pytest.raises((ValueError, TypeError, RuntimeError)) as caught:
        training(model, inputs, batch(kind)[1], **options)
    message = str(caught.value)
    assert message.startswith(f"{argument}: "), message
    assert all(word in message for word in words), message
    assert before is None or state(model) == before


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_gradients_that_are_off_are_refused(off):
    for method, on, _ in METHODS.values():
        model, step = begun(method, on, INPUT)
        before = state(model)
        with off(), pytest.raises(RuntimeError, match="gradients are off"):
            step(*batch(Image))
        assert state(model) == before
    with off(), pytest.raises(RuntimeError, match="gradients are off"), perturbed(model, list, radius=1.0):
        pass


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"radius": -1.0}, "radius: got -1.0, expected a finite number ≥ 0"),
        ({"radius": 1.0, "norm": "l3"}, "norm: got 'l3', expected one of 'l2'"),
        ({"radius": 1.0, "scope": "batch"}, "scope: got 'batch', expected one of 'sample'"),
        ({"radius": 1.0, "where": "weights"}, "where: got 'weights', expected one of 'table'"),
        ({"radius": 1.0, "target": "emb"}, "target: got 'emb', expected an embedding's name: embedding"),
        ({"radius": 1.0, "target": None}, "target: got torch.int64"),
        ({"radius": 1.0, "norm": "raw", "losses": reduced}, "losses: got shape"),
        ({"radius": 1.0, "losses": lambda *a: LOSS(*a)[:0]}, "losses: got shape"),
    ],
)
def test_perturbed_refuses_the_same(options, words):
    model = made(Text)
    tokens, labels = batch(Text)
    options = {"target": "embedding", **options}
    loss = options.pop("losses", LOSS)
    before = state(model)
    with (
        pytest.raises((TypeError, ValueError)) as caught,
        perturbed(model, lambda: loss(model(tokens), labels), **options),
    ):
        pass
    assert str(caught.value).startswith(words)
    assert state(model) == before


def test_block_that_does_not_use_the_perturbation_is_an_error():
    model = made(Image)
    inputs, labels = batch(Image)
    before = state(model)
    with (
        pytest.raises(RuntimeError, match="computed 0 times"),
        perturbed(model, lambda: LOSS(model(inputs), labels), radius=1),
    ):
        pass
    assert state(model) == before


def test_block_of_another_batch_is_an_error():
    model = made(Image, plain=True)
    inputs, labels = batch(Image)
    with (
        pytest.raises(ValueError, match="as in the pass before"),
        perturbed(model, lambda: LOSS(model(inputs), labels), radius=1),
    ):
        model(inputs[:1])


def test_vat_on_one_logit_is_refused():
    """Its softmax is constant, and what is added to the loss would be 0."""
    model = nn.Linear(4, 1)
    optimizer, loss = torch.optim.SGD(model.parameters(), 0.1), lambda outputs, labels: outputs[:, 0] ** 2
    step = virtual_adversarial_training(model, optimizer, loss, radius=0.5)
    with pytest.raises(
        ValueError, match=r"model: got shape \(5, 1\), expected logits of two classes or more.*\[z, 0\]"
    ):
        step(torch.ones(5, 4), None)


class Recurrent(nn.Module):
    """(T, B, 4), or (B, T, 4), or packed, to (B, 3)."""

    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.LSTM(4, 6), nn.Linear(6, 3)

    def forward(self, x):
        return self.head(self.layer(x)[1][0][-1])


def test_rows_that_are_time_steps_are_refused():
    """Each would have a norm of its own; under one norm for all it does not matter what a row is."""
    x, labels = torch.randn(7, 5, 4), torch.randint(3, (5,))
    packed = nn.utils.rnn.pack_sequence([torch.randn(length, 4) for length in (7, 5, 3, 2, 1)])
    torch.manual_seed(0)
    model = Recurrent()
    with pytest.raises(ValueError, match=r"inputs: got shape \(7, 5, 4\) beside 5 labels.*batch_first=True"):
        adversarial_objective(model, nn.CrossEntropyLoss(), radius=0.1)(x, labels)
    with pytest.raises(TypeError, match=r"inputs: got a PackedSequence.*scope=\"tensor\""):
        adversarial_objective(model, nn.CrossEntropyLoss(), radius=0.1)(packed, labels)
    for inputs in (x, packed):
        value = adversarial_objective(model, nn.CrossEntropyLoss(), radius=0.1, scope="tensor")(inputs, labels)
        assert value > nn.functional.cross_entropy(model(inputs), labels)
