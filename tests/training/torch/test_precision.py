"""In half precision, under autocast and with a scaled loss, directions are those of full precision."""

import copy

import pytest
import torch
import torch.nn.functional as F

from impls.torch.objectives import adversarial_objective, virtual_adversarial_objective
from impls.torch.sampling import gaussian
from impls.torch.smoothness import Smoothness
from tests.training.torch.by_hand import (
    BATCH,
    EACH,
    LENGTH,
    MEAN,
    RADIUS,
    RATE,
    Image,
    Language,
    batch,
    fgm_by_hand,
    fgm_on_table_by_hand,
    made,
    parameters,
    tokens_loss,
)


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


class CastInside(Image):
    """In half precision by itself, which nothing shows from outside: so Accelerate and Lightning wrap a model."""

    half = torch.float16

    def forward(self, x):
        with torch.autocast("cpu", self.half):
            outputs = super().forward(x)
        return outputs.float()


def test_confident_samples_have_an_attack_where_the_model_casts_by_itself(monkeypatch):
    """Their gradients are below float16's smallest number: the loss is scaled."""
    model, (x, _) = made(CastInside, torch.float32), batch(Image, 0, torch.float32)
    with torch.no_grad():
        model.second.weight.mul_(40)
        labels, found = model(x).argmax(1), []
    exact = copy.deepcopy(model).double()
    exact.__class__ = Image
    at = x.double().requires_grad_()
    losses = EACH(exact(at), labels)
    (wanted,) = torch.autograd.grad(losses.sum(), at)
    assert losses.min() < 1e-8
    forward = CastInside.forward
    monkeypatch.setattr(CastInside, "forward", lambda self, x: (found.append(x.detach()), forward(self, x))[1])
    adversarial_objective(model, EACH, radius=RADIUS)(x, labels)
    r, certain = (found[-1] - x).double(), losses < 1e-12  # of which float32's own cross-entropy knows nothing
    assert F.cosine_similarity(r, wanted, dim=1)[~certain].min() > 0.98


class ToBfloat16(CastInside):
    half = torch.bfloat16


def test_the_step_of_a_difference_is_that_of_what_the_model_computes_in():
    """A step by float32 vanishes in bfloat16, whatever the outputs are cast to."""
    model, (x, _) = made(ToBfloat16, torch.float32), batch(Image, 0, torch.float32)
    objective = virtual_adversarial_objective(model, None, radius=RADIUS, how="finite_difference")
    found = objective(x)
    assert objective.reader.coarsest().dtype == torch.bfloat16
    exact = virtual_adversarial_objective(model, None, radius=RADIUS, how="fisher")(x)
    torch.testing.assert_close(found, exact, rtol=0.1, atol=0)


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
