"""Facts that other packages' tests state in closed form, held of ours: each with where it is stated.

The numbers are those that the sources take, or simpler ones; the wording and the code are ours.
"""

import math

import numpy as np
import pytest

NSL = "neural-structured-learning, lib/utils_test.py"
VIRTUAL = "neural-structured-learning, lib/regularizer_test.py"
OPTAX = "optax, projections/_projections_test.py"
GAN = "tensorflow-gan, losses/losses_impl_test.py"
KERAS = "keras, layers/normalization/spectral_normalization_test.py"
X = [[1.0, -2.0, 2.0], [2.0, 10.0, 11.0]]  # of norms 3 and 15
V = [[0.5, 2.1, -3.5]]
SLOPES = [[1.0, 5.0], [2.0, 2.0]]


def projected(rows, radius, norm):
    return lambda m, a: m.project(a(rows), radius=radius, norm=norm)


def steep(rows, norm):
    return lambda m, a: m.steepest(a(rows), norm=norm)


def penalty(slope, target, mix=0.3):
    def call(m, a):
        real, fake = a([[-12.3, 23.2, 16.3, -43.2]]), a([[3.1, 2.3, -12.3, 32.1]])
        return m.wgan_gradient_penalty(lambda x: slope * x[:, 0], real, fake, a([mix]), target=target)

    return call


def sigma(rows, start, steps=8):
    return lambda m, a: m.spectral_norm(a(rows), a(start), steps=steps)[0]


def largest_change(m, a):
    """‖W(x + r) − Wx‖² of the perturbation that one power step finds, for which the Hessian is 2WWᵀ everywhere."""
    weights, x, seed = a(SLOPES), a([[1.0, -1.0]]), a([[0.6, 0.8]])
    clean = x @ weights

    def loss(x):
        return m.squared_error(x @ weights, clean)

    turned = m.unit(m.hvp(loss, x, seed))
    return loss(x + 0.1 * turned)


HESSIAN = 2 * np.array(SLOPES) @ np.array(SLOPES).T
TURNED = np.array([0.6, 0.8]) @ HESSIAN
TURNED = 0.1 * TURNED / np.linalg.norm(TURNED)

FACTS = [
    (NSL, "L2: both samples come to the ball of radius 1", projected(X, 1, "l2"), np.array(X) / [[3], [15]]),
    (NSL, "L2: of radius 4 only the second", projected(X, 4, "l2"), np.array(X) * [[1], [4 / 15]]),
    (NSL, "L2: of radius 16 neither", projected(X, 16, "l2"), X),
    (NSL, "L2: 0 stays", projected([[0.0] * 3] * 2, 0.5, "l2"), np.zeros((2, 3))),
    (NSL, "L2: norms 5 and 2.5", projected([[3.0, -4.0], [-0.7, 2.4]], 1, "l2"), [[0.6, -0.8], [-0.28, 0.96]]),
    (NSL, "L∞: all components are cut", projected([[1.0, 2.0, -4.0]], 0.5, "linf"), [[0.5, 0.5, -0.5]]),
    (NSL, "L∞: those that are further are cut", projected([[1.0, 2.0, -4.0]], 1.5, "linf"), [[1.0, 1.5, -1.5]]),
    (NSL, "L∞: none is cut", projected([[1.0, 2.0, -4.0]], 5, "linf"), [[1.0, 2.0, -4.0]]),
    (NSL, "L∞: of two samples", projected([[1.0, -3.0], [-2.0, 4.0]], 2.5, "linf"), [[1.0, -2.5], [-2.0, 2.5]]),
    (NSL, "steepest in L∞: signs", steep([[1.0, 2.0, -4.0], [-1.0, 5.0, -3.0]], "linf"), [[1, 1, -1], [-1, 1, -1]]),
    (NSL, "L1: ties share", steep([[3.0, -4.0, -5.0], [1.0, 1.0, 0.0]], "l1"), [[0, 0, -1], [0.5, 0.5, 0]]),
    (NSL, "steepest in L1: ties of two signs", steep([[3.0, -4.0], [-4.0, 4.0]], "l1"), [[0, -1], [-0.5, 0.5]]),
    (NSL, "steepest in L2: norms 5 and 25", steep([[3.0, -4.0], [-7.0, 24.0]], "l2"), [[0.6, -0.8], [-0.28, 0.96]]),
    (NSL, "steepest in L2: of 0", steep([[0.0, 0.0]], "l2"), [[0, 0]]),
    (NSL, "steepest in L1: of 0", steep([[0.0, 0.0]], "l1"), [[0, 0]]),
    (NSL, "steepest in L∞: of 0", steep([[0.0, 0.0]], "linf"), [[0, 0]]),
    (NSL, "four ones have norm 2", lambda m, a: m.unit(a([[1.0] * 4] * 2)), np.full((2, 4), 0.5)),
    (VIRTUAL, "one power step on a constant Hessian 2WWᵀ", largest_change, [np.sum((TURNED @ np.array(SLOPES)) ** 2)]),
    (VIRTUAL, "only the length counts", lambda m, a: m.squared_error(a([[1.1, 0]]), a([[1.0, 0]])), [0.01]),
    (OPTAX, "L1: a point within stays", projected(V, 12.2, "l1"), V),
    (OPTAX, "L1: one on the boundary stays", projected(V, 6.1, "l1"), V),
    (OPTAX, "L1: one outside", lambda m, a: abs(projected(V, 3, "l1")(m, a)) @ a([[1.0]] * 3), [[3]]),
    (OPTAX, "L1: the threshold is that of the simplex", projected(V, 1.0, "l1"), [[0, 0, -1.0]]),
    (OPTAX, "L1: two components are left", projected(V, 3.0, "l1"), [[0, 0.8, -2.2]]),
    (OPTAX, "L2: one on the boundary stays", projected(V, math.hypot(*V[0]), "l2"), V),
    (OPTAX, "L2: one outside is halved", projected(V, math.hypot(*V[0]) / 2, "l2"), np.array(V) / 2),
    (OPTAX, "L∞: one on the boundary stays", projected(V, 3.5, "linf"), V),
    (OPTAX, "L∞: one outside is cut", projected(V, 1.75, "linf"), [[0.5, 1.75, -1.75]]),
    (GAN, "a critic of slope 4 is 9 off 1", penalty(4.0, 1.0), [9.0]),
    (GAN, "... wherever between real and fake it is asked", penalty(4.0, 1.0, mix=0.9), [9.0]),
    (GAN, "... and 4 off a target of 2", penalty(4.0, 2.0), [4.0]),
    (GAN, "a critic of slope 1 costs nothing", penalty(1.0, 1.0), [0.0]),
    (KERAS, "a matrix of four ones has the norm 2", sigma([[1.0, 1.0]] * 2, [1.0, 0.3]), 2.0),
    (KERAS, "a column of four ones has the norm 2, too", sigma([[1.0]] * 4, [1.0, 0.5, 0.5, 0.2]), 2.0),
    (KERAS, "a matrix of zeros has the norm 0", sigma([[0.0, 0.0]] * 2, [1.0, 0.3]), 0.0),
]  # fmt: skip


def test_there_are_thirty_of_four_packages():
    assert len(FACTS) >= 30 and len({source.partition(",")[0] for source, *_ in FACTS}) >= 4


@pytest.mark.parametrize(
    ("call", "expected"), [pytest.param(*fact[2:], id=f"{fact[0].partition(',')[0]}: {fact[1]}") for fact in FACTS]
)
def test_what_others_state_holds_of_ours(call, expected, bridge, methods):
    found = bridge.to_numpy(call(methods, lambda numbers: bridge.from_numpy(np.array(numbers))))
    assert np.allclose(found, expected, rtol=1e-12, atol=1e-12), found
