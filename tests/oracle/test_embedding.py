"""Perturbed and normalised embeddings of the oracle."""

import numpy as np
import pytest

from equivalence import oracle
from equivalence.oracle import pullbacks, values
from tests.oracle.exact import HALF, OfTable, close, cross_entropy, gradients, pointed, sloped, wrong_blocks
from tests.oracle.forward import precise, problem, text_problem


def frequent_table():
    rng = np.random.default_rng(20)
    return 3 + rng.standard_normal((6, 3)), np.array([0.0, 5, 1, 0, 2, 40])  # two tokens never occur


def test_normalized_embedding_has_mean_0_and_variance_1():
    table, frequencies = frequent_table()
    ours, share = values.normalize_embedding(table, frequencies), frequencies / frequencies.sum()
    np.testing.assert_allclose(share @ ours, 0, atol=1e-15)
    np.testing.assert_allclose(share @ ours**2, 1, rtol=1e-14)
    np.testing.assert_allclose(values.normalize_embedding(7 * table - 5, 0.1 * frequencies), ours, rtol=0, atol=1e-13)


def test_normalized_embedding_and_its_gradient():
    table, frequencies = frequent_table()
    c = np.random.default_rng(21).standard_normal(table.shape)

    def exact(table):
        share = precise(frequencies) / frequencies.sum()
        centred = table - share @ table
        return centred / (share @ centred**2) ** HALF

    assert close(values.normalize_embedding(table, frequencies), exact(precise(table)), 1e-13)
    pulled = pullbacks.normalize_embedding(table, frequencies)(c), {}
    assert wrong_blocks(pulled, lambda _, table: (c * exact(table)).sum(), {}, table) == []


def test_normalized_embedding_is_0_in_a_component_that_does_not_vary():
    table, frequencies = frequent_table()
    still = np.ones((6, 1)) * np.random.default_rng(25).standard_normal(20)  # weighted means are off in the last digit
    still[0] += 7  # a token that never occurs adds no variance
    table = np.concatenate([table, still], 1)
    ours, bar = values.normalize_embedding(table, frequencies), pullbacks.normalize_embedding(table, frequencies)(table)
    for found in (ours, bar):
        assert ((found == 0).all(0) == [False] * 3 + [True] * 20).all()


@pytest.mark.parametrize("norm", ["l2", "linf", "l1", "raw"])
def test_perturbation_of_a_table(norm):
    p, tokens, table, _ = text_problem()
    total = lambda table: cross_entropy(p.forward(precise(p.params), table[tokens]), np.eye(2)[p.labels]).sum()  # noqa: E731
    g = np.array([sloped(total, precise(table), unit.reshape(table.shape)) for unit in np.eye(10, dtype=int)])
    ours = values.perturb_table(OfTable(), table, radius=0.5, norm=norm)
    assert close(ours, pointed(g[None], norm).reshape(table.shape) / 2)
    assert (ours[4] == 0).all()


@pytest.mark.parametrize("norm", ["l2", "linf", "l1", "raw"])
@pytest.mark.parametrize("scope", ["sample", "tensor"])
def test_perturbation_of_an_output_leaves_padding_alone(norm, scope):
    p = problem("linear")  # of (B, 3, 2), and no model that ignores padding by itself
    mask = np.array([[1.0, 1, 0], [1, 0, 0]])
    g = gradients(lambda x: cross_entropy(p.forward(precise(p.params), x), np.eye(4)[p.labels]), precise(p.x))
    g = g * np.repeat(mask, 2, axis=1).astype(int)
    exact = pointed(g if scope == "sample" else g.reshape(1, -1), norm).reshape(p.x.shape)
    loss = oracle.Loss(p.f, "cross_entropy", p.labels)
    ours = values.perturb_output(loss, p.x, mask, radius=0.5, norm=norm, scope=scope)
    assert close(ours, exact / 2)
    assert (ours[mask == 0] == 0).all()
