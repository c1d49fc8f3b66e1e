"""PGD, FreeLB, penalties in each way and virtual adversarial training are those of the contract."""

import pytest
import torch
from torch import nn

from impls.torch.adversarial import fgm, freelb_loss, pgd
from impls.torch.losses import entropy, kl_divergence
from impls.torch.objectives import (
    adversarial_objective,
    freelb_objective,
    gradient_penalty_objective,
    virtual_adversarial_objective,
)
from impls.torch.sampling import gaussian, uniform_ball
from impls.torch.virtual_adversarial import vat_loss
from tests.training.torch.by_hand import (
    BATCH,
    EACH,
    LENGTH,
    MEAN,
    RADIUS,
    WIDTH,
    Image,
    Language,
    Text,
    batch,
    gradients,
    length_of,
    made,
    same,
)


@pytest.mark.parametrize("norm", ["l2", "linf", "l1"])
@pytest.mark.parametrize(("start", "bounds"), [("zero", None), ("random", None), ("random", (-3.0, 3.0))])
def test_steps_of_ascent_are_those_of_pgd(norm, start, bounds):
    model, (x, labels) = made(Image), batch(Image)
    objective = adversarial_objective(
        model, EACH, radius=RADIUS, norm=norm, steps=3, start=start, bounds=bounds, seed=5
    )
    begin = torch.zeros_like(x) if start == "zero" else RADIUS * uniform_ball(5, x.shape, like=x, norm=norm)
    options = {"radius": RADIUS, "step": 2.5 * RADIUS / 3, "steps": 3, "norm": norm, "bounds": bounds}
    r = pgd(lambda x: EACH(model(x), labels), x, begin, **options)
    found = objective(x, labels)
    same(gradients(model, found), gradients(model, EACH(model(x + r), labels).mean()))
    if bounds:
        assert (x + r).abs().max() <= 3
        with pytest.raises(ValueError, match=r"inputs: got values from .* within the bounds"):
            adversarial_objective(model, EACH, radius=RADIUS, bounds=(-0.1, 0.1))(x, labels)


def test_a_step_may_have_its_own_length():
    model, (x, labels) = made(Image), batch(Image)
    r = fgm(lambda x: EACH(model(x), labels), x, radius=0.2)
    same(adversarial_objective(model, EACH, radius=RADIUS, step=0.2)(x, labels), EACH(model(x + r), labels).mean())


@pytest.mark.parametrize("start", ["zero", "random"])
def test_freelb_is_the_mean_over_the_ascent(start):
    model, (x, labels) = made(Image), batch(Image)
    begin = torch.zeros_like(x) if start == "zero" else RADIUS * uniform_ball(0, x.shape, like=x)
    options = {"radius": RADIUS, "step": 0.3, "steps": 3}
    wanted = freelb_loss(lambda x: EACH(model(x), labels), x, begin, **options)[0].mean()
    for loss in (EACH, MEAN):
        found = freelb_objective(model, loss, start=start, **options)(x, labels)
        same(gradients(model, found), gradients(model, wanted))


@pytest.mark.parametrize("where", ["output", "table"])
@pytest.mark.parametrize("how", ["forward_over_reverse", "finite_difference"])
@pytest.mark.parametrize("norm", ["l2_squared", "l2", "l1"])
def test_the_ways_to_a_penalty_agree(how, norm, where):
    model = made(Text)
    ways = [
        gradient_penalty_objective(model, EACH, "embedding", weight=0.5, where=where, norm=norm, how=way, xi=1e-4)
        for way in ("double_backward", how)
    ]
    wanted, found = (gradients(model, way(*batch(Text))) for way in ways)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6 if how == "finite_difference" else 1e-14)


@pytest.mark.parametrize("norm", ["l2_squared", "l2", "l1"])
def test_a_difference_along_samples_that_share_statistics_is_along_all_of_them(norm):
    model = made(lambda: nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.BatchNorm1d(WIDTH), Image()))
    options = {"weight": 0.5, "norm": norm}
    wanted = gradients(model, gradient_penalty_objective(model, EACH, **options)(*batch(Image)))
    difference = gradient_penalty_objective(model, EACH, how="finite_difference", xi=1e-4, **options)
    torch.testing.assert_close(gradients(model, difference(*batch(Image))), wanted, rtol=0, atol=1e-6)
    forward = gradient_penalty_objective(model, EACH, how="forward_over_reverse", **options)
    same(gradients(model, forward(*batch(Image))), wanted, units=256)


def test_the_regulariser_alone_needs_no_labels():
    model, (x, labels) = made(Image), batch(Image)
    unlabelled = batch(Image, 1)[0]
    vat = virtual_adversarial_objective(model, None, radius=RADIUS, entropy_weight=0.5)
    start = gaussian(0, unlabelled.shape, like=unlabelled)
    options = {"radius": RADIUS, "entropy_weight": 0.5}
    wanted = vat_loss(model, unlabelled, start, **options).mean()
    found = MEAN(model(x), labels) + 0.3 * vat(unlabelled)
    same(gradients(model, found), gradients(model, MEAN(model(x), labels) + 0.3 * wanted), units=1024)
    vat.radius = 0.0
    assert vat(unlabelled).requires_grad


@pytest.mark.parametrize("how", ["fisher", "finite_difference"])
def test_divergences_of_positions_are_averaged_over_valid_ones(how):
    model, (tokens, _) = made(Language), batch(Language)
    mask = torch.ones(BATCH, LENGTH)
    mask[:3, 3:] = 0
    options = {"radius": RADIUS, "xi": 0.1, "how": how, "entropy_weight": 0.5}
    objective = virtual_adversarial_objective(model, None, "embedding", mask=lambda _: mask, **options)

    def at(x):
        return model.output(torch.tanh(model.hidden(x)))

    def mean(values):
        return (values * mask).sum(1) / mask.sum(1)

    x, clean = model.embedding(tokens), model(tokens)
    d = gaussian(0, x.shape, like=x) * mask[:, :, None]
    if how == "fisher":  # Jᵀ(diag p - ppᵀ)Jd, of each position by its share
        p, (_, change) = clean.softmax(2), torch.func.jvp(at, (x.detach(),), (d,))
        weights = p * (change - (p * change).sum(2, keepdim=True)) * (mask / mask.sum(1, keepdim=True))[:, :, None]
        g = torch.autograd.grad(at(leaf := x.detach().requires_grad_()), leaf, weights.detach())[0]
    else:
        leaf = (0.1 * d / length_of(d)).requires_grad_()
        near = kl(clean.detach(), at(x.detach() + leaf))
        (g,) = torch.autograd.grad(mean(near).sum(), leaf)
    g = g * mask[:, :, None]
    there = kl(clean.detach(), at(x + RADIUS * g / length_of(g)))
    wanted = (mean(there) + 0.5 * mean(entropy(clean.flatten(0, 1)).reshape(BATCH, LENGTH))).mean()
    same(gradients(model, objective(tokens)), gradients(model, wanted), units=1024)


def kl(p, q):
    return kl_divergence(p.flatten(0, 1), q.flatten(0, 1)).reshape(p.shape[:2])


@pytest.mark.parametrize("flat", [False, True])
def test_one_sigmoid_logit_is_two_classes(flat):
    class One(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(WIDTH, 1)

        def forward(self, x):
            z = torch.tanh(self.linear(x))
            return z[:, 0] if flat else z

    model, (x, _) = made(One), batch(Image)

    def two(x):
        z = model(x).reshape(-1, 1)
        return torch.cat([z, torch.zeros_like(z)], 1)

    wanted = vat_loss(two, x, gaussian(0, x.shape, like=x), radius=RADIUS, xi=0.1).mean()
    found = virtual_adversarial_objective(model, None, radius=RADIUS, xi=0.1, outputs="sigmoid")(x)
    same(gradients(model, found), gradients(model, wanted), units=1024)
    with pytest.raises(ValueError, match=r"model: got"):
        virtual_adversarial_objective(model, None, radius=RADIUS)(x)
