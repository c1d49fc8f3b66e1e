"""The network as JAX has it: a function of parameters, statistics and a key; Optax; compiled."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax

from equivalence import trainees
from equivalence.trainees import DROPPED, HIDDEN, MOMENTUM, RATE, STATISTICS_RATE, Slot

GENERATORS = {}  # no global ones
CLASSES, EPSILON = 2, 1e-5
GENERATOR = "rbg"  # compiled sooner than the default
LOSS = optax.softmax_cross_entropy_with_integer_labels


def network(params, tokens, statistics, dropout, *, training=True, reached=lambda: None):
    """Logits (B, C), and the statistics as the pass leaves them."""
    x = jnp.tanh(params["tokens"][tokens] + params["positions"]).mean(1)
    x, norm = normalised(x, statistics["norm"], training)
    x = jnp.tanh((x * params["norm.scale"] + params["norm.shift"]) @ params["hidden.kernel"] + params["hidden.bias"])
    x, frozen = normalised(x, statistics["frozen"], training=False)
    if training:
        x = x * jax.random.bernoulli(dropout, 1 - DROPPED, x.shape) / (1 - DROPPED)
    reached()
    return x @ params["output.kernel"] + params["output.bias"], {"norm": norm, "frozen": frozen}


def normalised(x, statistics, training):
    """x in units of the batch's statistics, and the running ones; in units of those when not training."""
    used = {"mean": x.mean(0), "variance": x.var(0)} if training else statistics
    moved = jax.tree.map(lambda kept, new: kept + STATISTICS_RATE * (new - kept), statistics, used)
    return (x - used["mean"]) * jax.lax.rsqrt(used["variance"] + EPSILON), moved


def ordinary(f, training):
    """What a one-liner takes the place of: (params, x, labels, *rest) -> (losses, statistics)."""

    def objective(params, x, labels, *rest):
        logits, statistics = f(params, x, *rest, training=training)
        return LOSS(logits, labels), statistics

    return objective


def evaluated(objective, tree, tokens, labels):
    """Mean, gradients, statistics and the next key: what a step begins with."""
    key, dropout, start = jax.random.split(jax.random.wrap_key_data(tree["random"]["key"], impl=GENERATOR), 3)
    keys = {"key": start} if "key" in inspect.signature(objective).parameters else {}

    def mean(params):
        values, statistics = objective(params, tokens, labels, tree["statistics"], dropout, **keys)
        return values.mean(), statistics

    (value, statistics), gradients = jax.value_and_grad(mean, has_aux=True)(tree["parameters"])
    return value, gradients, statistics, jax.random.key_data(key)


STEPS, PROGRAMS = {}, {}  # compiled: by what was asked for, and by the program that it is


def compiled(method, constants, *arguments):
    """`evaluated`, compiled for a one-liner and its options that are no numbers; numbers are its first argument."""

    def run(numbers, *rest):
        return evaluated(method(network, **constants, **numbers), *rest)

    shapes = str(jax.tree.map(jnp.shape, arguments))
    key = method, *constants.items(), shapes
    if key not in STEPS:
        lowered = jax.jit(run).lower(*arguments)
        program = shapes, lowered.as_text()  # that of a step which is switched off is the plain one's: compiled once
        if program not in PROGRAMS:
            PROGRAMS[program] = lowered.compile()
        STEPS[key] = PROGRAMS[program]
    return STEPS[key](*arguments)


@jax.jit
def updated(parameters, optimiser, gradients):
    """Parameters and the optimiser after its step."""
    transformation = optax.sgd(optimiser["learning rate"], MOMENTUM)
    updates, momentum = transformation.update(gradients, optimiser["momentum"])
    return optax.apply_updates(parameters, updates), optimiser | {"momentum": momentum}


def called(function, *arrays):
    """Call a function of arrays that are traced: uncompiled, each of its operations would be compiled by itself."""
    return jax.eval_shape(function, *arrays)


class Trainee(trainees.Trainee):
    framework = "jax"

    def build(self, vocabulary, width):
        rng = np.random.default_rng(0)
        shapes = {
            "tokens": (vocabulary, width), "positions": (self.tokens.shape[1], width),
            "hidden.kernel": (width, HIDDEN), "output.kernel": (HIDDEN, CLASSES),
        }  # fmt: skip
        matrices = {name: jnp.asarray(rng.standard_normal(shape) / 2, "float32") for name, shape in shapes.items()}
        vectors = {"norm.shift": zeros(width), "hidden.bias": zeros(HIDDEN), "output.bias": zeros(CLASSES)}
        parameters = matrices | vectors | {"norm.scale": 1 + zeros(width)}
        self.tree = {
            "parameters": parameters,
            "statistics": {
                name: {"mean": zeros(n), "variance": 1 + zeros(n)} for name, n in (("norm", width), ("frozen", HIDDEN))
            },
            "optimiser": {
                "learning rate": jnp.asarray(RATE, "float32"),
                "momentum": optax.sgd(RATE, MOMENTUM).init(parameters),
            },
            "random": {"key": jnp.asarray([0, 0, 0, 1], "uint32")},
        }

    def slots(self):
        paths = jax.tree.leaves_with_path(self.tree)
        names = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in paths]
        return {
            name: Slot(functools.partial(self.read, i), functools.partial(self.write, i))
            for i, name in enumerate(names)
        }

    def read(self, index):
        return jax.tree.leaves(self.tree)[index]

    def write(self, index, value):
        leaves, tree = jax.tree.flatten(self.tree)
        leaves[index] = jnp.asarray(value, leaves[index].dtype)
        self.tree = tree.unflatten(leaves)

    def backward(self, training=True):
        self.reached()
        value, gradients = self.run(ordinary, {"training": training}, {})
        return value, {f"parameters/{name}": np.array(gradient) for name, gradient in gradients.items()}

    def run(self, method, constants, numbers):
        """One evaluation; only when it is over, the statistics and the key are the new ones."""
        arguments = self.tree, self.tokens, self.labels
        if self.fails_at and method is not ordinary:  # passes are seen while a step is traced
            objective = method(functools.partial(network, reached=self.reached), **constants, **numbers)
            jax.eval_shape(functools.partial(evaluated, objective), *arguments)
        value, gradients, statistics, key = compiled(method, constants, numbers, *arguments)
        self.tree |= {"statistics": statistics, "random": {"key": key}}
        return float(value), gradients

    def apply(self, gradients):
        gradients = {name.removeprefix("parameters/"): gradient for name, gradient in gradients.items()}
        parameters, optimiser = updated(self.tree["parameters"], self.tree["optimiser"], gradients)
        self.tree |= {"parameters": parameters, "optimiser": optimiser}

    def plain(self):
        value, gradients = self.backward()
        self.apply(gradients)
        return value

    def take(self, method, options):
        numbers = {name: self.array(value) for name, value in options.items() if number(value)}
        constants = {name: value for name, value in options.items() if name not in numbers}
        value, gradients = self.run(method, {"loss": LOSS, "target": "tokens", "has_aux": True} | constants, numbers)
        self.apply(gradients)
        return value

    def array(self, value):
        return jnp.asarray(value, jnp.float32)


def zeros(size):
    return jnp.asarray(np.zeros(size, "float32"))


def number(value):
    """Whether an option is compiled as an argument: the number 0 is not, since it is to switch passes off."""
    return hasattr(value, "shape") or (isinstance(value, float) and value != 0)
