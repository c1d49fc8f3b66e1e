"""What methods take, f(x) and loss(x), each with its gradient `vjp(x, cotangent) -> (x_bar, params_bar)`.

`OfParams` alone has no x: its vjp gives params_bar.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from equivalence.oracle import losses, models
from equivalence.oracle.layers import Params, Pulled
from equivalence.oracle.trees import tree_map

Array = np.ndarray


class Model:
    """f(x) -> (B, C): one of the models at given parameters, with its options."""

    def __init__(self, name: str, params: Params, mask: Array | None = None, **options: Any):
        self.name, self.params, self.options = name, params, options
        self.masks = () if mask is None else (mask,)

    def __call__(self, x: Array) -> Array:
        return getattr(models, self.name)(self.params, x, *self.masks, **self.options)

    def vjp(self, x: Array, cotangent: Array) -> Pulled:
        return getattr(models, f"{self.name}_vjp")(self.params, x, *self.masks, cotangent, **self.options)


class LogSoftmax:
    """x -> log softmax f(x), (B, C)."""

    def __init__(self, model: Any):
        self.model = model

    def __call__(self, x: Array) -> Array:
        return losses.log_softmax(self.model(x))

    def vjp(self, x: Array, cotangent: Array) -> Pulled:
        p = losses.softmax(self.model(x))
        return self.model.vjp(x, cotangent - p * cotangent.sum(1, keepdims=True))


class Loss:
    """loss(x) -> (B,): "cross_entropy", "squared_error", or "value", the model's one output itself."""

    def __init__(self, model: Any, loss_name: str, labels: Array):
        if loss_name not in ("cross_entropy", "squared_error", "value"):
            raise ValueError(f"loss_name: got {loss_name!r}, expected cross_entropy, squared_error or value")
        self.model, self.loss_name, self.labels = model, loss_name, labels

    def __call__(self, x: Array) -> Array:
        outputs = self.model(x)  # (B, C)
        return outputs[:, 0] if self.loss_name == "value" else getattr(losses, self.loss_name)(outputs, self.labels)

    def vjp(self, x: Array, cotangent: Array) -> Pulled:
        outputs = self.model(x)
        if self.loss_name == "value":
            return self.model.vjp(x, cotangent[:, None] * np.eye(1, outputs.shape[1]))
        bar = getattr(losses, self.loss_name).vjp(outputs, self.labels, cotangent)
        return self.model.vjp(x, bar[0] if isinstance(bar, tuple) else bar)  # labels are data

    def grad(self, x: Array) -> Array:
        """∇ₓ of each sample's loss, (B, *S)."""
        return self.vjp(x, np.ones(len(x)))[0]


class Coordinates:
    """A closure as a function of coordinates c (B, m): x = x0 + Σⱼ cⱼ pⱼ along directions p (m, *S).

    `x0_vjp` turns a gradient in x into gradients of the parameters that x0 itself depends on (an embedding's table);
    they are added to the closure's own.
    """

    def __init__(
        self,
        closure: Any,
        directions: Array,
        x0: Array,
        x0_vjp: Callable[[Array], Params] | None = None,
    ):
        self.closure, self.directions, self.x0, self.x0_vjp = closure, directions, x0, x0_vjp

    def move(self, c: Array) -> Array:
        """x at the coordinates, (B, *S)."""
        return self.x0 + np.tensordot(c, self.directions, 1)

    def project(self, x_bar: Array) -> Array:
        """A gradient in x as one in the coordinates, (B, *S) -> (B, m)."""
        return x_bar.reshape(len(x_bar), -1) @ self.directions.reshape(len(self.directions), -1).T

    def __call__(self, c: Array) -> Array:
        return self.closure(self.move(c))

    def vjp(self, c: Array, cotangent: Array) -> Pulled:
        x_bar, params_bar = self.closure.vjp(self.move(c), cotangent)
        behind = self.x0_vjp(x_bar) if self.x0_vjp else {}
        merged = {name: params_bar.get(name, 0) + behind.get(name, 0) for name in params_bar | behind}
        return self.project(x_bar), merged

    def grad(self, c: Array) -> Array:
        """∇ of each sample's loss in the coordinates, (B, m); only where the closure is a loss."""
        return self.project(self.closure.grad(self.move(c)))


class OfParams:
    """loss(params) -> (B,): a model's loss at a given x, or at tokens whose embedding is the parameter named `table`.

    `wrap` changes the model at each evaluation; the parameters may be complex. Further options are the model's.
    """

    def __init__(
        self,
        model_name: str,
        loss_name: str,
        labels: Array,
        x: Array | None = None,
        tokens: Array | None = None,
        mask: Array | None = None,
        table: str = "embedding.weight",
        wrap: Callable[[Model], Any] = lambda model: model,
        **options: Any,
    ):
        if (x is None) == (tokens is None):
            raise ValueError("x, tokens: expected one of the two")
        self.model_name, self.loss_name, self.labels = model_name, loss_name, labels
        self.x, self.tokens, self.mask, self.table, self.wrap, self.options = x, tokens, mask, table, wrap, options

    def at(self, params: Any) -> tuple[Loss, Any]:
        """The loss as a function of x, and x (B, *S)."""
        model = self.wrap(Model(self.model_name, params, self.mask, **self.options))
        loss = Loss(model, self.loss_name, self.labels)
        return loss, self.x if self.tokens is None else models.embed(params[self.table], self.tokens)

    def __call__(self, params: Any) -> Array:
        loss, x = self.at(params)
        return loss(x)

    def vjp(self, params: Any, cotangent: Array) -> Params:
        loss, x = self.at(params)
        x_bar, params_bar = loss.vjp(x, cotangent)
        if self.tokens is None:
            return params_bar
        return params_bar | {self.table: models.embed_vjp(params[self.table], self.tokens, x_bar)}


def held_fixed(closure: Any, x: Array) -> Callable[[Array], Pulled]:
    """The pullback of what is held fixed: zeros whatever the cotangent."""
    return lambda cotangent: tree_map(np.zeros_like, closure.vjp(x, closure(x)))  # that vjp for its form alone
