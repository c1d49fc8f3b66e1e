"""What rounding in half precision does to a gradient: an MLP by hand, every result off by as much as rounding leaves.

It says which directions half precision can give at all. Near a saturated tanh y, 1 - y² cancels, and for a certain
sample so does 1 - p in float32: there no method that differentiates the network has more digits.
"""

import numpy as np

from equivalence.cases import Case
from equivalence.measure import ROUNDING_UNIT
from equivalence.oracle.losses import one_hot, softmax

Array = np.ndarray
DRAWS = 32
SPACING = {"float16": 2.0**-24, "bfloat16": 2.0**-133}  # of numbers beside 0
CERTAIN, SCALE = 2.0**-10, 2.0**12  # a loss below the first is scaled by the second, as the contract says
# Roundings are independent, so that errors add up as their squares do: beyond four times the root of their mean square
# is one error in 10⁴, if they were normal (Higham & Mary 2019), and sums of bounded ones have thinner tails.
DEVIATIONS = 4


def allowed(case: Case, margins: Array, exact: Array, dtype: str) -> tuple[Array, Array]:
    """The least cosine with the exact gradient (B, *S), and the most that its length may be off, each (B,)."""
    rng, right = np.random.default_rng(0), exact.reshape(case.batch, -1)
    size = np.linalg.norm(right, axis=1)
    found = [rounded_gradient(case, margins, dtype, rng) for _ in range(DRAWS)]
    lengths = np.array([np.linalg.norm(gradient, axis=1) for gradient in found])
    cosines = np.array([(gradient * right).sum(1) for gradient in found]) / np.maximum(lengths * size, 1e-300)
    squares = (2 - 2 * cosines).mean(0)  # |unit - unit|²
    longer = np.sqrt(((lengths / size - 1) ** 2).mean(0))
    return 1 - DEVIATIONS**2 * squares / 2, DEVIATIONS * longer


def rounded_gradient(case: Case, margins: Array, dtype: str, rng: np.random.Generator) -> Array:
    """The cross-entropy's gradient in the inputs (B, n), each result off at random by what rounding may leave."""
    unit, spacing = ROUNDING_UNIT[dtype], SPACING[dtype]

    def off(array: Array) -> Array:
        return array + (unit * np.abs(array) + spacing / 2) * rng.uniform(-1, 1, array.shape)

    assert case.x is not None
    hidden = [case.x.reshape(case.batch, -1)]
    last = len(case.params) // 2 - 1
    for layer in range(last + 1):
        sums = off(off(hidden[-1] @ case.params[f"{layer}.weight"].T) + case.params[f"{layer}.bias"])
        hidden.append(off(np.tanh(sums)) if layer < last else sums)
    logits = off(hidden.pop() + margins)
    p = softmax(logits) * (1 + ROUNDING_UNIT["float32"] * rng.uniform(-1, 1, logits.shape))
    labels = one_hot(case.labels, logits.shape[1])
    scale = np.where(-np.log((labels * softmax(logits)).sum(1, keepdims=True)) < CERTAIN, SCALE, 1.0)
    bar = off(scale * (p - labels))
    for layer in range(last, -1, -1):
        bar = off(bar @ case.params[f"{layer}.weight"])
        if layer:
            bar = off(bar * off(1 - off(hidden[layer] ** 2)))
    return bar / scale
