"""Compiled models: what works trains as the same model without the compiler, and the rest is refused."""

import copy
import warnings

import pytest
import torch
from torch.func import functional_call

from impls.torch.adversarial import fgm
from impls.torch.training import adversarial_training, perturbed, virtual_adversarial_training
from tests.training.torch.stateful import (
    INPUT,
    LOSS,
    TABLE,
    Image,
    batch,
    begun,
    close,
    compiled,
    made,
    parameters,
    plain_run,
    run,
    sgd,
)


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
