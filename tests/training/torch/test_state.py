"""Nothing else is touched: statistics, random state, flags, hooks and gradients are those of a plain step."""

import itertools

import pytest
import torch

from impls.torch.training import (
    adversarial_training,
    gradient_penalty_training,
    perturbed,
    virtual_adversarial_training,
)
from tests.training.torch.stateful import (
    INPUT,
    LOSS,
    METHODS,
    Image,
    Text,
    batch,
    begun,
    digest,
    every_method,
    every_site,
    made,
    plain_run,
    plain_training,
    run,
    sgd,
    state,
)

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
