"""Which of each framework's own losses can be differentiated twice, and three times.

A gradient penalty needs the second derivative, a Laplacian that is trained on the third. A framework may refuse one, or
quietly return a wrong one (usually 0). Each derivative is taken by reverse mode over reverse mode, along a fixed
vector, and held against differences of the derivative before it, by the same framework in float64.
"""

import importlib
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

Loss = Callable[[Any], Any]  # (4, 3), or (6, 4, 3) with time first -> losses

RIGHT = 1e-6  # relative: differences of fourth order leave 1e-9, a missing term leaves all of it
WRONG = "wrong"  # how an answer begins where a derivative is another one
STEP, KNOTS = 1e-3, (-2, -1, 1, 2)
LABELS = np.array([0, 2, 1, 1])
SOFT = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.2, 0.5, 0.3], [0.3, 0.4, 0.3]])


def torch_losses(array: Callable[[np.ndarray], Any]) -> dict[str, Loss]:
    """torch.nn.functional's."""
    functional: Any = importlib.import_module("torch.nn.functional")
    labels, soft, lengths = array(LABELS), array(SOFT), (array(np.full(4, 6)), array(np.full(4, 2)))
    pairs = array(np.array([[1, 2], [2, 1], [1, 1], [2, 2]]))
    each = {"reduction": "none"}

    def log_p(x: Any) -> Any:
        return functional.log_softmax(x, dim=-1)

    return {
        "cross_entropy, class numbers": lambda x: functional.cross_entropy(x, labels, **each),
        "cross_entropy, probabilities": lambda x: functional.cross_entropy(x, soft, **each),
        "nll_loss of log_softmax": lambda x: functional.nll_loss(log_p(x), labels, **each),
        "kl_div of log_softmax": lambda x: functional.kl_div(log_p(x), soft, **each),
        "binary_cross_entropy_with_logits": lambda x: functional.binary_cross_entropy_with_logits(x, soft, **each),
        "binary_cross_entropy of sigmoid": lambda x: functional.binary_cross_entropy(x.sigmoid(), soft, **each),
        "mse_loss": lambda x: functional.mse_loss(x, soft, **each),
        "huber_loss": lambda x: functional.huber_loss(x, soft, **each),
        "smooth_l1_loss": lambda x: functional.smooth_l1_loss(x, soft, **each),
        "multilabel_soft_margin_loss": lambda x: functional.multilabel_soft_margin_loss(x, soft, **each),
        "multi_margin_loss, p=2": lambda x: functional.multi_margin_loss(x, labels, p=2, **each),
        "poisson_nll_loss": lambda x: functional.poisson_nll_loss(x, soft, **each),
        "ctc_loss of log_softmax": lambda x: functional.ctc_loss(log_p(x), pairs, *lengths, **each),
    }


def jax_losses(array: Callable[[np.ndarray], Any]) -> dict[str, Loss]:
    """JAX has none; Optax's are what its users take."""
    optax: Any = importlib.import_module("optax")
    nn: Any = importlib.import_module("jax.nn")
    labels, soft = array(LABELS), array(SOFT)
    pairs, padding = array(np.array([[1, 2], [2, 1], [1, 1], [2, 2]])), array(np.zeros((4, 6)))
    return {
        "optax.softmax_cross_entropy_with_integer_labels": lambda x: optax.softmax_cross_entropy_with_integer_labels(
            x, labels
        ),
        "optax.softmax_cross_entropy": lambda x: optax.softmax_cross_entropy(x, soft),
        "optax.safe_softmax_cross_entropy": lambda x: optax.safe_softmax_cross_entropy(x, soft),
        "optax.kl_divergence of log_softmax": lambda x: optax.kl_divergence(nn.log_softmax(x), soft),
        "optax.sigmoid_binary_cross_entropy": lambda x: optax.sigmoid_binary_cross_entropy(x, soft),
        "optax.sigmoid_focal_loss": lambda x: optax.sigmoid_focal_loss(x, soft),
        "optax.squared_error": lambda x: optax.squared_error(x, soft),
        "optax.huber_loss": lambda x: optax.huber_loss(x, soft),
        "optax.log_cosh": lambda x: optax.log_cosh(x, soft),
        "optax.cosine_distance": lambda x: optax.cosine_distance(x, soft),
        "optax.ctc_loss, batch first": lambda x: optax.ctc_loss(
            x.swapaxes(0, 1), padding, pairs, array(np.zeros((4, 2)))
        ),
    }


def tensorflow_losses(array: Callable[[np.ndarray], Any]) -> dict[str, Loss]:
    """tf.nn's and Keras's."""
    tf: Any = importlib.import_module("tensorflow")
    keras: Any = importlib.import_module("keras")
    labels, soft = array(LABELS), array(SOFT)
    pairs, lengths = array(np.array([[1, 2], [2, 1], [1, 1], [2, 2]])), (array(np.full(4, 2)), array(np.full(4, 6)))
    own, softmax = keras.losses, tf.nn.softmax
    return {
        "tf.nn.sparse_softmax_cross_entropy_with_logits": lambda x: tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels, x
        ),
        "tf.nn.softmax_cross_entropy_with_logits": lambda x: tf.nn.softmax_cross_entropy_with_logits(soft, x),
        "tf.nn.sigmoid_cross_entropy_with_logits": lambda x: tf.nn.sigmoid_cross_entropy_with_logits(soft, x),
        "tf.nn.ctc_loss, float32": lambda x: tf.nn.ctc_loss(pairs, tf.cast(x, tf.float32), *lengths, blank_index=0),
        "keras sparse_categorical_crossentropy, logits": lambda x: own.sparse_categorical_crossentropy(
            labels, x, from_logits=True
        ),
        "keras sparse_categorical_crossentropy of softmax": lambda x: own.sparse_categorical_crossentropy(
            labels, softmax(x)
        ),
        "keras categorical_crossentropy, logits": lambda x: own.categorical_crossentropy(soft, x, from_logits=True),
        "keras categorical_crossentropy of softmax": lambda x: own.categorical_crossentropy(soft, softmax(x)),
        "keras binary_crossentropy, logits": lambda x: own.binary_crossentropy(soft, x, from_logits=True),
        "keras kl_divergence of softmax": lambda x: own.kl_divergence(soft, softmax(x)),
        "keras mean_squared_error": lambda x: own.mean_squared_error(soft, x),
        "keras huber": lambda x: own.huber(soft, x),
        "keras log_cosh": lambda x: own.log_cosh(soft, x),
        "keras cosine_similarity": lambda x: own.cosine_similarity(soft, x),
    }


OWN_LOSSES = {"torch": torch_losses, "jax": jax_losses, "tensorflow": tensorflow_losses}


def measure(bridge: ModuleType, framework: str) -> dict[str, dict[str, str]]:
    """For each loss and derivative: "right", "wrong, off by 100%", "raises LookupError"; "no" if the one before is not.

    Raises what a loss or its first derivative raises: then the call is wrong, not the loss.
    """
    found = {}
    for name, loss in OWN_LOSSES[framework](bridge.from_numpy).items():
        shape = (6, 4, 3) if "ctc" in name else (4, 3)
        rng = np.random.default_rng(0)
        x, u, v = (rng.standard_normal(shape) for _ in range(3))
        found[name] = derivatives(bridge, loss, x, u, v)
    return found


def derivatives(bridge: ModuleType, loss: Loss, x: np.ndarray, u: np.ndarray, v: np.ndarray) -> dict[str, str]:
    """The second derivative along u and the third along u and v, each a gradient of the one before."""

    def first(x: Any) -> Any:
        return bridge.gradient(loss, x)

    def second(x: Any) -> Any:
        return bridge.gradient(lambda x: first(x) * bridge.from_numpy(u), x)

    def third(x: Any) -> Any:
        return bridge.gradient(lambda x: second(x) * bridge.from_numpy(v), x)

    twice = compared(bridge, second, first, x, u)
    return {"twice": twice, "three times": compared(bridge, third, second, x, v) if twice == "right" else "no"}


def compared(bridge: ModuleType, derivative: Loss, lower: Loss, x: np.ndarray, along: np.ndarray) -> str:
    """The derivative against fourth-order differences of the lower one along the vector."""

    def at(function: Loss, points: list[np.ndarray]) -> list[np.ndarray]:
        run = bridge.compiled(function, bridge.SWEEP_MODE)
        return [bridge.to_numpy(run(bridge.from_numpy(point))) for point in points]

    steps = dict(zip(KNOTS, at(lower, [x + k * STEP * along for k in KNOTS]), strict=True))
    try:
        with warnings.catch_warnings(action="ignore"):  # a deprecation inside a framework is not its derivative
            found = at(derivative, [x])[0]
    except Exception as error:  # whatever it raises is the answer
        return f"raises {type(error).__name__}"
    expected = (8 * (steps[1] - steps[-1]) - (steps[2] - steps[-2])) / (12 * STEP)
    size = float(np.abs(expected).max())
    off = float(np.abs(found - expected).max()) / (size if size > RIGHT else 1)
    return "right" if off <= RIGHT else f"{WRONG}, off by {off:.0%}"
