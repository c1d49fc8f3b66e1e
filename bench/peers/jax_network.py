"""A case as functions of arrays, as JAX's packages take it."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax

from bench.peers import Arm
from equivalence.cases import Case
from impls.jax import models, synchronise, to_numpy

cross_entropy = optax.softmax_cross_entropy_with_integer_labels


def arrays(case: Case, device: str) -> tuple[Any, Any, Any]:
    """Parameters {name: array}, images (B, *S), labels (B,)."""
    params = {name: np.float32(value) for name, value in case.params.items()}
    return jax.device_put((params, np.float32(case.x), np.array(case.labels)), jax.devices(device)[0])


def loss(case: Case) -> Callable[..., Any]:
    """(params, x, labels) -> (B,)."""
    model = getattr(models, case.model)
    return lambda params, x, labels: cross_entropy(model(params, x), labels)


def arm(call: Callable[[], Any]) -> Arm:
    """The call's result, computed."""

    def run() -> Any:
        result = call()
        synchronise(result)
        return result

    return Arm(run, to_numpy)
