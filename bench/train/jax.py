"""A run in JAX: functions of a dict of parameters, Optax, and a line of `training.py` where there is one."""

from functools import partial
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import impls
from bench.train.regimes import MOMENTUM, Regime
from equivalence.cases import Case
from equivalence.measure import mixing
from equivalence.problem import Problem
from impls.jax import models, training

OPTIMIZERS = {"adam": optax.adam, "momentum": partial(optax.sgd, momentum=MOMENTUM)}


class Trainer:
    """Trains a model with a regime, a batch at a time; batches are NumPy's."""

    def __init__(
        self, start: Case, regime: Regime, strength: float, *, optimizer: str, rate: float, dtype: str, device: str
    ):
        self.bridge = impls.load("jax")
        methods = SimpleNamespace(**vars(impls.methods("jax")), mean=jnp.mean)  # flooding takes the batch's mean
        self.problem = Problem(start, self.bridge, methods, mixing(dtype), device)
        self.function = partial(self.problem.model, **start.options)
        self.table = None if start.tokens is None else str(start.table)
        self.optimizer = OPTIMIZERS[optimizer](rate)
        self.params = self.problem.params
        self.moments = self.optimizer.init(self.params)
        objective = self.wrapped(regime) if regime.wrapper else self.functional(regime)

        @jax.jit
        def update(strength: Any, params: Any, state: Any, *batches: Any) -> Any:
            value, gradient = jax.value_and_grad(lambda p: objective(strength, p, *batches).mean())(params)
            updates, state = self.optimizer.update(gradient, state, params)
            return optax.apply_updates(params, updates), state, value

        self.strength = jnp.asarray(strength, self.problem.held_in)  # an argument: other strengths compile nothing anew
        self.update, self.predict = update, jax.jit(lambda params, data: self.f(params, *inputs(data)))

    def model(self, params: Any, x: Any, *masks: Any) -> Any:
        """Logits, which a loss is computed of in float32 where precision is mixed."""
        return self.function(params, x, *masks).astype(self.problem.held_in)

    def f(self, params: Any, x: Any, *masks: Any) -> Any:
        if self.table:
            x = models.embed(params[self.table], x)
        return self.model(params, x, *masks)

    def shifted(self, params: Any, shift: Any, x: Any, *masks: Any) -> Any:
        """What is perturbed is added to the embedding's output."""
        return self.model(params, models.embed(params[self.table], x) + shift, *masks)

    def wrapped(self, regime: Regime) -> Any:
        wrapper = regime.wrapper
        loss = optax.softmax_cross_entropy_with_integer_labels
        of_output = self.table and wrapper.where != "table"
        f, target = (self.shifted, None) if of_output else (self.f, self.table)

        def objective(strength: Any, params: Any, data: Any, *_: Any) -> Any:
            options = {**wrapper.options, wrapper.option: strength}
            line = getattr(training, wrapper.function)(f, loss, target, **options)
            given = inputs(data)
            if of_output:
                given = (jnp.zeros((*data["tokens"].shape, params[self.table].shape[1]), strength.dtype), *given)
            return line(params, given[0], data["labels"], *given[1:])

        return objective

    def functional(self, regime: Regime) -> Any:
        def objective(strength: Any, params: Any, data: Any, unlabelled: Any, extra: Any) -> Any:
            labelled, other = (self.problem.at(params, each, extra) for each in (data, unlabelled))
            return regime.objective(self.problem.methods, labelled, other, strength)

        return objective

    def step(self, data: dict[str, Any], unlabelled: dict[str, Any], extra: dict[str, Any]) -> float:
        """One step; the objective before it."""
        batches = (self.arrays(each) for each in (data, unlabelled, extra))
        self.params, self.moments, value = self.update(self.strength, self.params, self.moments, *batches)
        return float(value)

    def arrays(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        return {name: self.problem.array(array) for name, array in batch.items()}

    def logits(self, data: dict[str, np.ndarray]) -> np.ndarray:
        return self.bridge.to_numpy(self.predict(self.params, self.arrays(data)))

    def parameters(self) -> dict[str, Any]:
        """The parameters as the framework has them."""
        return self.params

    def state(self) -> dict[str, np.ndarray]:
        """All that the next steps depend on, to be kept."""
        return {
            str(number): np.asarray(leaf) for number, leaf in enumerate(jax.tree.leaves((self.params, self.moments)))
        }

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Go on where the trainer was whose `state` this is."""
        leaves, structure = jax.tree.flatten((self.params, self.moments))
        kept = [arrays[str(number)].astype(leaf.dtype) for number, leaf in enumerate(leaves)]
        found = [jax.device_put(array, leaf.sharding) for array, leaf in zip(kept, leaves, strict=True)]
        self.params, self.moments = jax.tree.unflatten(structure, found)


def inputs(data: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(data[name] for name in ("x", "tokens", "mask") if name in data)
