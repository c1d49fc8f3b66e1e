"""Attacks in PyTorch: a loop as people publish it, foolbox, torchattacks, the Adversarial Robustness Toolbox."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from bench.peers import BOUNDS, Arm, Attack
from bench.peers.torch_network import network
from equivalence.cases import Case
from impls.torch import synchronise, to_numpy


def arm(call: Callable[[], Any]) -> Arm:
    """The call's images, computed; without their channel in NumPy."""

    def run() -> Any:
        result = call()
        synchronise(result)
        return result

    return Arm(run, lambda result: (result if isinstance(result, np.ndarray) else to_numpy(result))[:, 0])


def plain_loop(job: Attack, case: Case, device: str) -> Arm:
    """Madry et al.'s attack as most repositories write it."""
    model, images, labels = network(case, device)

    def rows(numbers: Any) -> Any:
        return numbers.view(-1, 1, 1, 1)

    def attack() -> Any:
        adversarial = images.clone()
        for _ in range(job.steps):
            adversarial.requires_grad_()
            gradient = torch.autograd.grad(F.cross_entropy(model(adversarial), labels), adversarial)[0]
            if job.norm == "linf":
                moved = adversarial.detach() + job.step * gradient.sign()
                delta = torch.clamp(moved - images, -job.radius, job.radius)
            else:
                moved = adversarial.detach() + job.step * gradient / rows(gradient.flatten(1).norm(dim=1) + 1e-10)
                delta = moved - images
                delta = delta * rows((job.radius / delta.flatten(1).norm(dim=1)).clamp(max=1))
            adversarial = torch.clamp(images + delta, *BOUNDS).detach()
        return adversarial

    return arm(attack)


def by_foolbox(job: Attack, case: Case, device: str) -> Arm:
    import foolbox

    kind = {"linf": foolbox.attacks.LinfProjectedGradientDescentAttack, "l2": foolbox.attacks.L2PGD}[job.norm]
    attack = kind(abs_stepsize=job.step, steps=job.steps, random_start=False)
    module, images, labels = network(case, device)
    model = foolbox.PyTorchModel(module, bounds=BOUNDS, device=device)
    return arm(lambda: attack.run(model, images, labels, epsilon=job.radius))


def by_torchattacks(job: Attack, case: Case, device: str) -> Arm:
    import torchattacks

    model, images, labels = network(case, device)
    if job.steps == 1:
        attack = torchattacks.FGSM(model, eps=job.radius)
    else:
        kind = {"linf": torchattacks.PGD, "l2": torchattacks.PGDL2}[job.norm]
        attack = kind(model, eps=job.radius, alpha=job.step, steps=job.steps, random_start=False)
    return arm(lambda: attack(images, labels))


def by_art(job: Attack, case: Case, device: str) -> Arm:
    """NumPy in and out is the toolbox's own interface, and its copies are part of what it costs."""
    from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescent
    from art.estimators.classification import PyTorchClassifier

    model, images, labels = network(case, device)
    classifier = PyTorchClassifier(
        model,
        torch.nn.CrossEntropyLoss(),
        input_shape=tuple(images.shape[1:]),
        nb_classes=int(model(images).shape[1]),
        clip_values=BOUNDS,
        device_type="gpu" if device == "cuda" else "cpu",
    )
    options = {"norm": {"linf": np.inf, "l2": 2}[job.norm], "eps": job.radius, "batch_size": case.batch}
    if job.steps == 1:
        attack = FastGradientMethod(classifier, **options)
    else:
        attack = ProjectedGradientDescent(
            classifier, eps_step=job.step, max_iter=job.steps, num_random_init=0, verbose=False, **options
        )
    x, y = to_numpy(images), to_numpy(labels)
    return arm(lambda: attack.generate(x, y))


BUILDERS: dict[str, Callable[[Attack, Case, str], Arm]] = {
    "plain loop": plain_loop,
    "foolbox": by_foolbox,
    "torchattacks": by_torchattacks,
    "ART": by_art,
}
