"""Regularised training as a transformation of the loss: any pytree of parameters, any optimiser, any compilation.

    objective = adversarial_training(f, loss, "embedding", radius=1.0)
    gradient = jax.grad(lambda params: objective(params, tokens, labels, mask, dropout_key).mean())(params)

An objective is a pure function: what goes in stays what it was, bit for bit, also when it raises. What f takes beside
the parameters and x goes into every pass unchanged, so that passes share a dropout key and, by that, their masks.

A Flax NNX module is the one thing that is not left as it was: as in a plain step, it has the statistics of the clean
batch afterwards, and has drawn once.

    @nnx.jit
    def step(model, optimizer, x, labels):
        value, gradient = nnx.value_and_grad(lambda model: objective(model, x, labels).mean())(model)
        optimizer.update(model, gradient)

A radius or weight that is the number 0 leaves the plain loss, the same to the last bit under any compiler. One that is
traced cannot be seen to be 0, and all passes remain: they add 0, but XLA fuses, and by that rounds, them differently.
"""

import functools

from impls import checks
from impls.checks import checked
from impls.contract.types import Interval
from impls.jax import objectives
from impls.jax.passes import Options, Passes

SCALE = Interval(0)


@checked
def adversarial_training(
    f,
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
    where="table",
    mask=None,
    has_aux=False,
    replicas="all",
    axis_name=None,
):
    """The loss at x + r mixed with the clean one, (1-α)·loss(x + r) + α·loss(x), r the perturbation of `fgm` or `pgd`.

        objective = adversarial_training(f, loss, radius=0.1)
        gradient = jax.grad(lambda params: objective(params, x, labels).mean())(params)

    Args:
        f: (params, x, *rest) -> outputs (B, ...); with has_aux (outputs, state), new normalisation statistics say.
            params is any pytree, an Equinox module for instance, or a Flax NNX module; x any pytree.
        loss: (outputs, labels) -> (B,), not reduced. Or (B, T) where labels are (B, T); or a pair (losses, weights) of
            one shape, whose own mean is Σ losses / Σ weights; or, but for "raw", the mean over the batch.
        target: None perturbs x, (B, *S), or the one floating-point leaf of it. Otherwise the name of a leaf, or a list
            of names that are perturbed as one vector. The last parts of a path are enough if they fit one leaf.
        radius: ≥ 0, in units of what is perturbed ("raw": of its square per nat). May be traced, as all numbers here.
        norm: "l2", "linf", "l1" or "raw".
        scope: of the norm, a "sample" or the whole "tensor"; a table always has one.
        clean_weight: α in [0, 1]; 0 leaves out the clean loss. Otherwise its forward pass is the attack's too.
        steps: of ascent. 1 from "zero" is FGM, more are PGD: r ← project(r + step·steepest(gradient at x + r)).
        step: length of a step; None: the radius for one, 2.5·radius/steps for more (Madry et al. 2018).
        bounds: None, or lowest and highest value of x + r; inputs only.
        start: "zero", or "random", uniform in the ball, drawn with a key: objective(params, x, labels, key=key).
        where: what a name stands for: a "table" (V, D) in params, path "encoder/embedding", with one norm for all of it
            (`perturb_table`); a leaf of x, the "input", by key or position; a module's "output" (B, *S), by the path of
            a module of Flax or Haiku that f calls.
        mask: None, or where r may be, (B, T): a key or position in x, or a function (x, *rest) -> mask. r is 0 at 0.
        has_aux: whether f returns a state. The objective then returns (values, state), the clean pass's.
        replicas: "all": what is one for all samples, and random starts, are those of the whole batch; "local": each
            replica has its own. Of use in `jax.shard_map` and `jax.pmap`; under jit the batch is always whole.
        axis_name: the mapped axes over which the batch is split, where JAX does not track them: in `jax.pmap`, and in
            `jax.shard_map` with check_vma=False.

    Returns:
        objective(params, x, labels, *rest, key=None, radius=radius) -> what the loss returns: (B,), of which the mean
        is trained on. A radius that is passed takes the place of the one here, a schedule's for instance.

    Raises:
        TypeError, ValueError: when called or traced: integers to be perturbed, an empty batch, a name that is not there
            or fits several leaves, a loss that does not depend on what is perturbed or is reduced where that matters;
            outside jit also NaN or infinity.

    Cost: 5 passes, floor 5/3 plain steps (with a clean weight 7); 2 more for each further step.
    """
    if norm == "raw" and (steps > 1 or start == "random" or step is not None):
        raise ValueError("norm: got 'raw', expected 'l2', 'linf' or 'l1' for several steps, a step's length, a start")
    _refuse_schedules(radius=radius)
    options = _options(where=where, mask=mask, has_aux=has_aux, replicas=replicas, axis_name=axis_name)
    fixed = {"norm": norm, "scope": scope, "clean_weight": clean_weight, "steps": steps, "step": step}
    attack = functools.partial(objectives.adversarial, **fixed, bounds=bounds, start=start)

    def objective(params, x, labels, *rest, key=None, radius=radius):
        passes = Passes(f, loss, target, options, params, x, labels, rest)
        return passes.finish(*attack(passes, key, radius=_number("radius", radius)))

    return objective


@checked
def freelb_training(
    f,
    loss,
    target=None,
    *,
    radius,
    step,
    steps,
    norm="l2",
    scope="sample",
    start="random",
    where="table",
    mask=None,
    has_aux=False,
    replicas="all",
    axis_name=None,
):
    """The mean of the losses along an ascent, 1/K·Σ loss(x + rₖ), each of whose passes is trained on (`freelb_loss`).

    Args:
        f, loss, target, where, mask, has_aux, replicas, axis_name: as for `adversarial_training`.
        radius: of the ball, ≥ 0, in units of what is perturbed.
        step: length of a step, > 0.
        steps: K ≥ 1.
        norm: of the ball and of a step, "l2", "linf" or "l1".
        scope: of the norm.
        start: "random", uniform in the ball, drawn with a key: objective(params, x, labels, key=key); or "zero".

    Returns:
        objective(params, x, labels, *rest, key=None, radius=radius) -> what the loss returns.

    Raises:
        TypeError, ValueError: as for `adversarial_training`.

    Cost: 3·K passes, floor K plain steps; one forward pass more for a state at a random start.
    """
    _refuse_schedules(radius=radius)
    options = _options(where=where, mask=mask, has_aux=has_aux, replicas=replicas, axis_name=axis_name)
    fixed = {"norm": norm, "scope": scope, "steps": steps, "step": step, "start": start}

    def objective(params, x, labels, *rest, key=None, radius=radius):
        passes = Passes(f, loss, target, options, params, x, labels, rest)
        return passes.finish(*objectives.freelb(passes, key, radius=_number("radius", radius), **fixed))

    return objective


@checked
def gradient_penalty_training(
    f,
    loss,
    target=None,
    *,
    weight,
    norm="l2_squared",
    how="double_backward",
    xi=0.01,
    where="table",
    mask=None,
    has_aux=False,
    replicas="all",
    axis_name=None,
):
    """The loss and the norm of its gradient, loss(x) + λ·‖∇ₓloss‖ (`input_gradient_penalty`).

    For a table the penalty is the norm of the mean loss's gradient, one number, which every sample's value has added.

    Args:
        f: as for `adversarial_training`, twice differentiable but for how="finite_difference".
        loss: (outputs, labels) -> (B,), (B, T) or a pair, not reduced, as for `adversarial_training`.
        target, where, mask, has_aux, replicas, axis_name: as for `adversarial_training`.
        weight: λ ≥ 0.
        norm: "l2_squared", "l2" or "l1", of each sample's gradient or the whole table's.
        how: "double_backward", "forward_over_reverse" or "finite_difference".
        xi: step of the difference, > 0, in units of what is perturbed.

    Returns:
        objective(params, x, labels, *rest, weight=weight) -> what the loss returns. Train on its mean.

    Raises:
        TypeError, ValueError: as for `adversarial_training`.

    Cost: 6 passes, floor 2 plain steps.
    """
    _refuse_schedules(weight=weight)
    options = _options(where=where, mask=mask, has_aux=has_aux, replicas=replicas, axis_name=axis_name)

    def objective(params, x, labels, *rest, weight=weight):
        passes = Passes(f, loss, target, options, params, x, labels, rest)
        weight = _number("weight", weight)
        return passes.finish(*objectives.gradient_penalty(passes, weight=weight, norm=norm, how=how, xi=xi))

    return objective


@checked
def virtual_adversarial_training(
    f,
    loss=None,
    target=None,
    *,
    radius,
    weight=1.0,
    xi=None,
    steps=1,
    how="fisher",
    entropy_weight=0.0,
    outputs="softmax",
    logits=None,
    where="table",
    mask=None,
    has_aux=False,
    replicas="all",
    axis_name=None,
):
    """The loss and how far the prediction moves, loss(x) + λ·(KL(p(x)‖p(x+r)) + β·H(p(x))), r virtual adversarial.

        vat = virtual_adversarial_training(f, radius=0.5)
        vat(params, unlabelled, key=key).mean()  # without a loss: what is added alone, of x without labels

    Args:
        f: as for `adversarial_training`.
        loss: as for `adversarial_training`, the mean too; None: objective(params, x, *rest, key=key) is the rest alone.
        target, where, has_aux, replicas, axis_name: as for `adversarial_training`; of a table r is one vector.
        radius: ‖r‖₂ ≥ 0, in units of what is perturbed.
        weight: λ ≥ 0.
        xi: step of the finite difference, > 0, in the same units; None: as `vat_perturbation` chooses it.
        steps: power iterations, ≥ 1.
        how: the way of a power step, "fisher", right in half precision, or "finite_difference".
        entropy_weight: β ≥ 0.
        outputs: "softmax": logits (B, C), or (B, T, C) of which a sample's mean is taken; "sigmoid": one logit a
            sample, (B,) or (B, 1).
        logits: outputs of f -> logits; None: the outputs themselves, or their attribute `logits`.
        mask: as for `adversarial_training`; positions of (B, T, C) count where it is not 0, too.

    Returns:
        objective(params, x, labels, *rest, key=key, radius=radius, weight=weight) -> what the loss returns. Train on
        its mean. The key draws the power iteration's start, and is another than that for dropout in `rest`.

    Raises:
        TypeError, ValueError: as for `adversarial_training`.

    Cost: 8 passes, floor 8/3 plain steps.
    """
    _refuse_schedules(radius=radius, weight=weight)
    options = _options(where, mask, logits, outputs, has_aux, replicas, axis_name)
    fixed = {"xi": xi, "steps": steps, "how": how, "entropy_weight": entropy_weight}

    def objective(params, x, *rest, key, radius=radius, weight=weight):
        if loss is not None and not rest:
            raise TypeError("labels: got none, expected objective(params, x, labels, *rest, key=key), or loss=None")
        labels, rest = (None, rest) if loss is None else (rest[0], rest[1:])
        passes = Passes(f, loss, target, options, params, x, labels, rest)
        numbers = {"radius": _number("radius", radius), "weight": _number("weight", weight)}
        return passes.finish(*objectives.virtual_adversarial(passes, key, **numbers, **fixed))

    return objective


def _options(*values, **options):
    """Options of all objectives, held against what they may be."""
    found = Options(*values, **options)
    for name, allowed in {"where": ("input", "table", "output"), "replicas": ("all", "local")}.items():
        if (got := getattr(found, name)) not in allowed:
            raise ValueError(f"{name}: got {got!r}, expected one of {', '.join(map(repr, allowed))}")
    return found


def _refuse_schedules(**numbers):
    """A transformation has no count of steps: a schedule's number comes with each call."""
    for name, value in numbers.items():
        if callable(value):
            raise TypeError(
                f"{name}: got {value!r:.60}, expected a number. Pass a schedule's number at each call:"
                f" objective(params, x, labels, {name}=schedule(count))"
            )


def _number(name, value):
    """A number that is passed when the objective is called, held against what the contract says of it."""
    return checks.check_number(name, value, SCALE)
