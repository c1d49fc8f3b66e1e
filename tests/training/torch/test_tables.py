"""A step on an embedding's table is that of the contract, whoever reads the table, and with sparse gradients too."""

import copy

import pytest
import torch
from torch.func import functional_call, grad, jvp

from impls.torch.embedding import perturb_table
from impls.torch.losses import kl_divergence
from impls.torch.norms import l2_norm, unit
from impls.torch.sampling import gaussian
from impls.torch.training import (
    adversarial_training,
    gradient_penalty_training,
    perturbed,
    virtual_adversarial_training,
)
from tests.training.torch.stateful import (
    LOSS,
    RATE,
    TABLE,
    VOCABULARY,
    Text,
    after_step,
    batch,
    begun,
    both_ways,
    close,
    descended,
    digest,
    made,
    parameters,
    sgd,
)


@pytest.mark.parametrize("kind", ["dense", "sparse", "tied"])
@pytest.mark.parametrize(("norm", "clean_weight"), [("l2", 0.0), ("linf", 0.3), ("l1", 0.0), ("raw", 0.5)])
def test_adversarial_step_on_a_table_is_perturb_table(norm, clean_weight, kind):
    model = made(Text, plain=True, sparse=kind == "sparse", tied=kind == "tied")
    reference = made(Text, plain=True, tied=kind == "tied")
    tokens, labels = batch(Text)

    def loss(params):
        return LOSS(functional_call(reference, params, tokens), labels)

    before = parameters(model)

    def at_table(table, params):
        return loss({**params, "embedding.weight": table})

    def objective(params):
        table = params["embedding.weight"]
        r = perturb_table(lambda table: at_table(table, before), before["embedding.weight"], radius=0.5, norm=norm)
        return clean_weight * at_table(table, params) + (1 - clean_weight) * at_table(table + r, params)

    wanted = descended(model, objective)
    options = {"radius": 0.5, "norm": norm, "clean_weight": clean_weight}
    close(after_step(adversarial_training, options, TABLE, model=model)[0], wanted)


@pytest.mark.parametrize("norm", ["l2_squared", "l2", "l1"])
def test_penalty_step_on_a_table_is_of_the_mean_loss(norm):
    model = made(Text, plain=True)
    reference = copy.deepcopy(model)
    tokens, labels = batch(Text)

    def mean_loss(table, params):
        return LOSS(functional_call(reference, {**params, "embedding.weight": table}, tokens), labels).mean()

    def objective(params):
        slope = grad(mean_loss)(params["embedding.weight"], params)
        norms = {"l2_squared": slope.square().sum(), "l2": l2_norm(slope[None])[0], "l1": slope.abs().sum()}
        return mean_loss(params["embedding.weight"], params) + 0.3 * norms[norm]

    wanted = descended(model, objective)
    close(after_step(gradient_penalty_training, {"weight": 0.3, "norm": norm}, TABLE, model=model)[0], wanted)


@both_ways
@pytest.mark.parametrize("tied", [False, True])
def test_virtual_step_on_a_table_is_along_one_vector(tied, how):
    model = made(Text, plain=True, tied=tied)
    reference = copy.deepcopy(model)
    tokens, labels = batch(Text)
    before = parameters(model)

    def logits(params, r):
        shifted = {**params, "embedding.weight": params["embedding.weight"] + r}
        return functional_call(reference, shifted, tokens)

    clean = logits(before, 0)
    table = before["embedding.weight"]
    start = unit(gaussian(3, table.shape, like=table), scope="tensor")
    if how == "fisher":  # Jᵀ(diag p - ppᵀ)Jd
        p = clean.softmax(1)
        _, change = jvp(lambda r: logits(before, r), (torch.zeros_like(table),), (start,))
        weights = p * (change - (p * change).sum(1, keepdim=True))
        slope = grad(lambda r: (logits(before, r) * weights).sum())(torch.zeros_like(table))
    else:
        slope = grad(lambda r: kl_divergence(clean, logits(before, r)).sum())(0.1 * start)
    r = 0.5 * unit(slope, scope="tensor")

    def objective(params):
        return LOSS(logits(params, 0), labels) + 0.8 * kl_divergence(clean, logits(params, r))

    options = {"radius": 0.5, "xi": 0.1, "how": how, "weight": 0.8, "seed": 3}
    wanted = descended(model, objective)
    close(after_step(virtual_adversarial_training, options, TABLE, model=model)[0], wanted, units=1024)


def test_optimiser_sees_the_table_as_it_is():
    """Weight decay of a table that is perturbed would differ."""
    model, reference = made(Text, plain=True), made(Text, plain=True)
    decayed = begun(adversarial_training, {"radius": 0.5}, TABLE, model=model, optimizer=sgd(model, weight_decay=0.5))
    bare = begun(adversarial_training, {"radius": 0.5}, TABLE, model=reference)
    before = parameters(model)
    decayed[1](*batch(Text))
    bare[1](*batch(Text))
    wanted = {name: value - RATE * 0.5 * before[name] for name, value in parameters(reference).items()}
    close(parameters(model), wanted)


def test_repeated_tokens_share_one_perturbation():
    """On the table a token's perturbation is one; on the output every position has its own."""
    model = made(Text, plain=True)
    tokens, labels = batch(Text)
    before = model.embedding.weight.detach().clone()
    with perturbed(model, lambda: LOSS(model(tokens), labels), "embedding", radius=0.5):
        model(tokens)
        moved = model.embedding.weight.detach() - before
    torch.testing.assert_close(moved.norm(), torch.tensor(0.5, dtype=torch.float64))
    unused = sorted(set(range(VOCABULARY)) - set(tokens.flatten().tolist()))
    assert not moved[unused].any() and digest(model.embedding.weight) == digest(before)


@pytest.mark.parametrize("where", ["table", "output"])
@pytest.mark.parametrize(
    ("method", "options"),
    [
        (adversarial_training, {"radius": 0.5}),
        (adversarial_training, {"radius": 0.5, "clean_weight": 0.5}),
        (virtual_adversarial_training, {"radius": 0.5}),
    ],
)
def test_sparse_gradients_train_the_same(method, options, where):
    found = []
    for sparse in (True, False):
        model = made(Text, plain=True, sparse=sparse)
        step = method(model, sgd(model), LOSS, "embedding", where=where, **options)
        for number in range(2):
            step(*batch(Text, number))
        assert model.embedding.weight.grad.is_sparse == sparse
        found.append(parameters(model))
    close(*found)


def test_sparse_output_may_be_penalised():
    model = made(Text, sparse=True)
    gradient_penalty_training(model, sgd(model), LOSS, "embedding", weight=0.5, where="output")(*batch(Text))
    assert model.embedding.weight.grad.is_sparse
