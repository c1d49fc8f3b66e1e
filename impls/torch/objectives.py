"""Regularised objectives of an `nn.Module`: numbers that the caller differentiates, once, when and how he likes.

    objective = adversarial_objective(model, loss, "embedding", radius=0.5)
    for tokens, labels in batches:
        objective(tokens, labels).backward()  # accumulate, scale, clip, average over replicas: as ever
        optimizer.step()
        optimizer.zero_grad()

An objective makes its attack with gradients of the perturbation alone. It touches no `.grad`, assigns nothing to
parameters or flags, and leaves statistics and the random state as one plain pass does. What it returns may be
differentiated at any later time, beside other objectives. The one-line steps of `impls.torch.training` stand on these.

Under DistributedDataParallel give the wrapped model, so that one reduction sees all passes.
"""

import sys

import torch

from impls import checks
from impls.checks import checked, within
from impls.contract.types import Count, Interval
from impls.torch.batches import Batch, arguments_of
from impls.torch.derivatives import _check_differentiable, prepare_twice
from impls.torch.norms import l2_norm, project, steepest, unit
from impls.torch.outcomes import Reader, divergence, uncertainty
from impls.torch.passes import State, undone_on_failure
from impls.torch.penalty import _norm_and_slope, _sloped
from impls.torch.refusals import COMPILED, explaining
from impls.torch.replicas import forward, unwrapped
from impls.torch.sites import Table, check_not_sparse, compiled_parts, sharded_units, sites_of
from impls.torch.smoothness import Smoothness

NEEDED_BY_RAW = 'norm="raw" goes by the size of each sample\'s gradient'


def scheduled(name):
    """A number of an objective that may be set between its calls, or be a function of their number."""

    def get(self):
        if name not in self.scales:
            raise AttributeError(f"{name}: this objective has none, only {', '.join(self.scales)}")
        return self.scales[name]

    def put(self, value):
        get(self)
        self.scales[name] = value if callable(value) else checks.check_number(name, value, Interval(0))

    return property(get, put)


class Objective:
    """objective(inputs, labels=None) -> the objective of a batch, a number () with a graph.

    Inputs are a tensor, a tuple of positional arguments, or a mapping of arguments by name, such as a `BatchEncoding`.
    If it raises, buffers and random state are what they were. Not for evaluation: gradients must be on.

    radius, weight: where the method has them; a number or a function of how often the objective was called before.
        They may be set.
    """

    radius, weight = scheduled("radius"), scheduled("weight")

    def __init__(
        self, model, target, evaluate, reader, *, scales, where, scope="sample", mask=None, replicas="all", seed=0
    ):
        if not isinstance(model, torch.nn.Module):
            raise TypeError(f"model: got a {type(model).__name__}, expected a torch.nn.Module")
        if replicas not in ("all", "local"):
            raise ValueError(f"replicas: got {replicas!r}, expected one of 'all', 'local'")
        self.model, self.module = model, unwrapped(model)
        check_state_is_in_buffers(self.module)
        self.sites = sites_of(self.module, target, where)
        self.evaluate, self.reader, self.mask, self.replicas, self.seed = evaluate, reader, mask, replicas, seed
        self.one_vector = scope == "tensor" or isinstance(self.sites[0], Table)
        self.scales, self.calls = dict(scales), 0
        self.draws_elsewhere = True  # from Python's or NumPy's generator: so until the first call has shown it

    def __call__(self, inputs, labels=None):
        with undone_on_failure(self.state()) as state:
            value = self.compute(state, inputs, labels)
        self.calls += 1
        return value

    def state(self):
        """What a call of the model may move."""
        return State(self.module, others=self.draws_elsewhere)

    def compute(self, state, inputs, labels):
        """The objective, from the state that the model is in; it is not counted as a call."""
        check_gradients_on()
        arguments = arguments_of(inputs)
        for site in self.sites:
            site.check(self.module)
        scales = {name: self.scale(name) for name in self.scales}

        def evaluate(args, kwargs):
            start = state if self.model is self.module else self.state()  # after buffers were broadcast
            batch = Batch(self, start, (args, kwargs), inputs, labels)
            value = self.evaluate(batch, (self.seed + self.calls) % 2**32, **scales)
            batch.passes.finish()
            self.draws_elsewhere &= self.calls > 0 or batch.passes.drew_elsewhere()
            return value

        with within(True):
            return forward(self.model, arguments, evaluate)

    def scale(self, name):
        value = self.scales[name]
        return checks.check_number(name, value(self.calls), Interval(0)) if callable(value) else value

    def state_dict(self):
        """How often it was called, which random starts and schedules go by."""
        return {"calls": self.calls}

    def load_state_dict(self, state):
        """Go on where the objective was whose `state_dict` this is."""
        self.calls = checks.check_count("state['calls']", state["calls"], Count(0))


@checked
def adversarial_objective(
    model,
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
    """(1-α)·loss(x + r) + α·loss(x), r by the fast gradient method (`fgm`, `perturb_table`) or by ascent (`pgd`).

        objective = adversarial_objective(model, nn.CrossEntropyLoss(), "embedding", radius=0.5)
        scaler.scale(objective(tokens, labels)).backward()

    Args:
        model: any nn.Module in training mode, or a DistributedDataParallel or `fully_shard`ed one. With the model's
            input or a table as target it may be compiled. Activation checkpointing must not be reentrant.
        loss: (outputs, labels) -> losses, what the model returned given. One loss a sample, (B,), is always right:
            nn.CrossEntropyLoss(reduction="none"). So are losses (B, T) with labels (B, T), of which those that are
            ignored (ignore_index, -100 for functions) or masked count nothing; a pair (losses, weights), not reduced,
            and what the framework's own mean divides their sum by: (weight[labels] * losses, weight[labels]); and,
            except with norm "raw", one number: the framework's own mean, or the model's own: lambda outputs, _:
            outputs.loss. A number must be a sum or mean over samples; that it is cannot be seen.
        target: what is perturbed: None, the model's first input (B, *S), or the only floating-point one of a mapping;
            a module's name or the end of one. A list of several is perturbed jointly, as one vector.
        radius: of the perturbation, ≥ 0, in units of what is perturbed, or a function of the number of earlier calls.
            0 trains bit for bit as without.
        norm: of the perturbation; "raw" is for one step from zero.
        scope: one norm a sample or for the tensor; a table always has one.
        clean_weight: α in [0, 1]. 0: the perturbed loss alone, as the usual snippet has it.
        steps: of ascent, each projected on the ball. 1 from zero is FGM.
        step: length of one; None: the radius for one, 2.5·radius/steps for more.
        bounds: (lowest, highest) value of an input, which x + r keeps.
        start: "zero" or "random", uniform in the ball, drawn by `uniform_ball((seed + n) % 2**32)` in call n.
        seed: of random starts. No global state is touched.
        where: what a name stands for: the "table" of an nn.Embedding (V, D), every use of which sees table + r; the
            module's "output" (B, *S); or "input": the target is then a key or position of the inputs, a tuple of them
            where they are nested.
        mask: of padding, (B, T): a key or position of the batch, or a function of it. An output is perturbed where it
            is not 0.
        logits: what of the outputs the loss is given; None: the outputs, PyTorch's own losses their `.logits`.
        replicas: in data-parallel training one vector ("tensor", a table) is that of "all" replicas' samples, which
            equals one process with the whole batch, or a "local" one. Norms of samples are local in any case.

    Returns:
        An `Objective`.

    Raises:
        TypeError, ValueError: an argument is wrong: its name, what came, what was expected.
        RuntimeError: gradients are switched off, the table is frozen, the perturbation does not reach the loss, or the
            model is wrapped in what cannot be perturbed.

    Cost: 3 + 2·steps passes, with a clean weight 2 more (from a random start 3, without it 1 where there are
    statistics). Floor 5/3 plain steps for FGM.
    """
    check_attack(norm, steps, start, bounds, target, where)
    needs = NEEDED_BY_RAW if norm == "raw" else ""

    projects = steps > 1 or step is not None or start == "random"
    mixes = clean_weight != 0

    def moved(batch, r, gradient, radius):
        """r after a step of ascent, within the ball and the bounds."""
        ahead = step_length(radius, step, steps) * steepest(gradient, norm=norm)
        r = ahead if r is None else r + ahead
        return within_bounds(batch, project(r, radius=radius, norm=norm) if projects else r, bounds)

    def evaluate(batch, seed, radius):
        if is_zero(radius):
            return batch.losses()[0].value
        clean = r = None
        if start == "random":
            clean = random_start(batch, differentiate=mixes)
            r = within_bounds(batch, radius * batch.vectors.uniform(seed, norm), bounds)
        for _ in range(steps):
            serves = r is None and mixes  # the clean pass is the attack's first, and is trained on, too
            there, shifts = batch.losses(r, watched=True, parameters=serves)
            gradient = batch.gradient(there.total, shifts, retain_graph=serves)
            clean = there if serves else clean
            r = moved(batch, r, gradient, radius)
        adversarial = batch.losses(r)[0].value
        return (1 - clean_weight) * adversarial + clean_weight * clean.value if mixes else adversarial

    reader = Reader(loss, logits, needs=needs)
    scales = {"radius": radius}
    return Objective(
        model,
        target,
        evaluate,
        reader,
        scales=scales,
        where=where,
        scope=scope,
        mask=mask,
        replicas=replicas,
        seed=seed,
    )


@checked
def freelb_objective(
    model,
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
    """The mean of the losses at the points of a gradient ascent, 1/K Σₖ loss(x + rₖ) (`freelb_loss`).

        objective = freelb_objective(model, loss, "embeddings", where="output", radius=0.1, step=0.05, steps=3)
        objective(tokens, labels).backward()

    Args:
        model, loss, target, norm, scope, seed, where, mask, logits, replicas: as for `adversarial_objective`.
        radius: of the ball, ≥ 0, or a function of the number of earlier calls.
        step: length of an ascent step, ≥ 0.
        steps: K ≥ 1 points, the start the first of them.
        start: "random", uniform in the ball, or "zero".

    Returns and raises as `adversarial_objective`.

    Cost: 4K - 1 passes, one more where a random start leaves none for the statistics.
    """

    def evaluate(batch, seed, radius):
        if is_zero(radius):
            return batch.losses()[0].value
        r = None
        if start == "random":
            random_start(batch)
            r = radius * batch.vectors.uniform(seed, norm)
        values = []
        for number in range(steps):
            last = number == steps - 1
            here, shifts = batch.losses(r, watched=not last)
            values.append(here.value)
            if not last:
                gradient = batch.gradient(here.total, shifts, retain_graph=True)
                r = step * steepest(gradient, norm=norm) + (0 if r is None else r)
                r = project(r, radius=radius, norm=norm)
        return torch.stack(values).mean()

    reader, scales = Reader(loss, logits), {"radius": radius}
    return Objective(
        model,
        target,
        evaluate,
        reader,
        scales=scales,
        where=where,
        scope=scope,
        mask=mask,
        replicas=replicas,
        seed=seed,
    )


@checked
def gradient_penalty_objective(
    model,
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
    """loss(x) + weight·‖∇ₓloss‖ (`input_gradient_penalty`); for a table, ‖∇ of the mean loss‖.

        objective = gradient_penalty_objective(model, nn.CrossEntropyLoss(reduction="none"), weight=0.1)
        objective(images, labels).backward()

    Args:
        model, target, where, mask, logits, replicas: as for `adversarial_objective`. Double backward needs a model
            that is twice differentiable, which a compiled one, fused attention and a sparse table are not.
        loss: as for `adversarial_objective`, but one number for the batch, which would scale the gradients.
        weight: λ ≥ 0, or a function of the number of earlier calls. FGM of radius ε and norm "raw", "l2", "linf" is
            λ = ½ε with "l2_squared", ε with "l2", ε with "l1".
        norm: of the gradient.
        how: "double_backward", "forward_over_reverse", or "finite_difference", which needs first derivatives alone.
        xi: step of the difference, > 0, in units of what is perturbed.

    Returns and raises as `adversarial_objective`.

    Cost: 6 passes, floor 2 plain steps; forward over reverse 8, finite difference 10.
    """
    way = {
        "double_backward": penalty_by_double_backward,
        "forward_over_reverse": penalty_by_forward_mode,
        "finite_difference": penalty_by_difference,
    }[how]

    def evaluate(batch, seed, weight):
        if is_zero(weight):
            return batch.losses()[0].value
        value, penalty = way(batch, norm, xi)
        return value + weight * penalty.mean()

    needs = "the penalty goes by the size of each sample's gradient"
    reader, scales = Reader(loss, logits, needs=needs), {"weight": weight}
    return Objective(model, target, evaluate, reader, scales=scales, where=where, mask=mask, replicas=replicas)


def penalty_by_double_backward(batch, norm, xi):
    """Differentiate through the backward pass."""
    check_not_sharded(batch, "double_backward")
    check_not_sparse(batch.sites)
    if compiled_parts(batch.model):  # said before anything is compiled for a backward pass that cannot be
        raise RuntimeError(f"model: {COMPILED}")
    losses, shifts = batch.losses(watched=True)
    prepare_twice(losses.total)
    with explaining("model"):
        gradient = penalised(batch, losses, shifts, create_graph=True)
        if batch.is_first:
            _check_differentiable(gradient)
    return losses.value, _norm_and_slope(gradient, norm)[0]


def penalty_by_forward_mode(batch, norm, xi):
    """Find the gradient, then take the loss's derivative along it in forward mode."""
    check_not_sharded(batch, "forward_over_reverse")
    there, shifts = batch.losses(watched=True, parameters=False)
    gradient = penalised(batch, there, shifts)
    penalty, direction = _norm_and_slope(gradient, norm)
    with explaining("model"):
        losses, along = batch.slopes(direction)
    return losses.value, _sloped(penalty.detach(), along.value if batch.one else along.rows)


def penalty_by_difference(batch, norm, xi):
    """Find the gradient, then take the loss's derivative along it as a difference."""
    here, shifts = batch.losses(watched=True)
    gradient = penalised(batch, here, shifts, retain_graph=True)
    penalty, direction = _norm_and_slope(gradient, norm)
    # One length for all where samples meet in batch statistics: the derivative is then along all rows together.
    together = batch.passes.keep_statistics()
    u = unit(direction, scope="tensor" if together else "sample")
    length = direction.norm() if together else l2_norm(direction)
    ahead, behind = (batch.losses(sign * xi * u)[0] for sign in (1, -1))
    along = ahead.value - behind.value if batch.one else ahead.rows - behind.rows
    return here.value, _sloped(penalty.detach(), along * length / (2 * xi))


def penalised(batch, losses, shifts, **options):
    """The gradient of which the norm is taken: of each sample's loss, or of the mean for one vector, (R, N)."""
    if not batch.one:
        return batch.gradient(losses.total, shifts, **options)
    parts = batch.gradient_parts(losses.value, shifts, **options)
    rows = torch.cat([part.reshape(1, -1) for part in parts], 1)
    mean = batch.replicas.sum(rows) / batch.replicas.size
    # Its norm is of the mean over replicas; each differentiates its own part of it, and their mean is the derivative.
    return rows if batch.replicas.size == 1 else rows + (mean - rows).detach()


@checked
def virtual_adversarial_objective(
    model,
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
    """loss(x) + weight·(KL(p(x)‖p(x+r)) + entropy_weight·H(p(x))) (`vat_loss`); without a loss the latter alone.

        vat = virtual_adversarial_objective(model, None, radius=0.5)  # the regulariser, which needs no labels
        (loss(model(images), labels) + vat(unlabelled)).backward()

    Args:
        model, target, where, mask, replicas: as for `adversarial_objective`; `mask` also says of which positions.
        loss: (outputs, labels) -> losses, as for `adversarial_objective`; or None.
        radius: of the perturbation, ≥ 0; a table's is one vector. A function of the number of earlier calls will do.
        weight: of the regulariser, ≥ 0; likewise.
        xi: step of the finite difference, > 0, in units of what is perturbed; None: as `vat_perturbation` chooses it.
        steps: power iterations, ≥ 1.
        how: the way of a power step, "fisher", right in half precision, or "finite_difference", which needs first
            derivatives alone.
        entropy_weight: of the clean predictions' entropy, ≥ 0.
        seed: of the random starts: call n begins with `gaussian((seed + n) % 2**32)`. No global state is touched.
        outputs: "softmax": logits (B, C), or (B, T, C), where divergences are averaged over a sample's positions;
            "sigmoid": one logit a sample, (B, 1) or (B,).
        logits: what of the outputs are the logits, and what the loss is given; None: the outputs, or their `.logits`.

    Returns and raises as `adversarial_objective`.

    Cost: 8 passes, floor 8/3 plain steps.
    """
    alone = loss is None

    def evaluate(batch, seed, radius, weight):
        regularises = alone or not (is_zero(radius) or is_zero(weight))
        here = Smoothness(batch, how if regularises else None, xi)
        value = 0 if alone else here.losses.value
        if regularises:
            there, _ = batch.logits(radius * here.direction(batch.vectors.gaussian(seed), steps))
            value = value + weight * divergence(here.clean, there, batch.mask).mean()
        if not (is_zero(weight) or is_zero(entropy_weight)):
            value = value + weight * entropy_weight * uncertainty(here.logits, batch.mask).mean()
        return value

    reader, scales = Reader(loss, logits, outputs=outputs), {"radius": radius, "weight": weight}
    return Objective(
        model, target, evaluate, reader, scales=scales, where=where, mask=mask, replicas=replicas, seed=seed
    )


def check_state_is_in_buffers(module):
    """Keras on PyTorch keeps statistics and seeds in variables, which each pass would move and none would share."""
    keras = sys.modules.get("keras")
    layers = [part for part in module.modules() if keras is not None and isinstance(part, keras.Layer)]
    if any(layer.non_trainable_variables for layer in layers):
        raise RuntimeError(
            "model: got Keras layers with variables that are not trained (statistics, seeds of dropout, frozen"
            " weights), which are no buffers of PyTorch's, expected none. Train the model with KERAS_BACKEND=tensorflow"
            " or jax"
        )


def check_gradients_on():
    if not torch.is_grad_enabled():
        raise RuntimeError(
            "gradients are off (torch.no_grad or inference_mode), expected them on: training needs them. For"
            " evaluation call the model and the loss"
        )


def is_zero(number):
    """Whether a number leaves the passes out. An array might be 0 as well, but it is on a device."""
    return isinstance(number, (int, float)) and number == 0


def step_length(radius, step, steps):
    if step is not None:
        return step
    return radius if steps == 1 else 2.5 * radius / steps


def within_bounds(batch, r, bounds):
    return r if bounds is None else batch.inside(r, bounds)


def random_start(batch, *, differentiate=False):
    """The clean pass that a random start does without, where statistics or shapes are to be seen, or its losses."""
    known = batch.prepare()
    if differentiate:
        return batch.losses()[0]
    if not known or batch.passes.keep_statistics():
        batch.see_clean()
    return None


def check_attack(norm, steps, start, bounds, target, where):
    if norm == "raw" and (steps > 1 or start != "zero"):
        raise ValueError(f"norm: got 'raw' with {steps} steps from {start!r}, expected one step from 'zero'")
    if bounds is not None and not (target is None or where == "input"):
        raise ValueError(f'bounds: got {bounds} for {target!r}, expected None: only inputs have bounds (where="input")')


def check_not_sharded(batch, how):
    if sharded_units(batch.model):
        raise RuntimeError(
            f"how: got {how!r} for a sharded model, whose parameters are gone once a gradient is taken; expected"
            ' "finite_difference"'
        )
