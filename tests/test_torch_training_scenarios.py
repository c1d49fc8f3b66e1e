"""Objectives in the loops that people run, each against the same step written by hand in plain PyTorch."""

import copy
import re
from collections import UserDict
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("torch")

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

from impls.torch.adversarial import fgm, freelb_loss, pgd
from impls.torch.losses import entropy, kl_divergence
from impls.torch.objectives import (
    adversarial_objective,
    freelb_objective,
    gradient_penalty_objective,
    virtual_adversarial_objective,
)
from impls.torch.sampling import gaussian, uniform_ball
from impls.torch.smoothness import Smoothness
from impls.torch.training import (
    adversarial_training,
    freelb_training,
    gradient_penalty_training,
    virtual_adversarial_training,
)
from impls.torch.virtual_adversarial import vat_loss

EACH = nn.CrossEntropyLoss(reduction="none")
MEAN = nn.CrossEntropyLoss()
BATCH, LENGTH, WIDTH, CLASSES, VOCABULARY, RATE, RADIUS = 6, 5, 4, 3, 11, 0.1, 0.5
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def one_thread(bridge):
    """On models this small threads only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Image(nn.Module):
    """Inputs (B, 4) to logits (B, 3)."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(WIDTH, 6), nn.Linear(6, CLASSES)

    def forward(self, x):
        return self.second(torch.tanh(self.first(x)))


class Text(nn.Module):
    """Tokens (B, T) to logits (B, 3)."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.head = Image()

    def forward(self, tokens):
        return self.head(torch.tanh(self.embedding(tokens)).mean(1))


class Language(nn.Module):
    """Tokens (B, T) to logits (B, T, V), by a table that the output layer is tied to."""

    def __init__(self):
        super().__init__()
        self.embedding, self.hidden = nn.Embedding(VOCABULARY, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.output = nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.output.weight = self.embedding.weight

    def forward(self, tokens):
        return self.output(torch.tanh(self.hidden(self.embedding(tokens))))


def made(kind, dtype=torch.float64):
    torch.manual_seed(0)
    return kind().to(dtype)


def batch(kind, number=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(number)
    if kind is Image:
        x = torch.randn(BATCH, WIDTH, generator=generator, dtype=dtype)
    else:
        x = torch.randint(VOCABULARY, (BATCH, LENGTH), generator=generator)
    if kind is Language:
        return x, x.roll(-1, 1)
    return x, torch.randint(CLASSES, (BATCH,), generator=generator)


def gradients(model, value):
    """Flat, of all parameters."""
    found = torch.autograd.grad(value, list(model.parameters()), retain_graph=True, allow_unused=True)
    filled = [torch.zeros_like(p) if g is None else g for p, g in zip(model.parameters(), found, strict=True)]
    return torch.cat([value.detach()[None], *(g.detach().flatten() for g in filled)])


def same(found, wanted, units=64):
    """Equal to rounding of the largest number."""
    unit = torch.finfo(wanted.dtype).eps / 2
    assert (found - wanted).abs().max() <= units * unit * max(1, wanted.abs().max())


def parameters(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


# The steps by hand.


def length_of(g):
    return g.flatten(1).norm(dim=1).reshape(-1, *[1] * (g.dim() - 1))


def fgm_by_hand(model, x, labels, radius=RADIUS, loss=MEAN):
    """The clean gradient of the input, one norm a sample, and the loss there."""
    leaf = x.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(loss(model(leaf), labels), leaf)
    return loss(model(x + radius * g / length_of(g)), labels)


def with_table(model, table, *inputs, name="embedding.weight"):
    return functional_call(model, {name: table}, inputs, tie_weights=True)


def fgm_on_table_by_hand(model, tokens, labels, radius=RADIUS, loss=MEAN, name="embedding.weight"):
    """The same on a table, which every use sees."""
    table = model.get_parameter(name)
    leaf = table.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(loss(with_table(model, leaf, tokens, name=name), labels), leaf)
    return loss(with_table(model, table + radius * g / g.norm(), tokens, name=name), labels)


def by_position(logits, labels):
    return F.cross_entropy(logits.transpose(1, 2), labels)


# Loops.


def test_gradients_are_accumulated_over_micro_batches():
    model = made(Image)
    objective = adversarial_objective(model, MEAN, radius=RADIUS)
    wanted = sum(gradients(model, fgm_by_hand(model, *batch(Image, n)) / 3) for n in range(3))
    for number in range(3):
        (objective(*batch(Image, number)) / 3).backward()
    same(torch.cat([parameter.grad.flatten() for parameter in model.parameters()]), wanted[1:])


def test_a_batch_in_micro_batches_is_the_batch():
    model, (x, labels) = made(Image), batch(Image)
    for method, options in ((adversarial_objective, {"radius": RADIUS}), (gradient_penalty_objective, {"weight": 0.5})):
        objective = method(model, EACH, **options)
        parts = zip(x.chunk(3), labels.chunk(3), strict=True)
        same(sum(gradients(model, objective(*part) / 3) for part in parts), gradients(model, objective(x, labels)))


def test_gradients_are_clipped_after_the_backward_pass():
    model, reference = made(Image), made(Image)
    optimizers = [torch.optim.SGD(one.parameters(), RATE) for one in (model, reference)]
    values = adversarial_objective(model, MEAN, radius=RADIUS)(*batch(Image)), fgm_by_hand(reference, *batch(Image))
    for one, optimizer, value in zip((model, reference), optimizers, values, strict=True):
        value.backward()
        nn.utils.clip_grad_norm_(one.parameters(), 1e-3)
        optimizer.step()
    same(parameters(model), parameters(reference))


@pytest.mark.parametrize(
    ("method", "options"),
    [
        (adversarial_training, {"radius": RADIUS, "clean_weight": 0.5}),
        (freelb_training, {"radius": RADIUS, "step": 0.2, "steps": 2}),
        (gradient_penalty_training, {"weight": 1.0}),
        (virtual_adversarial_training, {"radius": RADIUS}),
    ],
)
def test_a_hook_before_the_optimisers_step_clips_the_one_step(method, options):
    model = made(Image)
    before = parameters(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)

    def clip(*_):
        nn.utils.clip_grad_norm_(model.parameters(), 1e-3)

    optimizer.register_step_pre_hook(clip)
    method(model, optimizer, EACH, **options)(*batch(Image))
    torch.testing.assert_close((parameters(model) - before).norm().item(), 1e-3, rtol=1e-2, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_loss_that_is_scaled_trains_as_one_that_is_not(dtype):
    """Under autocast, with a GradScaler: the reference runs under it, too, unscaled."""
    model, reference, (x, labels) = (
        made(Image, torch.float32),
        made(Image, torch.float32),
        batch(Image, 0, torch.float32),
    )
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    optimizer, plain = (torch.optim.SGD(one.parameters(), RATE) for one in (model, reference))
    with torch.autocast("cpu", dtype):
        value = adversarial_objective(model, MEAN, radius=RADIUS)(x, labels)
        wanted = fgm_by_hand(reference, x, labels)
    scaler.scale(value).backward()
    scaler.step(optimizer)
    scaler.update()
    wanted.backward()
    plain.step()
    assert not torch.equal(parameters(model), parameters(made(Image, torch.float32)))
    torch.testing.assert_close(parameters(model), parameters(reference), rtol=0, atol=4e-3 * RATE)


def test_a_loss_too_small_for_float16_has_a_direction_all_the_same():
    model, (x, labels) = made(Image, torch.float32), batch(Image, 0, torch.float32)

    def tiny(logits, labels):
        return EACH(logits, labels) * 2.0**-20

    with torch.autocast("cpu", torch.float16):
        value = adversarial_objective(model, tiny, radius=RADIUS)(x, labels)
        clean, wanted = tiny(model(x), labels).mean(), fgm_by_hand(model, x, labels, loss=summed) * 2.0**-20 / BATCH
    assert value > clean
    torch.testing.assert_close(value, wanted, rtol=1e-2, atol=0)


def summed(logits, labels):
    return EACH(logits, labels).sum()


@pytest.mark.parametrize("cache", [False, True])
def test_autocast_cannot_serve_the_clean_table_to_a_tied_head(cache):
    model, (tokens, labels) = made(Language, torch.float32), batch(Language)
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=cache):
        found = adversarial_objective(model, tokens_loss, "embedding", radius=5.0)(tokens, labels)
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        wanted = fgm_on_table_by_hand(model, tokens, labels, 5.0, loss=lambda o, y: tokens_loss(o, y).mean())
    torch.testing.assert_close(found, wanted, rtol=1e-2, atol=0)
    found.backward()
    assert model.embedding.weight.grad.abs().sum() > 0


def tokens_loss(logits, labels):
    return F.cross_entropy(logits.transpose(1, 2).float(), labels, reduction="none").mean(1)


def test_several_optimisers_share_a_backward_pass():
    model, reference = made(Image), made(Image)
    for one, value in ((model, adversarial_objective(model, MEAN, radius=RADIUS)(*batch(Image))), (reference, None)):
        optimizers = torch.optim.SGD(one.first.parameters(), RATE), torch.optim.Adam(one.second.parameters(), RATE)
        (fgm_by_hand(reference, *batch(Image)) if value is None else value).backward()
        for optimizer in optimizers:
            optimizer.step()
    same(parameters(model), parameters(reference))


def test_averages_and_schedules_follow_the_one_step():
    found = []
    for by_hand in (False, True):
        model = made(Image)
        average = torch.optim.swa_utils.AveragedModel(
            model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)
        )
        optimizer = torch.optim.SGD(model.parameters(), RATE)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        step = adversarial_training(model, optimizer, MEAN, radius=RADIUS)
        for number in range(3):
            if by_hand:
                optimizer.zero_grad()
                fgm_by_hand(model, *batch(Image, number)).backward()
                optimizer.step()
            else:
                step(*batch(Image, number))
            average.update_parameters(model)
            schedule.step()
        found.append(parameters(average))
    same(*found)


@pytest.mark.parametrize("set_to_none", [False, True])
def test_an_optimiser_within_the_backward_pass_steps_once_a_parameter(set_to_none):
    model, reference, stepped = made(Image), made(Image), []
    optimizers = {p: torch.optim.SGD([p], RATE) for p in model.parameters()}

    def hook(parameter):
        optimizers[parameter].step()
        optimizers[parameter].zero_grad(set_to_none=set_to_none)
        stepped.append(parameter)

    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(hook)
    objective = adversarial_objective(model, MEAN, radius=RADIUS, clean_weight=0.5)
    objective(*batch(Image)).backward()
    assert len(stepped) == len(set(stepped)) == 4
    optimizer = torch.optim.SGD(reference.parameters(), RATE)
    (0.5 * fgm_by_hand(reference, *batch(Image)) + 0.5 * MEAN(reference(batch(Image)[0]), batch(Image)[1])).backward()
    optimizer.step()
    same(parameters(model), parameters(reference))


def test_a_frozen_backbone_is_perturbed_and_stays():
    """As with adapters, of which the base is frozen: its output may be perturbed, its table may not."""
    model, (tokens, labels) = made(Text), batch(Text)
    for part in (model.embedding, model.head.first):
        part.requires_grad_(False)
    value = adversarial_objective(model, MEAN, "embedding", radius=RADIUS, where="output")(tokens, labels)
    embedded = model.embedding(tokens)
    same(value, fgm_by_hand(lambda e: model.head(torch.tanh(e).mean(1)), embedded, labels))
    value.backward()
    assert model.embedding.weight.grad is None and model.head.second.weight.grad is not None
    assert [p.requires_grad for p in model.parameters()] == [False, False, False, True, True]
    with pytest.raises(RuntimeError, match=r"frozen.*where=\"output\""):
        adversarial_objective(model, MEAN, "embedding", radius=RADIUS)(tokens, labels)


class Ignoring(torch.optim.SGD):
    """An optimiser that, like Accelerate's while gradients are accumulated, does nothing."""

    def step(self, closure=None):
        return None


def test_an_optimiser_that_takes_no_step_is_refused():
    model = made(Image)
    step = adversarial_training(model, Ignoring(model.parameters(), RATE), MEAN, radius=RADIUS)
    with pytest.raises(RuntimeError, match=r"optimizer: got a Ignoring that did not call its closure.*objective"):
        step(*batch(Image))
    assert all(parameter.grad is None for parameter in model.parameters()) and step.state_dict() == {"calls": 0}


class Sharpness(torch.optim.SGD):
    """Sharpness-aware minimisation as published: up along the gradient, the closure again, and down from there."""

    @torch.no_grad()
    def step(self, closure):
        parameters = [p for group in self.param_groups for p in group["params"]]
        before = [p.clone() for p in parameters]
        for p in parameters:
            p.add_(p.grad, alpha=0.1)
        closure()
        for p, kept in zip(parameters, before, strict=True):
            p.copy_(kept)
        super().step()


def test_an_optimiser_that_evaluates_elsewhere_is_given_the_objective_there():
    model, reference = made(Image), made(Image)
    adversarial_training(model, Sharpness(model.parameters(), RATE), MEAN, radius=RADIUS)(*batch(Image))
    optimizer = Sharpness(reference.parameters(), RATE)

    def closure():
        optimizer.zero_grad()
        with torch.enable_grad():
            fgm_by_hand(reference, *batch(Image)).backward()

    closure()
    optimizer.step(closure)
    same(parameters(model), parameters(reference))


# The objective as a value.


METHODS = {
    "fgm": (adversarial_objective, {"radius": RADIUS}),
    "fgm, half clean": (adversarial_objective, {"radius": RADIUS, "clean_weight": 0.5}),
    "pgd": (adversarial_objective, {"radius": RADIUS, "steps": 2, "start": "random"}),
    "freelb": (freelb_objective, {"radius": RADIUS, "step": 0.3, "steps": 2}),
    "penalty": (gradient_penalty_objective, {"weight": 0.5}),
    "penalty, difference": (gradient_penalty_objective, {"weight": 0.5, "how": "finite_difference"}),
    "vat": (virtual_adversarial_objective, {"radius": RADIUS, "entropy_weight": 0.5}),
}
every_method = pytest.mark.parametrize(("method", "options"), METHODS.values(), ids=METHODS)
PLACES = {
    "input": (Image, None, "input"),
    "output": (Text, "embedding", "output"),
    "table": (Text, "embedding", "table"),
}
every_place = pytest.mark.parametrize(("kind", "target", "where"), PLACES.values(), ids=PLACES)


@every_method
@every_place
def test_objectives_may_wait_for_each_other(method, options, kind, target, where):
    """Two are alive at once, and are differentiated in the other order, after a further one."""
    model = made(kind)
    objective = method(model, EACH, target, where=where, **options)
    alone = []
    for number in range(2):
        alone.append(gradients(model, objective(*batch(kind, number))))
    objective.load_state_dict({"calls": 0})
    first, second = objective(*batch(kind, 0)), objective(*batch(kind, 1))
    objective(*batch(kind, 2))
    assert torch.equal(gradients(model, second), alone[1]) and torch.equal(gradients(model, first), alone[0])


@every_method
def test_a_sum_of_objectives_has_the_sum_of_their_gradients(method, options):
    model = made(Image)
    one, other = method(model, EACH, **options), adversarial_objective(model, MEAN, radius=1.0, norm="linf")
    apart = gradients(model, one(*batch(Image))) + gradients(model, other(*batch(Image)))
    one.load_state_dict({"calls": 0})
    same(gradients(model, one(*batch(Image)) + other(*batch(Image))), apart)


def test_the_caller_may_differentiate_the_gradient():
    """create_graph, as a penalty on the parameters' gradient asks for."""
    model = made(Image)
    found = []
    for value in (adversarial_objective(model, MEAN, radius=RADIUS)(*batch(Image)), fgm_by_hand(model, *batch(Image))):
        slopes = torch.autograd.grad(value, list(model.parameters()), create_graph=True)
        found.append(gradients(model, sum(slope.square().sum() for slope in slopes)))
    same(*found)


@every_method
@every_place
def test_calls_are_counted_and_may_be_resumed(method, options, kind, target, where):
    def trained(pause):
        model = made(kind)
        torch.manual_seed(1)
        step = {
            adversarial_objective: adversarial_training,
            freelb_objective: freelb_training,
            gradient_penalty_objective: gradient_penalty_training,
            virtual_adversarial_objective: virtual_adversarial_training,
        }[method]
        begin = lambda: step(model, torch.optim.SGD(model.parameters(), RATE), EACH, target, where=where, **options)  # noqa: E731
        training = begin()
        for number in range(3):
            training(*batch(kind, number))
            if pause and number == 0:
                state = training.state_dict()
                training = begin()
                training.load_state_dict(state)
        assert training.state_dict() == {"calls": 3}
        return parameters(model)

    assert torch.equal(trained(False), trained(True))


def test_the_radius_may_be_set_and_scheduled():
    model = made(Image)
    scheduled = adversarial_objective(model, MEAN, radius=lambda number: 0.1 * number)
    objective = adversarial_objective(model, MEAN, radius=9.0)
    for number in range(3):
        objective.radius = 0.1 * number
        wanted = fgm_by_hand(model, *batch(Image, number), 0.1 * number)
        same(scheduled(*batch(Image, number)), wanted)
        same(objective(*batch(Image, number)), wanted)
    for wrong in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="radius: got"):
            objective.radius = wrong
    with pytest.raises(ValueError, match=r"radius: got -1"):
        adversarial_objective(model, MEAN, radius=lambda number: -1.0)(*batch(Image))
    with pytest.raises(AttributeError, match="weight: this objective has none, only radius"):
        objective.weight = 1.0
    step = gradient_penalty_training(model, torch.optim.SGD(model.parameters(), 0.0), EACH, weight=1.0)
    step.weight = 0.0
    assert torch.equal(step(*batch(Image)), EACH(model(batch(Image)[0]), batch(Image)[1]).mean().detach())


@every_method
def test_a_model_in_evaluation_mode_may_be_trained(method, options):
    model = made(lambda: nn.Sequential(nn.BatchNorm1d(WIDTH), Image(), nn.Dropout(0.5))).eval()
    before = [buffer.clone() for buffer in model.buffers()]
    method(model, EACH, **options)(*batch(Image)).backward()
    assert all(map(torch.equal, model.buffers(), before)) and not model.training


def test_inputs_may_have_a_graph_of_their_own():
    """The gradient goes on to what they were computed from, as from a plain step."""
    model, (x, labels) = made(Image), batch(Image)
    found = []
    for objective in (adversarial_objective(model, MEAN, radius=RADIUS), lambda x, y: fgm_by_hand(model, x, y)):
        scale = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
        objective(x * scale, labels).backward()
        found.append(scale.grad)
    same(*found)


# Methods.


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


HALVES = {  # what the model's numbers are held in, and what autocast computes in
    "bfloat16": (torch.bfloat16, None),
    "float16": (torch.float16, None),
    "autocast to bfloat16": (torch.float32, torch.bfloat16),
    "autocast to float16": (torch.float32, torch.float16),
}
HALF_SITES = {  # target, where, as seen by the model's functional form
    "input": (Image, None, "output"),
    "output under a mask": (Language, "embedding", "output"),
    "table": (Language, "embedding", "table"),
}


@pytest.mark.parametrize("site", HALF_SITES)
@pytest.mark.parametrize("half", HALVES)
def test_directions_survive_half_precision(half, site, monkeypatch):
    """Confident samples among them: of each the direction is float64's, and none is lost."""
    kind, target, where = HALF_SITES[site]
    held, computed = HALVES[half]
    rounded = torch.bfloat16 if torch.bfloat16 in (held, computed) else torch.float16
    exact = made(kind)
    with torch.no_grad():
        last = exact.second if kind is Image else exact.output
        last.weight.mul_(torch.linspace(1, 8, len(last.weight))[:, None])
        for parameter in exact.parameters():
            parameter.copy_(parameter.to(rounded))
    given = batch(kind)[0]
    given = given.to(rounded) if given.is_floating_point() else given
    mask = None
    if where == "output" and target:
        mask = torch.ones(BATCH, LENGTH)
        mask[:3, 3:] = 0
    found = []
    direction = Smoothness.direction

    def noted(*args):
        found.append(direction(*args))
        return found[0]

    monkeypatch.setattr(Smoothness, "direction", noted)
    options = {"where": where, "radius": RADIUS, "seed": 5}
    if mask is not None:
        options["mask"] = lambda _: mask
    objective = virtual_adversarial_objective(copy.deepcopy(exact).to(held), None, target, **options)
    with torch.autocast("cpu", computed, enabled=computed is not None):
        objective(given.to(held) if given.is_floating_point() else given)
    wanted = direction_by_hand(exact, given, target, where, mask)
    cosines = F.cosine_similarity(found[0].double(), wanted, dim=1)
    assert cosines.min() >= 0.99
    assert (found[0].norm(dim=1) - 1).abs().max() < 1e-6


def direction_by_hand(model, given, target, where, mask):
    """Jᵀ(diag p - ppᵀ)Jd in float64, from the start that float32 draws, as rows."""
    table = dict(model.named_parameters()).get("embedding.weight")
    at = given.double() if target is None else table if where == "table" else model.embedding(given)

    def logits(point):
        if target is None:
            return model(point)
        if where == "table":
            return torch.func.functional_call(model, {"embedding.weight": point}, (given,))
        return model.output(torch.tanh(model.hidden(point)))

    at = at.detach()
    shape = (1, at.numel()) if where == "table" else (len(at), at[0].numel())
    weight = torch.ones_like(at) if mask is None else mask[:, :, None].double().expand_as(at)
    d = gaussian(5, shape, like=torch.empty(0)).double().reshape(at.shape) * weight
    d = d if where == "table" else d / d.flatten(1).norm(dim=1).reshape(-1, *[1] * (at.dim() - 1))
    values, change = torch.func.jvp(logits, (at,), (d,))
    p = values.softmax(-1)
    weights = p * (change - (p * change).sum(-1, keepdim=True))
    if values.dim() == 3:
        counts = torch.ones(values.shape[:2]) if mask is None else mask
        weights = weights * (counts / counts.sum(1, keepdim=True))[:, :, None]
    pulled = torch.func.vjp(logits, at)[1](weights)[0] * weight
    return pulled.reshape(shape).detach()


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


# Losses.


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


class ByPosition(nn.CrossEntropyLoss):
    """(B, T, V) and (B, T) to (B, T), or their mean."""

    def forward(self, logits, labels):
        return super().forward(logits.transpose(1, 2), labels)


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


# Inputs, outputs and targets.


class Outputs(NamedTuple):
    loss: Any
    logits: Any


class Encoder(nn.Module):
    """Tokens, a mask and labels by name, to an object with .loss and .logits, as transformers has it."""

    def __init__(self):
        super().__init__()
        self.text = Text()

    def forward(self, tokens, mask, labels=None, scale=None):
        x = torch.tanh(self.text.embedding(tokens)) * mask[:, :, None]
        logits = self.text.head(x.sum(1) / mask.sum(1, keepdim=True)) * (1 if scale is None else scale)
        return Outputs(None if labels is None else MEAN(logits, labels), logits)


def encoded():
    tokens, labels = batch(Text)
    mask = torch.ones(BATCH, LENGTH, dtype=torch.float64)
    mask[:3, 2:] = 0
    return {"tokens": tokens, "mask": mask, "labels": labels}


@pytest.mark.parametrize("kind", [dict, UserDict], ids=["dict", "BatchEncoding"])
def test_a_batch_by_name_and_the_models_own_loss(kind):
    model, inputs = made(Encoder), encoded()
    objective = adversarial_objective(model, lambda outputs, _: outputs.loss, "embedding", radius=RADIUS)
    found = objective(kind(inputs))

    def loss(outputs, _):
        return outputs.loss

    table = model.text.embedding.weight
    leaf = table.detach().clone().requires_grad_()
    name = "text.embedding.weight"
    (g,) = torch.autograd.grad(functional_call(model, {name: leaf}, (), inputs).loss, leaf)
    wanted = functional_call(model, {name: table + RADIUS * g / g.norm()}, (), inputs).loss
    same(gradients(model, found), gradients(model, wanted))
    with pytest.raises(ValueError, match=r"expected one of .*mask"):
        adversarial_objective(model, loss, "nothing", where="input", radius=RADIUS)(inputs)


def test_logits_of_an_object_are_found_and_those_of_a_tuple_asked_for():
    model, inputs = made(Encoder), encoded()
    labels = inputs.pop("labels")
    found = virtual_adversarial_objective(model, MEAN, "embedding", radius=RADIUS)(inputs, labels)
    assert found.isfinite()
    pair = made(lambda: nn.LSTM(WIDTH, CLASSES, batch_first=True))
    x, labels = batch(Image)[0][:, None], batch(Image)[1]
    for method, loss in ((virtual_adversarial_objective, None), (adversarial_objective, MEAN)):
        with pytest.raises(TypeError, match=r"model: got outputs of type tuple.*logits=lambda outputs: outputs\[0\]"):
            method(pair, loss, radius=RADIUS)(x, labels)
    objective = adversarial_objective(pair, MEAN, radius=RADIUS, logits=lambda outputs: outputs[0][:, 0])
    same(objective(x, labels), fgm_by_hand(lambda x: pair(x)[0][:, 0], x, labels))
    assert virtual_adversarial_objective(pair, None, radius=1.0, logits=lambda o: o[0][:, 0])(x).isfinite()


def test_padding_is_left_alone():
    model, inputs = made(Encoder), encoded()
    mask, options = inputs["mask"], {"where": "output", "radius": RADIUS, "scope": "tensor"}

    def own(outputs, _):
        return outputs.loss

    def at(x):
        x = (torch.tanh(x) * mask[:, :, None]).sum(1) / mask.sum(1, True)
        return MEAN(model.text.head(x), inputs["labels"])

    embedded = model.text.embedding(inputs["tokens"])
    leaf = embedded.detach().requires_grad_()
    (g,) = torch.autograd.grad(at(leaf * 1), leaf)
    g = g * mask[:, :, None]
    for where in ("mask", lambda batch: batch["mask"]):
        found = adversarial_objective(model, own, "embedding", mask=where, **options)(inputs)
        same(gradients(model, found), gradients(model, at(embedded + RADIUS * g / g.norm())))
    with pytest.raises(ValueError, match=r"mask: got shape \(2, 2\), expected"):
        adversarial_objective(model, own, "embedding", mask=lambda _: torch.ones(2, 2), **options)(inputs)


class Two(nn.Module):
    """Two inputs, one of them nested."""

    def __init__(self):
        super().__init__()
        self.model = Image()

    def forward(self, left, more):
        return self.model(left + 2 * more["right"][0].square())


def test_several_inputs_are_one_vector():
    model, (left, labels), (right, _) = made(Two), batch(Image), batch(Image, 1)
    inputs = (left, {"right": [right]})
    objective = adversarial_objective(model, MEAN, [0, (1, "right", 0)], where="input", radius=RADIUS)
    leaves = [part.clone().requires_grad_() for part in (left, right)]
    g = torch.autograd.grad(MEAN(model(leaves[0], {"right": [leaves[1]]}), labels), leaves)
    length = length_of(torch.cat(g, 1))
    wanted = MEAN(model(left + RADIUS * g[0] / length, {"right": [right + RADIUS * g[1] / length]}), labels)
    same(gradients(model, objective(inputs, labels)), gradients(model, wanted))
    alone = adversarial_objective(model, MEAN, (1, "right", 0), where="input", radius=RADIUS)
    same(alone(inputs, labels), fgm_by_hand(lambda x: model(left, {"right": [x]}), right, labels))
    with pytest.raises(ValueError, match=r'several inputs fit, expected one of .* with where="input"'):
        adversarial_objective(model, MEAN, radius=RADIUS)({"left": left, "more": {"right": [right]}}, labels)


def test_several_tables_are_one_vector():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.places = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(LENGTH, WIDTH)
            self.head = Image()

        def forward(self, tokens):
            return self.head(torch.tanh(self.words(tokens) * self.places.weight).mean(1))

    model, (tokens, labels) = made(Pair), batch(Text)
    objective = adversarial_objective(model, MEAN, ["words", "places"], radius=RADIUS)
    names = ["words.weight", "places.weight"]
    tables = [model.get_parameter(name) for name in names]
    leaves = [table.detach().clone().requires_grad_() for table in tables]
    g = torch.autograd.grad(MEAN(functional_call(model, dict(zip(names, leaves, strict=True)), tokens), labels), leaves)
    length = torch.cat([part.flatten() for part in g]).norm()
    moved = {name: table + RADIUS * part / length for name, table, part in zip(names, tables, g, strict=True)}
    wanted = MEAN(functional_call(model, moved, tokens), labels)
    same(gradients(model, objective(tokens, labels)), gradients(model, wanted))


def test_a_tied_head_sees_the_same_table():
    model, (tokens, labels) = made(Language), batch(Language)
    objective = adversarial_objective(model, ByPosition(), "embedding", radius=RADIUS)
    wanted = fgm_on_table_by_hand(model, tokens, labels, loss=by_position)
    same(gradients(model, objective(tokens, labels)), gradients(model, wanted))
    assert model.output.weight is model.embedding.weight and isinstance(model.output.weight, nn.Parameter)


# Modules of all kinds.


REPARAMETRISED = {
    "weight_norm": lambda part: parametrizations.weight_norm(part),
    "spectral_norm": lambda part: parametrizations.spectral_norm(part),
    "orthogonal": lambda part: parametrizations.orthogonal(part),
    "weight_norm as it was": lambda part: nn.utils.weight_norm(part),
    "spectral_norm as it was": lambda part: nn.utils.spectral_norm(part),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
@pytest.mark.parametrize("wrap", REPARAMETRISED.values(), ids=REPARAMETRISED)
@pytest.mark.parametrize("place", ["table", "head"])
def test_weights_that_are_computed(wrap, place):
    """Also the perturbed table's own. By hand: the table that the look-up sees, and r on top of it."""
    tokens, labels = batch(Text)

    def built():
        model = made(Text)
        wrap(model.embedding if place == "table" else model.head.first)
        return model

    def passed(r=None):
        """One pass with r on the table, from the same buffers."""
        model, seen = built(), []

        def look_up(tokens):
            seen.append(model.embedding.weight)
            return F.embedding(tokens, seen[0] if r is None else seen[0] + r)

        model.embedding.forward = look_up
        return model, MEAN(model(tokens), labels), seen[0]

    clean, loss, table = passed()
    (g,) = torch.autograd.grad(loss, table)
    wanted, model = gradients(*passed(RADIUS * g / g.norm())[:2]), built()
    same(gradients(model, adversarial_objective(model, MEAN, "embedding", radius=RADIUS)(tokens, labels)), wanted)
    assert all(map(torch.equal, model.buffers(), clean.buffers()))
    random = adversarial_objective(built(), MEAN, "embedding", radius=RADIUS, steps=2, start="random")
    assert random(tokens, labels).isfinite()


class Checkpointed(nn.Module):
    """With statistics and dropout within what is computed again."""

    def __init__(self, mode=None):
        super().__init__()
        self.mode, self.text, self.norm, self.drop = mode, Text(), nn.BatchNorm1d(WIDTH), nn.Dropout(0.3)

    def body(self, tokens):
        return self.drop(self.norm(torch.tanh(self.text.embedding(tokens)).mean(1)))

    def forward(self, tokens):
        if self.mode is None:
            return self.text.head(self.body(tokens))
        return self.text.head(checkpoint(self.body, tokens, use_reentrant=self.mode == "reentrant"))


@every_method
@pytest.mark.parametrize("where", ["table", "output"])
def test_activations_that_are_computed_again(method, options, where):
    """The backward pass comes after the objective is over, and after another one."""
    found = {}
    for mode in (None, "not reentrant"):
        model = made(lambda mode=mode: Checkpointed(mode))
        objective = method(model, EACH, "embedding", where=where, **options)
        torch.manual_seed(3)
        first, second = objective(*batch(Text)), objective(*batch(Text, 1))
        found[mode] = gradients(model, first), gradients(model, second), torch.get_rng_state()
    for plain, again in zip(*found.values(), strict=True):
        assert torch.equal(plain, again)
    model = made(lambda: Checkpointed("reentrant"))
    with pytest.raises(RuntimeError, match=r"reentrant activation checkpointing.*use_reentrant=False"):
        method(model, EACH, "embedding", where=where, **options)(*batch(Text))


def test_data_parallel_threads_are_refused():
    model = nn.DataParallel(made(Image))
    with pytest.raises(RuntimeError, match=r"model: got an nn.DataParallel.*DistributedDataParallel"):
        adversarial_objective(model, MEAN, radius=RADIUS)


class Attention(nn.Module):
    """(B, 4) to (B, 3) by PyTorch's fused attention over one head."""

    def __init__(self):
        super().__init__()
        self.project, self.head = nn.Linear(1, 12), nn.Linear(WIDTH, CLASSES)

    def forward(self, x):
        q, k, v = self.project(x[:, :, None]).chunk(3, 2)
        return self.head(F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None]).mean((1, 2)))


def test_a_penalty_on_fused_attention_says_what_to_do():
    model, (x, labels) = made(Attention), batch(Image)
    objective = gradient_penalty_objective(model, EACH, weight=0.5)
    with pytest.raises(RuntimeError, match=r"sdpa_kernel\(SDPBackend.MATH\).*eager.*finite_difference"):
        objective(x, labels)
    with nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH):
        wanted = gradients(model, objective(x, labels))
    way = gradient_penalty_objective(model, EACH, weight=0.5, how="finite_difference", xi=1e-4)
    torch.testing.assert_close(gradients(model, way(x, labels)), wanted, rtol=0, atol=1e-6)


TABLES = {
    "an EmbeddingBag": (lambda: nn.EmbeddingBag(VOCABULARY, WIDTH), r'EmbeddingBag.*where="output"'),
    "max_norm": (lambda: nn.Embedding(VOCABULARY, WIDTH, max_norm=1.0), r'max_norm=1.0.*where="output"'),
    "frozen": (lambda: nn.Embedding.from_pretrained(torch.ones(VOCABULARY, WIDTH)), r'frozen.*where="output"'),
}


@pytest.mark.parametrize(("table", "words"), TABLES.values(), ids=TABLES)
def test_a_table_that_cannot_be_perturbed_has_an_output_that_can(table, words):
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.head = table(), Image()

        def forward(self, tokens):
            x = self.embedding(tokens)
            return self.head(x if x.dim() == 2 else x.mean(1))

    model = made(Reader)
    with pytest.raises((RuntimeError, ValueError), match=f"target: .*{words}"):
        adversarial_objective(model, MEAN, "embedding", radius=RADIUS)(*batch(Text))
    assert adversarial_objective(model, MEAN, "embedding", where="output", radius=RADIUS)(*batch(Text)).isfinite()


PASSES = {"fgm": 2, "fgm, half clean": 2, "pgd": 3, "freelb": 2, "penalty": 1, "penalty, difference": 3, "vat": 2}


@pytest.mark.parametrize("name", METHODS)
def test_the_model_is_called_as_often_as_the_contract_says(name):
    method, options = METHODS[name]
    model, calls = made(Image), []
    model.register_forward_hook(lambda *_: calls.append(1))
    method(model, EACH, **options)(*batch(Image))
    assert len(calls) == PASSES[name]
    normalised = nn.Sequential(nn.BatchNorm1d(WIDTH).double(), model)
    calls.clear()
    method(normalised, EACH, **options)(*batch(Image))
    assert len(calls) == PASSES[name] + (name in ("pgd", "freelb"))  # a clean pass for the statistics


SEEN = {  # by the one backward pass: as often as what it differentiates calls the model
    "fgm": (adversarial_objective, {"radius": RADIUS}, 1),
    "pgd": (adversarial_objective, {"radius": RADIUS, "steps": 3, "start": "random"}, 1),
    "vat": (virtual_adversarial_objective, {"radius": RADIUS}, 2),
    "vat by differences": (virtual_adversarial_objective, {"radius": RADIUS, "how": "finite_difference"}, 2),
}


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.classes, self.number = nn.Linear(WIDTH, 6), nn.Linear(6, CLASSES), nn.Linear(6, 1)

    def forward(self, x):
        z = torch.tanh(self.body(x))
        return {"classes": self.classes(z), "number": self.number(z)}


class Translation(nn.Module):
    """Pairs of texts to logits, by a table that both read and that the output, scaled, is tied to."""

    def __init__(self):
        super().__init__()
        self.shared, self.encoder = nn.Embedding(VOCABULARY, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, source, target):
        x = torch.tanh(self.encoder(self.shared(source))).mean(1, keepdim=True)
        return F.linear(torch.tanh(self.shared(target) + x) * WIDTH**-0.5, self.shared.weight)


def contrast(outputs, _):
    """Each sample against all others of the batch."""
    return F.cross_entropy(outputs @ outputs.T - 1e9 * torch.eye(BATCH), torch.arange(BATCH).roll(1), reduction="none")


def both_heads(outputs, labels):
    return EACH(outputs["classes"], labels) + 0.3 * outputs["number"][:, 0].square()


def averaged(model):
    return torch.optim.swa_utils.AveragedModel(model)


LOOPS = {  # the model, what is made of it, its loss
    "an averaged model": (Image, averaged, EACH),
    "TorchScript": (Image, torch.jit.script, EACH),
    "several heads": (TwoHeads, lambda model: model, both_heads),
    "a contrastive loss": (Image, lambda model: model, contrast),
}


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated", "ignore:.torch.jit.script. is not supported")
@pytest.mark.parametrize("name", LOOPS)
def test_loops_that_nobody_wrote_for_us(name):
    kind, dressed, loss = LOOPS[name]
    model, (x, labels) = dressed(made(kind)), batch(Image)
    leaf = x.clone().requires_grad_()
    (g,) = torch.autograd.grad(loss(model(leaf), labels).sum(), leaf)
    wanted = loss(model(x + RADIUS * g / length_of(g)), labels).mean()
    same(gradients(model, adversarial_objective(model, loss, radius=RADIUS)(x, labels)), gradients(model, wanted))


def test_scaled_logits_of_a_table_that_two_texts_read():
    model, (source, target) = made(Translation), batch(Language)

    def losses(table):
        outputs = functional_call(model, {"shared.weight": table}, (source, target))
        return F.cross_entropy(outputs.transpose(1, 2), target.roll(-1, 1), reduction="none").mean(1)

    table = model.shared.weight.detach().requires_grad_()
    (g,) = torch.autograd.grad(losses(table).sum(), table)
    wanted = losses(model.shared.weight + RADIUS * g / g.norm()).mean()
    loss = nn.CrossEntropyLoss(reduction="none")
    objective = adversarial_objective(model, lambda o, y: loss(o.transpose(1, 2), y), "shared", radius=RADIUS)
    same(gradients(model, objective((source, target), target.roll(-1, 1))), gradients(model, wanted))


@pytest.mark.parametrize("name", SEEN)
def test_backward_hooks_of_modules_see_the_one_backward_pass(name):
    method, options, count = SEEN[name]
    model, seen = made(Image), []
    wanted = gradients(model, method(model, EACH, **options)(*batch(Image)))
    model.second.register_full_backward_hook(lambda *_: seen.append("after"))
    model.second.register_full_backward_pre_hook(lambda *_: seen.append("before"))
    value = method(model, EACH, **options)(*batch(Image))
    assert not seen
    same(gradients(model, value), wanted)
    assert sorted(seen) == ["after"] * count + ["before"] * count


def test_nothing_is_left_where_a_pass_raises_in_the_middle():
    """Hooks, tables, patches of checkpointing: the next plain step is what it was."""
    model = made(lambda: Checkpointed("not reentrant"))
    before = torch.utils.checkpoint._CheckpointFrame, torch.utils.checkpoint.CheckpointFunction
    weights = {name: id(parameter) for name, parameter in model.named_parameters()}
    buffers = [buffer.clone() for buffer in model.buffers()]

    def loss(outputs, labels):
        loss.calls += 1
        if loss.calls == 2:
            raise KeyboardInterrupt
        return EACH(outputs, labels)

    loss.calls = 0
    with pytest.raises(KeyboardInterrupt):
        adversarial_objective(model, loss, "embedding", radius=RADIUS)(*batch(Text))
    assert before == (torch.utils.checkpoint._CheckpointFrame, torch.utils.checkpoint.CheckpointFunction)
    assert weights == {name: id(parameter) for name, parameter in model.named_parameters()}
    assert all(map(torch.equal, model.buffers(), buffers))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # PyTorch's own, as it loads its compiler
def test_wrappers_that_hide_the_model_are_refused(tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    try:
        parallel = nn.parallel.DistributedDataParallel(made(Image))
        with pytest.raises(RuntimeError, match=r"compiled DistributedDataParallel.*\(torch.compile\(model\)\)"):
            adversarial_objective(torch.compile(parallel), MEAN, radius=RADIUS)
        objective = adversarial_objective(parallel, MEAN, radius=RADIUS)
        same(objective(*batch(Image)), fgm_by_hand(parallel.module, *batch(Image)))
        assert isinstance(parallel.module, Image)
    finally:
        torch.distributed.destroy_process_group()

    class FullyShardedDataParallel(nn.Sequential):
        """By its name alone: the real one needs an accelerator."""

    with pytest.raises(RuntimeError, match=r"fully_shard\(model\)"):
        adversarial_objective(FullyShardedDataParallel(made(Image)), MEAN, radius=RADIUS)


# The page about all this.

PAGE = (Path(__file__).parents[1] / "docs" / "training-torch.md").read_text(encoding="utf-8")
FILES = {
    "S": "torch_training_scenarios",
    "R": "torch_training_replicas",
    "E": "torch_training_ecosystem",
    "T": "training_torch",
}


def source(name):
    return Path(__file__).with_name(f"test_{name}.py").read_text(encoding="utf-8")


def test_every_row_of_the_page_is_a_test():
    named = re.findall(r"\b([SRET]) `(test_\w+)`", PAGE)
    assert len(named) >= 60
    assert [name for file, name in named if f"def {name}(" not in source(FILES[file])] == []


def test_recipes_are_the_loops_that_are_tested():
    lines = {line.strip() for line in source("torch_training_ecosystem").splitlines()}
    recipes = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(recipes) == 6
    for recipe in recipes:
        used = [line.strip() for line in recipe.splitlines() if line.strip()]
        assert len(used) <= 15 and [line for line in used if line not in lines] == []
