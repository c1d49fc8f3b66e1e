"""What methods take, `f(x)` and `loss(x)`, each with its gradient `vjp(x, cotangent) -> (x_bar, params_bar)`."""

from collections.abc import Callable
from typing import Any

import numpy as np

from equivalence.oracle import models, values
from equivalence.oracle.models import Params, Pulled


class Model:
    """f(x) -> (B, C) for one of the models, at given parameters."""

    def __init__(self, name: str, params: Params, mask: np.ndarray | None = None):
        self.name, self.params = name, params
        self.masks = () if mask is None else (mask,)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return getattr(models, self.name)(self.params, x, *self.masks)

    def vjp(self, x: np.ndarray, cotangent: np.ndarray) -> Pulled:
        return getattr(models, f"{self.name}_vjp")(self.params, x, *self.masks, cotangent)


class LogSoftmax:
    """x -> log softmax f(x), (B, C)."""

    def __init__(self, model: Any):
        self.model = model

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return values.log_softmax(self.model(x))

    def vjp(self, x: np.ndarray, cotangent: np.ndarray) -> Pulled:
        p = values.softmax(self.model(x))
        return self.model.vjp(x, cotangent - p * cotangent.sum(1, keepdims=True))


class Loss:
    """loss(x) -> (B,): "cross_entropy", "squared_error", or "value", the model's one output itself."""

    def __init__(self, model: Any, loss: str, labels: np.ndarray):
        self.model, self.loss, self.labels = model, loss, labels

    def __call__(self, x: np.ndarray) -> np.ndarray:
        outputs = self.model(x)
        return outputs[:, 0] if self.loss == "value" else getattr(values, self.loss)(outputs, self.labels)

    def vjp(self, x: np.ndarray, cotangent: np.ndarray) -> Pulled:
        outputs = self.model(x)
        if self.loss == "value":
            return self.model.vjp(x, cotangent[:, None])
        if self.loss == "squared_error":
            return self.model.vjp(x, 2 * cotangent[:, None] * (outputs - self.labels))
        p, y = values.softmax(outputs), values.one_hot(self.labels, outputs.shape[1])
        return self.model.vjp(x, cotangent[:, None] * (p - y))

    def grad(self, x: np.ndarray) -> np.ndarray:
        """∇ₓ of each sample's loss, (B, *S)."""
        return self.vjp(x, np.ones(len(x)))[0]


class Coordinates:
    """A closure as a function of coordinates c (B, m): x = x0 + Σⱼ cⱼ pⱼ along directions p (m, *S).

    `behind` turns a gradient in x into gradients of parameters that x0 itself depends on (an embedding's table).
    """

    def __init__(
        self,
        closure: Any,
        directions: np.ndarray,
        x0: np.ndarray,
        behind: Callable[[np.ndarray], Params] | None = None,
    ):
        self.closure, self.directions, self.x0, self.behind = closure, directions, x0, behind

    def move(self, c: np.ndarray) -> np.ndarray:
        return self.x0 + np.tensordot(c, self.directions, 1)

    def __call__(self, c: np.ndarray) -> np.ndarray:
        return self.closure(self.move(c))

    def vjp(self, c: np.ndarray, cotangent: np.ndarray) -> Pulled:
        x_bar, params_bar = self.closure.vjp(self.move(c), cotangent)
        c_bar = x_bar.reshape(len(c), -1) @ self.directions.reshape(len(self.directions), -1).T
        return c_bar, params_bar | (self.behind(x_bar) if self.behind else {})

    def grad(self, c: np.ndarray) -> np.ndarray:
        return self.vjp(c, np.ones(len(c)))[0]
