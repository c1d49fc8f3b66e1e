"""Regularised training of an `nn.Module` in one line: a step that stands where the usual training step stood.

    step = adversarial_training(model, optimizer, loss, "embedding", radius=0.5)
    for tokens, labels in batches:
        step(tokens, labels)  # instead of zero_grad, backward, optimizer.step

A step is zero_grad, the backward pass of an objective of `impls.torch.objectives`, and the optimiser's own step. Who
accumulates gradients, scales losses or has several optimisers takes the objective and writes these lines himself.
"""

import contextlib
import inspect
import weakref

import torch

import impls.torch as bridge
from impls import checks
from impls.checks import checked, within
from impls.contract import training as contract
from impls.torch.batches import Batch
from impls.torch.norms import steepest
from impls.torch.objectives import (
    NEEDED_BY_RAW,
    Objective,
    adversarial_objective,
    check_gradients_on,
    freelb_objective,
    gradient_penalty_objective,
    virtual_adversarial_objective,
)
from impls.torch.outcomes import Reader
from impls.torch.passes import undone_on_failure
from impls.torch.sites import Input, Shift


@checked
def adversarial_training(
    model,
    optimizer,
    loss,
    target=None,
    *,
    radius,
    norm="l2",
    scope="sample",
    clean_weight=0.0,
    steps=1,
    step=None,
    bounds=None,
    start="zero",
    seed=0,
    where="table",
    mask=None,
    logits=None,
    replicas="all",
):
    """A training step on (1-α)·loss(x + r) + α·loss(x), r by the fast gradient method (`fgm`, `perturb_table`) or PGD.

        step = adversarial_training(model, optimizer, nn.CrossEntropyLoss(), "embedding", radius=0.5)
        value = step(tokens, labels)  # instead of zero_grad, backward, optimizer.step

    Args:
        model, loss, target and all options: as for `adversarial_objective`.
        optimizer: any torch.optim.Optimizer. It finds its gradients made, so that hooks before its step may clip them;
            one that evaluates several times (LBFGS) is given a closure.

    Returns:
        A `Step`: step(inputs, labels) -> the objective, detached. If it raises, parameters, buffers, flags, hooks and
        random state are what they were; gradients too, unless the backward pass itself fails, or the step before was
        taken with them. What an optimiser did between evaluations (LBFGS) stays.

    Raises as `adversarial_objective`; also RuntimeError where the optimiser takes no step, as Accelerate's does not
    while it accumulates.

    Cost: that of the objective.
    """
    objective = adversarial_objective(
        model,
        loss,
        target,
        radius=radius,
        norm=norm,
        scope=scope,
        clean_weight=clean_weight,
        steps=steps,
        step=step,
        bounds=bounds,
        start=start,
        seed=seed,
        where=where,
        mask=mask,
        logits=logits,
        replicas=replicas,
    )
    return Step(objective, optimizer)


@checked
def freelb_training(
    model,
    optimizer,
    loss,
    target=None,
    *,
    radius,
    step,
    steps,
    norm="l2",
    scope="sample",
    start="random",
    seed=0,
    where="table",
    mask=None,
    logits=None,
    replicas="all",
):
    """A training step on the mean of the losses at the points of a gradient ascent (`freelb_loss`).

        step = freelb_training(model, optimizer, loss, "embedding", where="output", radius=0.1, step=0.05, steps=3)

    Args:
        model, loss, target and all options: as for `freelb_objective`.
        optimizer: as for `adversarial_training`.

    Returns and raises as `adversarial_training`.

    Cost: that of the objective.
    """
    objective = freelb_objective(
        model,
        loss,
        target,
        radius=radius,
        step=step,
        steps=steps,
        norm=norm,
        scope=scope,
        start=start,
        seed=seed,
        where=where,
        mask=mask,
        logits=logits,
        replicas=replicas,
    )
    return Step(objective, optimizer)


@checked
def gradient_penalty_training(
    model,
    optimizer,
    loss,
    target=None,
    *,
    weight,
    norm="l2_squared",
    how="double_backward",
    xi=0.01,
    where="table",
    mask=None,
    logits=None,
    replicas="all",
):
    """A training step on loss(x) + weight·‖∇ₓloss‖ (`input_gradient_penalty`); for a table, ‖∇ of the mean loss‖.

        step = gradient_penalty_training(model, optimizer, nn.CrossEntropyLoss(reduction="none"), weight=0.1)

    Args:
        model, loss, target and all options: as for `gradient_penalty_objective`.
        optimizer: as for `adversarial_training`.

    Returns and raises as `adversarial_training`.

    Cost: that of the objective.
    """
    objective = gradient_penalty_objective(
        model,
        loss,
        target,
        weight=weight,
        norm=norm,
        how=how,
        xi=xi,
        where=where,
        mask=mask,
        logits=logits,
        replicas=replicas,
    )
    return Step(objective, optimizer)


@checked
def virtual_adversarial_training(
    model,
    optimizer,
    loss,
    target=None,
    *,
    radius,
    weight=1.0,
    xi=None,
    steps=1,
    how="fisher",
    entropy_weight=0.0,
    where="output",
    seed=0,
    outputs="softmax",
    mask=None,
    logits=None,
    replicas="all",
):
    """A training step on loss(x) + weight·(KL(p(x)‖p(x+r)) + entropy_weight·H(p(x))) (`vat_loss`).

        step = virtual_adversarial_training(model, optimizer, nn.CrossEntropyLoss(), radius=0.5)

    Args:
        model, loss, target and all options: as for `virtual_adversarial_objective`.
        optimizer: as for `adversarial_training`.

    Returns and raises as `adversarial_training`.

    Cost: that of the objective.
    """
    objective = virtual_adversarial_objective(
        model,
        loss,
        target,
        radius=radius,
        weight=weight,
        xi=xi,
        steps=steps,
        how=how,
        entropy_weight=entropy_weight,
        where=where,
        seed=seed,
        outputs=outputs,
        mask=mask,
        logits=logits,
        replicas=replicas,
    )
    return Step(objective, optimizer)


class Step:
    """step(inputs, labels) -> the objective, detached, after one step of the optimiser.

    radius, weight: the objective's, where it has them; they may be set between steps.
    """

    def __init__(self, objective, optimizer):
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise TypeError(f"optimizer: got a {type(optimizer).__name__}, expected a torch.optim.Optimizer")
        self.objective, self.optimizer = objective, optimizer
        self.spent = Spent([])

    def __call__(self, inputs, labels=None):
        evaluation = Evaluation(self.objective, self.optimizer, inputs, labels, self.spent)
        with undone_on_failure(self.objective.state()) as state:
            evaluation.differentiate(state)
            self.optimizer.step(evaluation.again)
            evaluation.check_asked_for()
        self.spent = Spent(evaluation.parameters)
        self.objective.calls += 1
        return evaluation.value

    @property
    def radius(self):
        return self.objective.radius

    @radius.setter
    def radius(self, value):
        self.objective.radius = value

    @property
    def weight(self):
        return self.objective.weight

    @weight.setter
    def weight(self, value):
        self.objective.weight = value

    def state_dict(self):
        """How many steps were taken, which random starts and schedules go by."""
        return self.objective.state_dict()

    def load_state_dict(self, state):
        """Go on where the step was whose `state_dict` this is."""
        self.objective.load_state_dict(state)


class Spent:
    """Gradients that a step was taken with, which nobody needs: holding them would take a model's memory once more."""

    def __init__(self, parameters):
        used = [parameter.grad for parameter in parameters if parameter.grad is not None]
        self.used = {id(gradient): (weakref.ref(gradient), gradient._version) for gradient in used}

    def holds(self, gradient):
        """Whether a gradient is one of them, and nothing was added to it since."""
        reference, version = self.used.get(id(gradient), (lambda: None, None))
        return reference() is gradient and gradient._version == version if gradient is not None else False


class Evaluation:
    """The objective of one step, which most optimisers ask for once, and some at several places.

    It is differentiated before the optimiser begins. Asked for where nothing has moved since, it is what it was.
    """

    def __init__(self, objective, optimizer, inputs, labels, spent):
        self.objective, self.optimizer, self.batch = objective, optimizer, (inputs, labels)
        self.asked = 0
        self.parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        before = [parameter.grad for parameter in self.parameters]
        self.before = [None if spent.holds(gradient) else gradient for gradient in before]

    def differentiate(self, state):
        value = self.objective.compute(state, *self.batch)
        self.optimizer.zero_grad()
        value.backward()
        self.value, self.found = value.detach(), self.mark()
        return self.value

    def again(self):
        """The closure."""
        self.asked += 1
        if self.mark() == self.found:
            return self.value
        value = self.value
        with torch.enable_grad():
            now = self.differentiate(self.objective.state())
        self.value = value  # of the step: the first
        return now

    def mark(self):
        """What tells whether parameters have moved, or their gradients are gone."""
        return [(parameter._version, id(parameter.grad)) for parameter in self.parameters]

    def check_asked_for(self):
        """An optimiser that takes a step calls its closure, or at least moves a parameter."""
        if self.asked or self.mark() != self.found:
            return
        for parameter, gradient in zip(self.parameters, self.before, strict=True):
            parameter.grad = gradient
        raise RuntimeError(
            f"optimizer: got a {type(self.optimizer).__name__} that did not call its closure, and so took no step;"
            " expected one that does. While gradients are accumulated (Accelerate's accumulate), or scaled, take the"
            " objective instead: accelerator.backward(adversarial_objective(...)(inputs, labels))"
        )


@contextlib.contextmanager
def perturbed(
    model, losses, target=None, *, radius, norm="l2", scope="sample", where="table", mask=None, replicas="all"
):
    """Within the block the model computes with x + r, r by the fast gradient method; for a training loop of your own.

        with perturbed(model, lambda: loss(model(tokens), labels), "embedding", radius=0.5):
            objective = loss(model(tokens), labels).mean()
        objective.backward()

    Passes in the block see the dropout masks that `losses` saw; afterwards buffers and random state are as `losses`
    left them, and if the block raises as they were before. The backward pass may come within the block or after it.

    Args:
        model, target, radius, norm, scope, where, replicas: as for `adversarial_objective`. Not under
            DistributedDataParallel, to which two forward passes are two steps.
        losses: () -> losses as for `adversarial_objective`, runs the model on the clean batch once.
        mask: (B, T), where an output is perturbed.

    Raises as `adversarial_objective`; also RuntimeError where no pass in the block reached what is perturbed.
    """
    _check_options(contract.adversarial_training, radius=radius, norm=norm, scope=scope)
    needs = NEEDED_BY_RAW if norm == "raw" else ""
    reader, scales = Reader(None, needs=needs, name="losses"), {"radius": radius}
    objective = Objective(model, target, None, reader, scales=scales, where=where, scope=scope, replicas=replicas)
    check_gradients_on()
    for site in objective.sites:
        site.check(objective.module)
    with undone_on_failure(objective.state()) as state:
        block = Block(objective, state, mask)
        with within(True):
            shifts = block.attack(losses, objective.scale("radius"), norm)
        with block.passes.begin(shifts), block.hooks(shifts):
            yield
            for shift in shifts:
                shift.site.check_reached(shift)
        block.passes.finish()


class Block(Batch):
    """A batch that its user takes through the passes himself."""

    def __init__(self, objective, start, mask):
        self.arguments, self.labels, self.size, self.mask = None, None, None, mask
        self.begin(objective, start)

    def attack(self, losses, radius, norm):
        """The clean pass, and what is to be added after it."""
        shifts = [Shift(site, watched=True) for site in self.sites]
        with self.passes.begin(shifts, parameters=False), self.hooks(shifts), within(False):
            result = losses()
        found = self.reader.read(result, None, None)
        for shift in shifts:
            shift.site.check_reached(shift, once=True)
        self.look_at(shifts)
        self.size = shifts[0].shape[0] if found.rows is None else len(found.rows)
        r = radius * steepest(self.gradient(found.total, shifts), norm=norm)
        return [Shift(site, part) for site, part in zip(self.sites, self.vectors.parts(r), strict=True)]

    @contextlib.contextmanager
    def hooks(self, shifts):
        """Within, an input is replaced whoever calls the model; other sites are the passes' own."""
        with contextlib.ExitStack() as stack:
            for shift in shifts:
                if isinstance(shift.site, Input):
                    stack.enter_context(shift.site.hook(self.model, shift))
            yield


def _check_options(stub, **options):
    """What `@checked` does, for a function that is in no contract."""
    for name, value in options.items():
        annotation = inspect.signature(stub).parameters[name].annotation
        checks.Call({}, bridge).check(name, value, checks.rule(annotation))
