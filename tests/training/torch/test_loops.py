"""Objectives in the loops that people run, each against the same loop written by hand."""

import weakref

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from impls.torch.objectives import adversarial_objective, gradient_penalty_objective
from impls.torch.training import (
    adversarial_training,
    freelb_training,
    gradient_penalty_training,
    virtual_adversarial_training,
)
from tests.training.torch.by_hand import (
    BATCH,
    CLASSES,
    EACH,
    MEAN,
    RADIUS,
    RATE,
    VOCABULARY,
    WIDTH,
    Image,
    Language,
    Text,
    batch,
    fgm_by_hand,
    gradients,
    length_of,
    made,
    parameters,
    same,
)


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


def test_gradients_of_the_step_before_are_not_held_while_the_next_are_made():
    """They would take a model's memory once more."""
    model = made(Image)
    step = adversarial_training(model, torch.optim.SGD(model.parameters(), RATE), MEAN, radius=RADIUS)
    step(*batch(Image))
    before = [weakref.ref(parameter.grad) for parameter in model.parameters()]
    alive = []
    next(model.parameters()).register_hook(lambda _: alive.append([one() is not None for one in before]))
    step(*batch(Image))
    assert alive == [[False] * len(before)]


def test_gradients_that_the_user_added_to_outlive_a_step_that_is_refused():
    model = made(Image)
    optimizer = torch.optim.SGD(model.parameters(), RATE)
    step = adversarial_training(model, optimizer, MEAN, radius=RADIUS)
    step(*batch(Image))
    inputs, labels = batch(Image)
    MEAN(model(inputs), labels).backward()
    held = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    optimizer.step = lambda closure: None  # as Accelerate's while it accumulates
    with pytest.raises(RuntimeError, match="did not call its closure"):
        step(inputs, labels)
    assert all(torch.equal(parameter.grad, held[name]) for name, parameter in model.named_parameters())


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
