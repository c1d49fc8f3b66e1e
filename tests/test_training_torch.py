"""Training with PyTorch: the perturbation is the contract's, nothing else is touched, what cannot work is refused."""

import copy
import hashlib
import itertools
import os
import warnings
from collections import OrderedDict

import pytest

import impls

if (os.environ.get("EQUIREG_FRAMEWORK") or next(iter(impls.installed()), "")) != "torch":
    pytest.skip("another framework is tested in this process", allow_module_level=True)

import torch
from torch import nn
from torch.func import functional_call, grad, jvp

from impls.torch.adversarial import adversarial_loss, fgm
from impls.torch.embedding import perturb_table
from impls.torch.losses import kl_divergence
from impls.torch.norms import l2_norm, unit
from impls.torch.penalty import input_gradient_penalty
from impls.torch.sampling import gaussian
from impls.torch.training import (
    adversarial_training,
    gradient_penalty_training,
    perturbed,
    virtual_adversarial_training,
)
from impls.torch.virtual_adversarial import vat_loss

BATCH, WIDTH, CLASSES, VOCABULARY, RATE = 5, 4, 3, 7, 0.1
LOSS = nn.CrossEntropyLoss(reduction="none")


class Text(nn.Module):
    """Tokens (B, T) to logits (B, C), with all that keeps state or draws; `tied` reads the table a second time."""

    def __init__(self, *, sparse=False, plain=False, tied=False):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH, sparse=sparse)
        self.hidden = nn.Linear(WIDTH, WIDTH)
        self.normalize = nn.Identity() if plain else nn.BatchNorm1d(WIDTH)
        self.drop = nn.Identity() if plain else nn.Dropout(0.4)
        self.output = nn.Linear(WIDTH, CLASSES)
        self.tied = tied

    def forward(self, tokens):
        x = torch.tanh(self.embedding(tokens).mean(1))
        x = self.drop(torch.tanh(self.normalize(self.hidden(x))))
        if self.tied:
            x = x + torch.tanh(x @ self.embedding.weight.T) @ self.embedding.weight
        return self.output(x)


class Image(nn.Module):
    """Inputs (B, 4) to logits (B, C)."""

    def __init__(self, *, plain=False):
        super().__init__()
        self.first = nn.Linear(WIDTH, 6)
        self.normalize = nn.Identity() if plain else nn.BatchNorm1d(6)
        self.drop = nn.Identity() if plain else nn.Dropout(0.4)
        self.output = nn.Linear(6, CLASSES)

    def forward(self, x):
        return self.output(self.drop(torch.tanh(self.normalize(self.first(x)))))


@pytest.fixture(autouse=True)
def _one_thread(bridge):
    """On models this small threads only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def batch(kind, number=0):
    """Labels (B,), and inputs (B, 4) or tokens (B, T) some of which repeat."""
    generator = torch.Generator().manual_seed(number)
    labels = torch.randint(CLASSES, (BATCH,), generator=generator)
    if kind is Image:
        return torch.randn(BATCH, WIDTH, generator=generator, dtype=torch.float64), labels
    tokens = torch.randint(VOCABULARY, (BATCH, 6), generator=generator)
    tokens[0] = 2  # a sample that is one token, over and over
    return tokens, labels


def made(kind, **options):
    torch.manual_seed(1)
    return kind(**options).double()


def sgd(model, **options):
    return torch.optim.SGD(model.parameters(), lr=RATE, **options)


def plain_training(model, optimizer, loss):
    """The usual step."""

    def closure(inputs, labels):
        optimizer.zero_grad()
        objective = loss(model(inputs), labels).mean()
        objective.backward()
        return objective

    return lambda inputs, labels: optimizer.step(lambda: closure(inputs, labels)).detach()


# (kind of model, target, where): the three kinds of site.
INPUT, OUTPUT, TABLE = (Image, None, "table"), (Text, "embedding", "output"), (Text, "embedding", "table")
SITES = {"input": INPUT, "output": OUTPUT, "table": TABLE}
every_site = pytest.mark.parametrize("site", SITES.values(), ids=SITES)
METHODS = {  # with the option that switches it off
    "adversarial": (adversarial_training, {"radius": 0.7}, {"radius": 0.0}),
    "half clean": (adversarial_training, {"radius": 0.7, "clean_weight": 0.3}, {"radius": 0.0, "clean_weight": 0.3}),
    "penalty": (gradient_penalty_training, {"weight": 0.7}, {"weight": 0.0}),
    "virtual": (virtual_adversarial_training, {"radius": 0.7}, {"radius": 0.0}),
    "virtual without weight": (virtual_adversarial_training, {"radius": 0.7}, {"radius": 0.7, "weight": 0.0}),
}
every_method = pytest.mark.parametrize(("method", "on", "off"), METHODS.values(), ids=METHODS)


def begun(method, options, site, *, model=None, optimizer=None, loss=LOSS):
    """A model of the site's kind and its training step."""
    kind, target, where = site
    model = made(kind) if model is None else model
    optimizer = sgd(model) if optimizer is None else optimizer
    return model, method(model, optimizer, loss, target, where=where, **options)


def state(model, *optimizers, gradients=True):
    """Hashes of all that a step may touch, by name."""
    parts = {f"random state {device}": draws for device, draws in [("cpu", torch.get_rng_state())]}
    for name, tensor in itertools.chain(model.named_parameters(), model.named_buffers()):
        parts[name] = tensor
        if gradients and tensor.grad is not None:
            parts[f"{name}.grad"] = tensor.grad.to_dense()
    for optimizer in optimizers:
        for parameter, kept in optimizer.state.items():
            parts |= {f"{len(parts)} {tuple(parameter.shape)} {key}": value for key, value in kept.items()}
    found = {name: digest(part) for name, part in parts.items()}
    found["flags"] = [parameter.requires_grad for parameter in model.parameters()]
    found["modules"] = [
        (module.training, *(len(value) for name, value in sorted(vars(module).items()) if name.endswith("hooks")))
        for module in model.modules()
    ]
    return found


def digest(value):
    value = value.detach().contiguous().numpy().tobytes() if isinstance(value, torch.Tensor) else repr(value).encode()
    return hashlib.sha256(value).hexdigest()


def close(found, wanted, units=64):
    """Equal to a few rounding units of the largest entry."""
    scale = max(tensor.abs().max() for tensor in wanted.values())
    for name in wanted:
        assert (found[name] - wanted[name]).abs().max() <= units * 2**-53 * max(scale, 1), name


# The perturbation is the contract's: one step, from the contract's functions with parameters as a dict.


def parameters(model):
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def descended(model, objective):
    """Parameters after one step on the mean of objective(params) -> (B,), computed apart."""
    before = parameters(model)
    slopes = grad(lambda params: objective(params).mean())(before)
    return {name: before[name] - RATE * slopes[name] for name in before}


def after_step(method, options, site, *, model, loss=LOSS, **rest):
    model, step = begun(method, options, site, model=model, loss=loss, **rest)
    objective = step(*batch(site[0]))
    assert not objective.requires_grad
    return parameters(model), objective


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


both_ways = pytest.mark.parametrize("how", ["fisher", "finite_difference"])


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


# Nothing else is touched.


def plain_run(site, optimizer, *, steps=3, wrap=lambda model: model):
    model = made(site[0])
    optimizer = optimizer(model)
    step = plain_training(wrap(model), optimizer, LOSS)
    return run(model, optimizer, step, site, steps)


def run(model, optimizer, step, site, steps=3):
    torch.manual_seed(5)
    objectives = [digest(step(*batch(site[0], number))) for number in range(steps)]
    return {**state(model, optimizer), "objectives": objectives}


OPTIMIZERS = {
    "sgd": lambda model: sgd(model, momentum=0.9, weight_decay=0.1),
    "adam": lambda model: torch.optim.Adam(model.parameters(), weight_decay=0.1),
    "lbfgs": lambda model: torch.optim.LBFGS(model.parameters(), max_iter=4),
}


@every_site
@every_method
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_switched_off_it_is_plain_training_bit_for_bit(method, on, off, site, optimizer):
    """Dropout masks, statistics, random state, optimiser state, gradients, flags and hooks included."""
    model = made(site[0])
    made_optimizer = optimizer(model)
    step = begun(method, off, site, model=model, optimizer=made_optimizer)[1]
    assert run(model, made_optimizer, step, site) == plain_run(site, optimizer)


@every_site
@every_method
def test_switched_on_it_is_not(method, on, off, site):
    model = made(site[0])
    optimizer = sgd(model)
    step = begun(method, on, site, model=model, optimizer=optimizer)[1]
    found, plain = run(model, optimizer, step, site), plain_run(site, sgd)
    assert found["output.weight"] != plain["output.weight"]


@every_site
@every_method
def test_statistics_and_random_state_see_the_clean_batch_once(method, on, off, site):
    model, step = begun(method, on, site)
    plain = made(site[0])
    torch.manual_seed(5)
    step(*batch(site[0]))
    after = torch.get_rng_state()
    torch.manual_seed(5)
    plain_training(plain, sgd(plain), LOSS)(*batch(site[0]))
    assert digest(after) == digest(torch.get_rng_state())
    assert model.normalize.num_batches_tracked == 1
    for name, buffer in plain.named_buffers():
        assert digest(dict(model.named_buffers())[name]) == digest(buffer), name


@every_site
@every_method
def test_passes_share_their_dropout_mask(method, on, off, site):
    model, step = begun(method, on, site)
    masks = []
    model.drop.register_forward_hook(lambda module, args, output: masks.append(digest(output == 0)))
    step(*batch(site[0]))
    assert (
        len(masks) == {adversarial_training: 2, gradient_penalty_training: 1, virtual_adversarial_training: 2}[method]
    )
    assert len(set(masks)) == 1
    step(*batch(site[0]))
    assert len(set(masks)) == 2  # a new one each step


@every_site
@every_method
def test_flags_and_hooks_are_put_back(method, on, off, site):
    model, step = begun(method, on, site)
    model.output.weight.requires_grad_(False)
    model.normalize.eval()
    for module in model.modules():
        module.register_forward_hook(lambda module, args, output: None)
    before = state(model)
    step(*batch(site[0]))
    after = state(model)
    assert (after["flags"], after["modules"]) == (before["flags"], before["modules"])
    assert (
        after["output.weight"] == before["output.weight"]
        and after["hidden.weight" if site[0] is Text else "first.weight"]
    )


class Stop(BaseException):
    """What pressing Ctrl-C raises is no Exception either."""


def failing(call, error):
    """A loss that raises when it is called for the nth time."""
    calls = itertools.count(1)

    def loss(outputs, labels):
        if next(calls) == call:
            raise error
        return LOSS(outputs, labels)

    return loss


FAILURES = [
    (adversarial_training, {"radius": 0.5}, 1),
    (adversarial_training, {"radius": 0.5}, 2),
    (adversarial_training, {"radius": 0.5, "clean_weight": 0.5}, 2),
    (gradient_penalty_training, {"weight": 0.5}, 1),
    (virtual_adversarial_training, {"radius": 0.5}, 1),
]


@every_site
@pytest.mark.parametrize(("method", "options", "call"), FAILURES)
def test_failure_leaves_everything_as_it_was(method, options, call, site):
    """In the second step, so that there are gradients and momentum to spoil."""
    model = made(site[0])
    optimizer = sgd(model, momentum=0.9)
    step = begun(method, options, site, model=model, optimizer=optimizer, loss=failing(call, Stop()))
    good = begun(method, options, site, model=model, optimizer=optimizer)[1]
    good(*batch(site[0]))
    before = state(model, optimizer)
    with pytest.raises(Stop):
        step[1](*batch(site[0], 1))
    assert state(model, optimizer) == before


@every_site
@pytest.mark.parametrize("call", [2, 3])
def test_failure_in_a_later_pass_of_the_model(site, call):
    """Virtual adversarial training's loss is called once: here the model raises, in the power step and after it."""
    model, step = begun(virtual_adversarial_training, {"radius": 0.5, "how": "finite_difference"}, site)
    step(*batch(site[0]))
    calls = itertools.count(1)

    def stop(module, args):
        if next(calls) == call:
            raise Stop

    model.output.register_forward_pre_hook(stop)
    before = state(model)
    with pytest.raises(Stop):
        step(*batch(site[0], 1))
    assert state(model) == before


def test_failure_of_the_optimiser():
    """Adam refuses sparse gradients, after the backward pass."""
    model = made(Text, sparse=True)
    step = adversarial_training(model, torch.optim.Adam(model.parameters()), LOSS, "embedding", radius=0.5)
    before = state(model, gradients=False)
    with pytest.raises(RuntimeError, match="sparse"):
        step(*batch(Text))
    assert state(model, gradients=False) == before


@every_site
def test_failure_in_a_perturbed_block(site):
    model = made(site[0])
    inputs, labels = batch(site[0])
    before = state(model)

    def block():
        with perturbed(model, lambda: LOSS(model(inputs), labels), site[1], radius=0.5, where=site[2]):
            model(inputs)
            raise Stop

    with pytest.raises(Stop):
        block()
    assert state(model) == before


def test_steps_go_on_after_a_failure():
    inputs, labels = batch(Image)
    model, step = begun(virtual_adversarial_training, {"radius": 0.5}, INPUT)
    spoiled, again = begun(virtual_adversarial_training, {"radius": 0.5}, INPUT)
    torch.manual_seed(0)
    with pytest.raises(ValueError, match="NaN"):
        again(inputs * float("nan"), labels)
    again(inputs, labels)
    torch.manual_seed(0)
    step(inputs, labels)
    assert state(model) == state(spoiled)


def test_backward_pass_may_come_after_the_block():
    """The graph has kept the table that it was computed with."""
    found = []
    for late in (False, True):
        model = made(Text, plain=True, tied=True)
        tokens, labels = batch(Text)
        with perturbed(model, lambda m=model: LOSS(m(tokens), labels), "embedding", radius=0.5):  # noqa: B023
            objective = LOSS(model(tokens), labels).mean()
            if not late:
                objective.backward()
        if late:
            objective.backward()
        found.append(state(model))
    assert found[0] == found[1]


def test_attack_differentiates_what_it_must():
    """No parameter's gradient is computed but in the one backward pass."""
    fired = []
    model = made(Image)
    for name, parameter in model.named_parameters():
        parameter.register_hook(lambda gradient, name=name: fired.append(name))
        parameter.register_post_accumulate_grad_hook(lambda parameter, name=name: fired.append(f"{name}.grad"))
    inputs, labels = batch(Image)
    every = sorted(name + end for name, _ in model.named_parameters() for end in ("", ".grad"))
    for method, on, _ in METHODS.values():
        fired.clear()
        method(model, sgd(model), LOSS, **on)(inputs, labels)
        assert sorted(fired) == every


# Sparse gradients.


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


# Compiled models.


def compiled(model):
    return torch.compile(model, backend="aot_eager")


def compiled_in_place(model):
    model.compile(backend="aot_eager")
    return model


@pytest.fixture
def _compiler():
    """Room for a graph of each training; beyond its limit Dynamo would quietly go on without compiling.

    Dynamo looks at every tensor's .grad, and hides the warning that this gives for one that is computed.
    """
    limits = torch._dynamo.config.patch(recompile_limit=64, fail_on_recompile_limit_hit=True)
    with limits, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The .grad attribute of a Tensor that is not a leaf")
        yield


COMPILED = [
    (adversarial_training, {"radius": 0.5}, {"radius": 0.0}, INPUT, compiled),
    (adversarial_training, {"radius": 0.5}, {"radius": 0.0}, INPUT, compiled_in_place),
    (adversarial_training, {"radius": 0.5, "clean_weight": 0.5}, {"radius": 0.0}, INPUT, compiled),
    (virtual_adversarial_training, {"radius": 0.5}, {"radius": 0.0}, INPUT, compiled),
    (virtual_adversarial_training, {"radius": 0.5}, {"radius": 0.0}, INPUT, compiled_in_place),
    (adversarial_training, {"radius": 0.5}, {"radius": 0.0}, TABLE, compiled),
    (virtual_adversarial_training, {"radius": 0.5}, {"radius": 0.0}, TABLE, compiled),
]


@pytest.mark.usefixtures("_compiler")
@pytest.mark.parametrize(("method", "on", "off", "site", "wrap"), COMPILED)
def test_compiled_model(method, on, off, site, wrap):
    """Trains as the uncompiled one does, and switched off bit for bit as a compiled one without."""
    eager, model = made(site[0]), made(site[0])
    for training in (eager, wrap(model)):
        step = begun(method, on, site, model=training, optimizer=sgd(training))[1]
        torch.manual_seed(5)
        for number in range(2):
            step(*batch(site[0], number))
    close(parameters(model), parameters(eager), units=1024)
    model = made(site[0])
    optimizer = sgd(model)
    step = begun(method, off, site, model=wrap(model), optimizer=optimizer)[1]
    assert run(model, optimizer, step, site, steps=2) == plain_run(site, sgd, steps=2, wrap=wrap)


@pytest.mark.usefixtures("_compiler")
def test_compiled_attack_differentiates_the_inputs_alone():
    """One graph of a backward pass returns the inputs' gradient alone, and one those of the six parameters."""
    from functorch.compile import make_boxed_func
    from torch._dynamo.backends.common import aot_autograd

    returned = []
    model = made(Image)
    inputs, labels = batch(Image)

    def backend(graph, example):
        def backward(graph, example):
            returned.append([output is not None for output in graph.graph.output_node().args[0]])
            return make_boxed_func(graph.forward)

        return aot_autograd(fw_compiler=lambda graph, example: make_boxed_func(graph.forward), bw_compiler=backward)(
            graph, example
        )

    wrapped = torch.compile(model, backend=backend)
    adversarial_training(wrapped, sgd(model), LOSS, radius=0.5)(inputs, labels)
    assert sorted(map(sum, returned)) == [1, 6]


@pytest.mark.usefixtures("_compiler")
@pytest.mark.parametrize("wrap", [compiled, compiled_in_place])
def test_compiled_model_may_be_perturbed(wrap):
    inputs, labels = batch(Image)
    model = made(Image, plain=True)
    wanted = fgm(
        lambda x: LOSS(functional_call(copy.deepcopy(model), parameters(model), x), labels), inputs, radius=0.5
    )
    wrapped = wrap(model)
    wrapped(inputs)  # compiled before there is a hook
    with perturbed(wrapped, lambda: LOSS(wrapped(inputs), labels), radius=0.5):
        outputs = wrapped(inputs)
    close({"outputs": outputs}, {"outputs": model(inputs + wanted)})


# Names.


class Pair(nn.Module):
    """Two embeddings, one of which has two names; tokens (B, T) to logits (B, C)."""

    def __init__(self):
        super().__init__()
        self.question = nn.ModuleDict({"embedding": nn.Embedding(VOCABULARY, CLASSES)})
        self.answer = nn.ModuleDict({"embedding": nn.Embedding(VOCABULARY, CLASSES)})
        self.shared = self.answer["embedding"]
        self.table = nn.ModuleDict({"words": nn.Embedding(VOCABULARY, CLASSES), "unused": nn.Embedding(2, 2)})
        self.twice = nn.Identity()
        self.pair = nn.LSTM(CLASSES, CLASSES, batch_first=True)

    def forward(self, tokens):
        x = self.question["embedding"](tokens).mean(1) + self.shared(tokens).mean(1)
        x = self.twice(self.twice(x)) + self.table["words"](tokens).mean(1)
        return x + self.pair(x[:, None])[0][:, 0]


@pytest.mark.parametrize(
    ("name", "moved"),
    [
        ("question.embedding", "question.embedding.weight"),
        ("shared", "answer.embedding.weight"),
        ("answer.embedding", "answer.embedding.weight"),
        ("words", "table.words.weight"),
    ],
)
def test_name_may_be_shortened(name, moved):
    model = made(Pair)
    tokens, labels = batch(Pair)
    before = {name: digest(parameter) for name, parameter in model.named_parameters()}
    with perturbed(model, lambda: LOSS(model(tokens), labels), name, radius=1.0):
        model(tokens)
        now = {name: digest(parameter) for name, parameter in model.named_parameters()}
    assert [name for name in before if now[name] != before[name]] == [moved]


def test_whole_name_goes_before_a_shortened_one():
    model = made(Text)
    model.inner = made(Text)
    assert adversarial_training(model, sgd(model), LOSS, "embedding", radius=1.0)


# What is refused: the message names the argument, what came and what was expected, and nothing is changed.


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
