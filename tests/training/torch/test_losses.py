"""Losses: the framework's own mean, weights of classes, positions that are ignored."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from impls.torch.objectives import adversarial_objective, gradient_penalty_objective
from tests.training.torch.by_hand import (
    EACH,
    MEAN,
    RADIUS,
    ByPosition,
    Image,
    Language,
    batch,
    fgm_by_hand,
    gradients,
    length_of,
    made,
    same,
)


def test_the_frameworks_own_mean_will_do():
    model = made(Image)
    for options in ({}, {"norm": "linf"}, {"norm": "l1", "clean_weight": 0.3}, {"steps": 2, "scope": "tensor"}):
        found = [adversarial_objective(model, loss, radius=RADIUS, **options) for loss in (MEAN, EACH)]
        same(*(gradients(model, objective(*batch(Image))) for objective in found))


CLASS_WEIGHTS = torch.tensor([0.2, 1.0, 3.0], dtype=torch.float64)


def weighted(logits, labels):
    return F.cross_entropy(logits, labels, CLASS_WEIGHTS, reduction="none"), CLASS_WEIGHTS[labels]


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(CLASS_WEIGHTS), weighted], ids=["their mean", "a pair"])
def test_class_weights_divide_as_the_frameworks_own_mean(loss):
    model, (x, labels) = made(Image), batch(Image)
    own = nn.CrossEntropyLoss(CLASS_WEIGHTS)
    found = adversarial_objective(model, loss, radius=RADIUS)(x, labels)
    same(gradients(model, found), gradients(model, fgm_by_hand(model, x, labels, loss=own)))
    plain = adversarial_objective(model, loss, radius=0.0)(x, labels)
    same(plain, own(model(x), labels), units=0 if loss is not weighted else 4)  # a sum of its own order


@pytest.mark.parametrize("norm", ["l2", "raw"])
def test_ignored_positions_count_nothing(norm):
    model, (tokens, labels) = made(Language), batch(Language)
    labels[:4, 2:] = 7
    loss, own = ByPosition(reduction="none", ignore_index=7), ByPosition(ignore_index=7)
    found = adversarial_objective(model, loss, "hidden", where="output", radius=RADIUS, norm=norm)(tokens, labels)
    hidden = model.hidden(model.embedding(tokens))

    def at(h):
        return model.output(torch.tanh(h))

    leaf, valid = hidden.detach().requires_grad_(), labels != 7
    (g,) = torch.autograd.grad((loss(at(leaf), labels).sum(1) / valid.sum(1)).sum(), leaf)
    wanted = own(at(hidden + RADIUS * (g if norm == "raw" else g / length_of(g))), labels)
    same(gradients(model, found), gradients(model, wanted))
    plain = adversarial_objective(model, loss, "embedding", radius=0.0)(tokens, labels)
    same(plain, own(model(tokens), labels), units=4)


def test_a_number_is_refused_where_its_factor_would_matter():
    model = made(Image)
    for method, options in (
        (adversarial_objective, {"radius": RADIUS, "norm": "raw"}),
        (gradient_penalty_objective, {"weight": 1.0}),
        (gradient_penalty_objective, {"weight": 1.0, "how": "finite_difference"}),
    ):
        with pytest.raises(ValueError, match=r'loss: got shape \(\), expected \(6,\).*reduction="none".*weights'):
            method(model, MEAN, **options)(*batch(Image))


@pytest.mark.parametrize("classes", [1, 3])
def test_numbers_with_targets_of_their_shape_are_averaged_as_by_the_frameworks_own_mean(classes):
    """One logit a sample, (B, 1), or one a label of several."""
    model, (x, _) = nn.Linear(4, classes).double(), batch(Image)
    targets = torch.randint(2, (len(x), classes), generator=torch.Generator().manual_seed(0)).double()
    wanted = gradients(model, fgm_by_hand(model, x, targets, loss=nn.BCEWithLogitsLoss()))
    found = adversarial_objective(model, nn.BCEWithLogitsLoss(reduction="none"), radius=RADIUS)(x, targets)
    same(gradients(model, found), wanted)
