"""Training steps of a user's own JAX model with each method, by the one-liners, and the lines to paste."""

import contextlib
import sys

import jax

from impls.jax import training
from impls.jax.passes import Model
from impls.jax.sites import _uses_of

PENALTIES = {"double backward": "double_backward", "forward over reverse": "forward_over_reverse"}
PENALTIES |= {"finite difference": "finite_difference"}


def steps(own, place, radius, weight):
    """Steps by name, each a compiled gradient of the mean of an objective."""
    at = options(place)
    made = {
        "fgm": lambda: training.adversarial_training(own.f, own.loss, radius=radius, **at),
        "pgd, 3 steps": lambda: training.adversarial_training(own.f, own.loss, radius=radius, steps=3, **at),
        "freelb, 3 steps": lambda: training.freelb_training(
            own.f, own.loss, radius=radius, step=radius / 2, steps=3, start="zero", **at
        ),
    }
    for name, how in PENALTIES.items():
        made[f"gradient penalty, {name}"] = lambda how=how: training.gradient_penalty_training(
            own.f, own.loss, weight=weight, how=how, **at
        )
    sigmoid = {"outputs": "sigmoid"} if has_one_logit(own) else {}
    found = {"plain": step(own, lambda params: own.read(own.outputs(params)).mean())}
    found |= {name: step(own, objective(own, make)) for name, make in made.items()}
    key = jax.random.key(0)
    vat = objective(
        own, lambda: training.virtual_adversarial_training(own.f, own.loss, radius=radius, **at, **sigmoid), key=key
    )
    return found | {"vat": step(own, vat)}


def has_one_logit(own):
    shape = getattr(jax.eval_shape(own.outputs, own.parameters()), "shape", ())
    return len(shape) == 1 or shape[1:] == (1,)


def options(place):
    if place.kind == "input":
        return {"target": place.name, "where": "input"} if place.name else {"target": None}
    return {"target": place.name, "where": place.kind}


def objective(own, make, **keys):
    """The mean of an objective as a function of the parameters."""

    def mean(params):
        found = make()(own.tree(params), own.x, own.labels, **keys)
        values, weights = found if isinstance(found, tuple) else (found, None)
        return values.mean() if weights is None else values.sum() / weights.sum()

    return mean


def step(own, mean):
    """A compiled step; traced and compiled when it is first called."""
    run, params = jax.jit(jax.value_and_grad(mean)), own.parameters()
    return lambda: jax.block_until_ready(run(params))


def lines(own, place, radius, weight):
    """What to paste, by method."""
    given = "f, loss" + place.as_argument()
    return {
        "fgm": f"objective = adversarial_training({given}, radius={radius})",
        "gradient penalty": f"objective = gradient_penalty_training({given}, weight={weight}HOW)",
        "vat": f"objective = virtual_adversarial_training({given}, radius={radius})",
        "import": "from equireg.jax import METHOD_training  # minimise objective(params, x, labels).mean()",
    }


def is_table(own, name):
    """Whether a parameter's rows are looked up: what is only added or multiplied with is no table."""
    tree = own.tree(own.parameters())
    model = Model(own.f, tree, ())
    known, leaves = model.parameters()
    return "lookup" in _uses_of(model, own.x, leaves[known.index(name)])


@contextlib.contextmanager
def linen_kinds(kinds):
    """A context in which the classes of Linen's modules are noted by path: their names are the user's."""

    def note(function, args, kwargs, context):
        kinds["/".join(context.module.path)] = type(context.module).__name__
        return function(*args, **kwargs)

    linen = sys.modules.get("flax.linen")
    with linen.intercept_methods(note) if linen else contextlib.nullcontext():
        yield


def nnx_passes(own):
    """Two passes of one NNX module, with the same random state; what it keeps is put back afterwards."""
    nnx, module = own.nnx, own.module
    start = jax.tree.map(copied, nnx.state(module))  # what Flax hands out is the module's own, and moves with it
    kept = nnx.filter_state(start, nnx.Not(nnx.Any(nnx.Param, nnx.RngState)))
    draws = jax.tree.map(copied, nnx.filter_state(start, nnx.RngState))
    found = []
    for _ in range(2):
        nnx.update(module, draws)
        found.append(own.read(own.f(module, own.x)).reshape(-1).tolist())
        draws = jax.tree.map(copied, nnx.filter_state(start, nnx.RngState))
    after = nnx.filter_state(nnx.state(module), nnx.Not(nnx.Any(nnx.Param, nnx.RngState)))
    moved = {}
    for (path, old), new in zip(jax.tree.leaves_with_path(kept), jax.tree.leaves(after), strict=True):
        largest = max(float(abs(old).max()), float(abs(new).max())) or 1.0
        moved[jax.tree_util.keystr(path, simple=True, separator="/")] = float(abs(new - old).max()) / largest
    nnx.update(module, start)
    return found[0], found[1], {name: by for name, by in moved.items() if by}


def copied(leaf):
    return leaf.copy() if hasattr(leaf, "copy") else leaf
