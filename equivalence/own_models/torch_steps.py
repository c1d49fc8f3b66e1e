"""Training steps of a user's own PyTorch model with each method, by the one-liners, and the lines to paste."""

import torch

from impls.torch import objectives

PENALTIES = {"double backward": "double_backward", "forward over reverse": "forward_over_reverse"}
PENALTIES |= {"finite difference": "finite_difference"}


def steps(own, place, radius, weight, mode):
    """Steps by name, each the backward pass of an objective; "plain" is that of the loss alone."""
    model = torch.compile(own.model) if mode == "compiled" else own.model

    def plain():
        return own.read(model(*own.arguments[0], **own.arguments[1])).value

    named = {"plain": lambda: plain}
    named |= {
        name: lambda make=make: bound(own, make(model)) for name, make in makers(own, place, radius, weight).items()
    }
    return {name: step(model, make) for name, make in named.items()}


def makers(own, place, radius, weight):
    """What makes an objective of a model, by name."""
    loss, at = own.loss, options(place)
    found = {
        "fgm": lambda model: objectives.adversarial_objective(model, loss, radius=radius, **at),
        "pgd, 3 steps": lambda model: objectives.adversarial_objective(model, loss, radius=radius, steps=3, **at),
        "freelb, 3 steps": lambda model: objectives.freelb_objective(
            model, loss, radius=radius, step=radius / 2, steps=3, **at
        ),
    }
    for name, how in PENALTIES.items():
        found[f"gradient penalty, {name}"] = lambda model, how=how: objectives.gradient_penalty_objective(
            model, loss, weight=weight, how=how, **at
        )
    found["vat"] = lambda model: objectives.virtual_adversarial_objective(
        model, loss, radius=radius, **sigmoid(own, at)
    )
    return found


def options(place):
    """What an objective is told of a place."""
    if place.kind == "input":
        return {"target": target(place), "where": "input"} if place.name else {"target": None}
    return {"target": place.name, "where": place.kind}


def target(place):
    """An input's key or position, or the path to it."""
    return place.key[1] if len(place.key) == 2 else place.key[1:]


def sigmoid(own, at):
    """The same for the outputs of one logit, which virtual adversarial training has to be told of."""
    outputs = own.outputs(own.parameters())
    tensor = own.reader.tensor(outputs)
    return at | {"outputs": "sigmoid"} if tensor.dim() == 1 or tensor.shape[1:] == (1,) else at


def bound(own, objective):
    """An objective of the model's own batch."""
    return lambda: objective(own.inputs_now(), own.labels)


def step(model, make):
    """A backward pass that leaves gradients nowhere. What is made for it is made when it is first called."""
    made = []

    def run():
        if not made:
            made.append(make())
        value = made[0]()
        model.zero_grad(set_to_none=True)
        value.backward()
        return value.detach()

    return run


def lines(own, place, radius, weight):
    """What to paste, by method."""
    path = repr(target(place)).replace("'", '"') if place.kind == "input" and place.name else ""
    given = "model, optimizer, loss" + place.as_argument(path)
    return {
        "fgm": f"step = adversarial_training({given}, radius={radius})",
        "gradient penalty": f"step = gradient_penalty_training({given}, weight={weight}HOW)",
        "vat": f"step = virtual_adversarial_training({given}, radius={radius})",
        "import": "from equireg.torch import METHOD_training",
    }
