"""The objective as a value: added to others, differentiated, counted, scheduled."""

import pytest
import torch
from torch import nn

from impls.torch.objectives import (
    adversarial_objective,
    freelb_objective,
    gradient_penalty_objective,
    virtual_adversarial_objective,
)
from impls.torch.training import (
    adversarial_training,
    freelb_training,
    gradient_penalty_training,
    virtual_adversarial_training,
)
from tests.training.torch.by_hand import (
    EACH,
    MEAN,
    RADIUS,
    RATE,
    WIDTH,
    Image,
    Text,
    batch,
    every_method,
    fgm_by_hand,
    gradients,
    made,
    parameters,
    same,
)

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
