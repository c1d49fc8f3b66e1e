"""Regularised training as a transformation of the loss: any pytree of parameters, any optimiser, any compilation.

    objective = adversarial_training(f, loss, "embedding", radius=1.0)
    gradient = jax.grad(lambda params: objective(params, tokens, labels, mask, dropout_key).mean())(params)

An objective is a pure function: what goes in stays what it was, bit for bit, also when it raises. What f takes beside
the parameters and x goes into every pass unchanged, so that passes share a dropout key and, by that, their masks.

A radius or weight that is the number 0 leaves the plain loss, the same to the last bit under any compiler. One that is
traced cannot be seen to be 0, and all passes remain: they add 0, but XLA fuses, and by that rounds, them differently.
"""

import jax
import jax.numpy as jnp

from impls.checks import check_classes, checked
from impls.jax import finite
from impls.jax.losses import entropy, kl_divergence
from impls.jax.norms import steepest
from impls.jax.penalty import _norm_and_slope
from impls.jax.virtual_adversarial import _perturbation


@checked
def adversarial_training(f, loss, target=None, *, radius, norm="l2", scope="sample", clean_weight=0.0, has_aux=False):
    """The loss at x + r mixed with the clean one, (1-α)·loss(x + r) + α·loss(x), r the perturbation of `fgm`.

    Args:
        f: (params, x, *rest) -> outputs (B, ...); with has_aux (outputs, state), new normalisation statistics say.
        loss: (outputs, labels) -> (B,), not reduced.
        target: None perturbs x, (B, *S) floating point. A path in params, "encoder/embedding", perturbs the table
            (V, D) there, with one norm for the whole of it (`perturb_table`). The last parts of the path are enough if
            they fit one leaf.
        radius: ≥ 0, in units of what is perturbed ("raw": of its square per nat). May be traced, as all numbers here.
        norm: "l2", "linf", "l1" or "raw".
        scope: of the norm, a "sample" or the whole "tensor"; x only.
        clean_weight: α in [0, 1]; 0 leaves out the clean loss. Otherwise its forward pass is the attack's too.
        has_aux: whether f returns a state. The objective then returns (values, state), the clean pass's.

    Returns:
        objective(params, x, labels, *rest) -> (B,). Train on its mean.

    Raises:
        TypeError, ValueError: when called or traced: integers to be perturbed, an empty batch, a name that is not there
            or fits several leaves, a loss that is reduced; outside jit also NaN or infinity.

    Cost: 5 passes, floor 5/3 plain steps (with a clean weight 7).
    """

    def objective(params, x, labels, *rest):
        point, _, losses = _passes(f, loss, target, has_aux, params, x, labels, rest)
        if _is_zero(radius):
            return _result(*losses(params, point), has_aux)
        clean, gradient_of, state = jax.vjp(lambda point: losses(params, point), point, has_aux=True)
        held = jax.lax.stop_gradient(gradient_of)  # its residuals: r is fixed, and no second derivative asked for
        gradient = _finite("the loss's gradient", held(jnp.ones_like(clean))[0])
        r = jnp.asarray(radius, point.dtype) * steepest(gradient, norm=norm, scope=scope)
        values, _ = losses(params, point + r)
        if not _is_zero(clean_weight):
            values = clean_weight * clean + (1 - clean_weight) * values
        return _result(values, state, has_aux)

    return objective


@checked
def gradient_penalty_training(f, loss, target=None, *, weight, norm="l2_squared", has_aux=False):
    """The loss and the norm of its gradient, loss(x) + λ·‖∇ₓloss‖ (`input_gradient_penalty`).

    For a table the penalty is the norm of the mean loss's gradient, one number, which every sample's value has added.

    Args:
        f: as for `adversarial_training`, twice differentiable.
        loss: (outputs, labels) -> (B,), twice differentiable.
        target: None for x, or the path of a table in params.
        weight: λ ≥ 0.
        norm: "l2_squared", "l2" or "l1", of each sample's gradient or the whole table's.
        has_aux: whether f returns a state.

    Returns:
        objective(params, x, labels, *rest) -> (B,). Train on its mean.

    Raises:
        TypeError, ValueError: as for `adversarial_training`.

    Cost: 6 passes, floor 2 plain steps.
    """

    def objective(params, x, labels, *rest):
        point, _, losses = _passes(f, loss, target, has_aux, params, x, labels, rest)
        if _is_zero(weight):
            return _result(*losses(params, point), has_aux)
        clean, gradient_of, state = jax.vjp(lambda point: losses(params, point), point, has_aux=True)
        share = len(point) / len(clean)  # 1 for samples, each of its own loss; 1/B for a table, of the mean loss
        gradient = gradient_of(jnp.full_like(clean, share))[0]
        return _result(clean + weight * _norm_and_slope(gradient, norm)[0], state, has_aux)

    return objective


@checked
def virtual_adversarial_training(
    f, loss, target=None, *, radius, weight=1.0, xi=0.01, steps=1, entropy_weight=0.0, has_aux=False
):
    """The loss and how far the prediction moves, loss(x) + λ·(KL(p(x)‖p(x+r)) + β·H(p(x))), r virtual adversarial.

    Args:
        f: as for `adversarial_training`; its outputs are logits (B, C).
        loss: (outputs, labels) -> (B,), not reduced.
        target: None for x, or the path of a table in params, of which r is one vector.
        radius: ‖r‖₂ ≥ 0, in units of what is perturbed.
        weight: λ ≥ 0.
        xi: step of the finite difference, > 0, in the same units.
        steps: power iterations, ≥ 1.
        entropy_weight: β ≥ 0.
        has_aux: whether f returns a state.

    Returns:
        objective(params, x, labels, *rest, key=key) -> (B,). Train on its mean. The key draws the power iteration's
        start, and is another than that for dropout in `rest`.

    Raises:
        TypeError, ValueError: as for `adversarial_training`.

    Cost: 8 passes, floor 8/3 plain steps.
    """

    def objective(params, x, labels, *rest, key):
        point, outputs, _ = _passes(f, loss, target, has_aux, params, x, labels, rest)
        logits, state = outputs(params, point)
        check_classes("f", logits)
        values = _per_sample(loss(logits, labels), x)
        if not (_is_zero(weight) or _is_zero(radius)):
            held, at, clean = jax.lax.stop_gradient((params, point, logits))
            start = jax.random.normal(key, point.shape, point.dtype)
            size, step = jnp.asarray(radius, point.dtype), jnp.asarray(xi, point.dtype)
            r = _perturbation(lambda p: outputs(held, p)[0], at, clean, start, size, step, steps, "finite_difference")
            values = values + weight * kl_divergence(clean, outputs(params, point + r)[0])
        if not (_is_zero(weight) or _is_zero(entropy_weight)):
            values = values + weight * entropy_weight * entropy(logits)
        return _result(values, state, has_aux)

    return objective


def _passes(f, loss, target, has_aux, params, x, labels, rest):
    """Where to perturb, and outputs and losses as functions of the parameters and of the point, each with its state."""
    if jnp.ndim(x) == 0 or len(x) == 0:
        raise ValueError(f"x: got shape {jnp.shape(x)}, expected (B, *S) with at least one sample")
    point, put = _input(x) if target is None else _table(params, x, target)

    def outputs(params, point):
        result = f(*put(params, point), *rest)
        if has_aux and not (isinstance(result, tuple) and len(result) == 2):
            raise TypeError(f"f: got a {type(result).__name__} from it, expected (outputs, state) as has_aux=True says")
        return result if has_aux else (result, None)

    def losses(params, point):
        result, state = outputs(params, point)
        return _per_sample(loss(result, labels), x), state

    return point, outputs, losses


def _input(x):
    point = jnp.asarray(x)  # (B, *S)
    if not _is_floating(point):
        raise TypeError(
            f"x: got {point.dtype}, expected floating point: perturbations need real inputs. For integer tokens name"
            ' their embedding in params, target="encoder/embedding" for instance'
        )
    return _finite("x", point), lambda params, point: (params, point)


def _table(params, x, target):
    """The table as one sample, (1, V, D): what there is one of for each sample, there is one of for the table."""
    paths, tree = jax.tree.flatten_with_path(params)
    names = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in paths]
    leaves = [leaf for _, leaf in paths]
    index = _index(names, leaves, target)

    def put(params, point):
        leaves = jax.tree.leaves(params)
        leaves[index] = point.squeeze(0)
        return tree.unflatten(leaves), x

    return _finite(f"params, {names[index]}", jnp.asarray(leaves[index])[None]), put


def _index(names, leaves, target):
    """Where the one table is whose path is the target, or else ends with it."""
    places = range(len(names))
    found = [place for place in places if names[place] == target]
    found = found or [place for place in places if names[place].endswith(f"/{target}")]
    if len(found) > 1:
        fitting = ", ".join(names[place] for place in found)
        raise ValueError(f"target: got {target!r}, which fits {fitting}; expected one of them, more of its path")
    tables = [place for place in places if jnp.ndim(leaves[place]) == 2 and _is_floating(leaves[place])]
    if not found or found[0] not in tables:
        got = f"an array {jnp.shape(leaves[found[0]])}" if found else "which is not in params"
        there = ", ".join(names[place] for place in tables) or "none"
        raise ValueError(f"target: got {target!r}, {got}; expected one of the floating-point tables (V, D): {there}")
    return found[0]


def _per_sample(values, x):
    if jnp.shape(values) != (len(x),):
        raise ValueError(
            f"loss: got shape {jnp.shape(values)} from it, expected ({len(x)},): one loss a sample, not reduced over"
            " the batch. Leave out its mean or sum: it is the objective's mean that is trained on"
        )
    return _finite("f, loss", values)


def _result(values, state, has_aux):
    values = _finite("f, loss", values)
    return (values, state) if has_aux else values


def _finite(name, values):
    """The values; outside jit NaN is refused before it reaches an optimiser, also where jax.grad is at work."""
    if finite(jax.lax.stop_gradient(values)) is False:
        raise ValueError(f"{name}: got NaN or infinity from it or its derivatives, expected finite numbers")
    return values


def _is_floating(array):
    return jnp.issubdtype(jnp.result_type(array), jnp.floating)


def _is_zero(number):
    return isinstance(number, int | float) and number == 0
