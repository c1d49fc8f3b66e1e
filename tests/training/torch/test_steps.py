"""One step of a one-liner is the step of the contract's functions, with parameters as a dict."""

import copy

import pytest
import torch
from torch import nn
from torch.func import functional_call

from impls.torch.adversarial import adversarial_loss, fgm
from impls.torch.penalty import input_gradient_penalty
from impls.torch.sampling import gaussian
from impls.torch.training import (
    adversarial_training,
    gradient_penalty_training,
    perturbed,
    virtual_adversarial_training,
)
from impls.torch.virtual_adversarial import vat_loss
from tests.training.torch.stateful import (
    BATCH,
    CLASSES,
    INPUT,
    LOSS,
    OUTPUT,
    WIDTH,
    Image,
    after_step,
    batch,
    begun,
    both_ways,
    close,
    descended,
    digest,
    every_site,
    made,
    parameters,
    sgd,
    state,
)


def head(model, params, x):
    """A plain Text from the embedding's output on."""
    rest = copy.deepcopy(model)
    rest.embedding = nn.Identity()
    return functional_call(rest, {name: params[name] for name in params if "embedding" not in name}, x)


def as_function(site, model):
    """f(params, x) -> logits and x(params), what is perturbed per sample."""
    inputs, _ = batch(site[0])
    if site is INPUT:
        return lambda params, x: functional_call(model, params, x), lambda params: inputs
    return lambda params, x: head(model, params, x), lambda params: params["embedding.weight"][inputs]


per_sample_site = pytest.mark.parametrize("site", [INPUT, OUTPUT], ids=["input", "output"])


ATTACKS = [
    ("l2", "sample", 0.0),
    ("l2", "tensor", 0.0),
    ("linf", "sample", 0.3),
    ("l1", "sample", 0.0),
    ("l1", "tensor", 1.0),
    ("raw", "sample", 0.5),
]


@per_sample_site
@pytest.mark.parametrize(("norm", "scope", "clean_weight"), ATTACKS)
def test_adversarial_step_is_fgm(site, norm, scope, clean_weight):
    model = made(site[0], plain=True)
    f, at = as_function(site, copy.deepcopy(model))
    _, labels = batch(site[0])

    def objective(params):
        def loss(x, params=params):
            return LOSS(f(params, x), labels)

        fixed = {name: value.detach() for name, value in before.items()}
        r = fgm(lambda x: loss(x, fixed), at(fixed), radius=0.5, norm=norm, scope=scope)
        return adversarial_loss(loss, at(params), r, clean_weight=clean_weight)

    before = parameters(model)
    wanted, value = descended(model, objective), objective(before).mean()
    options = {"radius": 0.5, "norm": norm, "scope": scope, "clean_weight": clean_weight}
    found, got = after_step(adversarial_training, options, site, model=model)
    close(found, wanted)
    close({"objective": got}, {"objective": value})


@per_sample_site
@pytest.mark.parametrize("norm", ["l2_squared", "l2", "l1"])
def test_penalty_step_is_input_gradient_penalty(site, norm):
    model = made(site[0], plain=True)
    f, at = as_function(site, copy.deepcopy(model))
    _, labels = batch(site[0])

    def objective(params):
        def loss(x):
            return LOSS(f(params, x), labels)

        return loss(at(params)) + 0.3 * input_gradient_penalty(loss, at(params), norm=norm)

    wanted, value = descended(model, objective), objective(parameters(model)).mean()
    found, got = after_step(gradient_penalty_training, {"weight": 0.3, "norm": norm}, site, model=model)
    close(found, wanted)
    close({"objective": got}, {"objective": value})


@per_sample_site
@both_ways
@pytest.mark.parametrize(("steps", "entropy_weight"), [(1, 0.0), (3, 0.5)])
def test_virtual_step_is_vat_loss(site, how, steps, entropy_weight):
    model = made(site[0], plain=True)
    f, at = as_function(site, copy.deepcopy(model))
    _, labels = batch(site[0])
    options = {"radius": 0.5, "xi": 0.1, "steps": steps, "how": how, "entropy_weight": entropy_weight}

    def objective(params, start):
        # r is held fixed, and x + r is differentiated through: the embedding is trained by the second pass, too.
        logits = f(params, at(params))
        smoothness = vat_loss(lambda x: f(params, x), at(params), start, **options)
        return LOSS(logits, labels) + 0.8 * smoothness

    start = gaussian(3, at(parameters(model)).shape, like=at(parameters(model)))
    wanted = descended(model, lambda params: objective(params, start))
    found, _ = after_step(virtual_adversarial_training, {**options, "weight": 0.8, "seed": 3}, site, model=model)
    close(found, wanted, units=1024)  # the difference's rounding, u/ξ


def test_virtual_steps_begin_at_new_directions():
    def weights_after(*seeds):
        """A step with each seed's first start, or two steps of one training."""
        model = made(Image)
        trainings = [
            begun(virtual_adversarial_training, {"radius": 1.0, "seed": s}, INPUT, model=model)[1] for s in seeds
        ]
        for step in trainings * (3 - len(seeds)):
            step(*batch(Image))
        return digest(model.first.weight)

    assert weights_after(4) == weights_after(4, 5)
    assert weights_after(4) != weights_after(4, 4)


@every_site
def test_perturbed_block_is_the_adversarial_step(site):
    inputs, labels = batch(site[0])
    stepped, step = begun(adversarial_training, {"radius": 0.5, "norm": "raw"}, site)
    torch.manual_seed(2)
    step(inputs, labels)
    own = made(site[0])
    optimizer = sgd(own)
    torch.manual_seed(2)

    def losses():
        return LOSS(own(inputs), labels)

    with perturbed(own, losses, site[1], radius=0.5, norm="raw", where=site[2]):
        losses().mean().backward()
    optimizer.step()
    assert state(own) == state(stepped)


def test_several_inputs_and_work_in_place():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(WIDTH, CLASSES)

        def forward(self, x, scale):
            return self.linear(x.mul_(scale))  # works in place on what it is given

    inputs, labels = batch(Image)
    scale = torch.full((BATCH, 1), 3.0, dtype=torch.float64)
    model = made(Scaled)
    before = parameters(model)

    def objective(params):
        def loss(x):
            return LOSS(functional_call(reference, params, (x.clone(), scale)), labels)

        r = fgm(lambda x: LOSS(functional_call(reference, before, (x.clone(), scale)), labels), inputs, radius=0.5)
        return loss(inputs + r)

    reference = copy.deepcopy(model)
    wanted, kept = descended(model, objective), digest(inputs)
    adversarial_training(model, sgd(model), LOSS, radius=0.5)((inputs, scale), labels)
    close(parameters(model), wanted)
    assert digest(inputs) == kept
