"""PyTorch: a module, torch.optim.SGD; compiled means torch.compile(model)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from bench.costs.loops import RADIUS, TINY, WEIGHT, Loop
from equivalence.cases import Case
from impls.torch.training import adversarial_training, gradient_penalty_training


def network(params: dict[str, np.ndarray]) -> torch.nn.Module:
    """The case's tanh network."""
    layers: list[torch.nn.Module] = [torch.nn.Flatten()]
    for number in range(len(params) // 2):
        weight = torch.tensor(params[f"{number}.weight"], dtype=torch.float32)
        layer = torch.nn.Linear(*reversed(weight.shape))
        with torch.no_grad():
            layer.weight.copy_(weight)
            layer.bias.copy_(torch.tensor(params[f"{number}.bias"]))
        layers += [layer, torch.nn.Tanh()]
    return torch.nn.Sequential(*layers[:-1])


def build(case: Case, mode: str, name: str, device: str) -> Loop:
    module = network(case.params).to(device)
    x = torch.tensor(case.x, dtype=torch.float32, device=device)
    labels = torch.tensor(case.labels, dtype=torch.int64, device=device)
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
    model = torch.compile(module) if mode == "module compiled" else module
    step = STEPS[name](model, optimizer, torch.nn.CrossEntropyLoss(reduction="none"))
    layers = [layer for layer in module if isinstance(layer, torch.nn.Linear)]

    def parameters() -> dict[str, np.ndarray]:
        found = {f"{i}.weight": layer.weight for i, layer in enumerate(layers)}
        found |= {f"{i}.bias": layer.bias for i, layer in enumerate(layers)}
        return {key: value.detach().cpu().numpy().copy() for key, value in found.items()}

    def rate(value: float) -> None:
        optimizer.param_groups[0]["lr"] = value

    return Loop(lambda: step(x, labels), parameters, rate)


def plain(model: Any, optimizer: Any, loss: Any) -> Callable[[Any, Any], Any]:
    def step(x: Any, labels: Any) -> Any:
        return descend(optimizer, loss(model(x), labels).mean())

    return step


def snippet(model: Any, optimizer: Any, loss: Any) -> Callable[[Any, Any], Any]:
    """The usual snippet: a whole backward pass for the attack, one norm for the batch."""

    def step(x: Any, labels: Any) -> Any:
        x = x.clone().requires_grad_()
        loss(model(x), labels).mean().backward()
        r = RADIUS * x.grad / x.grad.norm()
        return descend(optimizer, loss(model(x.detach() + r), labels).mean())

    return step


def adversarial(model: Any, optimizer: Any, loss: Any) -> Callable[[Any, Any], Any]:
    """What `adversarial_training` does, by hand: one norm a sample, and no gradient of the parameters in the attack."""

    def step(x: Any, labels: Any) -> Any:
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(model(x), labels).sum(), x)
        r = RADIUS * gradient / gradient.flatten(1).norm(dim=1).clamp(min=TINY).view(-1, *[1] * (x.dim() - 1))
        return descend(optimizer, loss(model(x.detach() + r), labels).mean())

    return step


def penalty(model: Any, optimizer: Any, loss: Any) -> Callable[[Any, Any], Any]:
    """What `gradient_penalty_training` does, by hand."""

    def step(x: Any, labels: Any) -> Any:
        x = x.detach().requires_grad_()
        losses = loss(model(x), labels)
        (gradient,) = torch.autograd.grad(losses.sum(), x, create_graph=True)
        return descend(optimizer, (losses + WEIGHT * gradient.flatten(1).square().sum(1)).mean())

    return step


def descend(optimizer: Any, objective: Any) -> Any:
    """What ends every step."""
    optimizer.zero_grad()
    objective.backward()
    optimizer.step()
    return objective.detach()


STEPS: dict[str, Any] = {
    "plain": plain,
    "adversarial_training": lambda *parts: adversarial_training(*parts, radius=RADIUS),
    "adversarial by hand": adversarial,
    "adversarial snippet": snippet,
    "gradient_penalty_training": lambda *parts: gradient_penalty_training(*parts, weight=WEIGHT),
    "gradient penalty by hand": penalty,
}
