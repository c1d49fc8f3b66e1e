"""Hessians, power iteration, Lanczos and virtual adversarial directions of the oracle."""

import mpmath
import numpy as np
import pytest

from equivalence import oracle
from equivalence.oracle import pullbacks, values
from tests.oracle.exact import bent, close, gradients, kl, sloped, wrong_blocks
from tests.oracle.forward import precise, problem


@pytest.mark.parametrize("name", ["quadratic", "mlp"])
def test_hessian_vector_product_and_its_gradient(name):
    p = problem(name)
    rng = np.random.default_rng(10)
    v = rng.standard_normal(p.x.shape) * [[1], [10]]  # lengths that differ, between samples and between v and c
    c = rng.standard_normal(p.x.shape) * 1e4
    loss = oracle.Loss(p.f, "value", p.labels)

    def exact(params, x):  # cᵀHv, from both directions' sum and difference
        of = lambda x: p.forward(params, x)[:, 0]  # noqa: E731
        return ((bent(of, x, v + c) - bent(of, x, v - c)) / 4).sum()

    slopes = lambda x: gradients(lambda x: p.forward(precise(p.params), x)[:, 0], x)  # noqa: E731
    assert close(values.hvp(loss, p.x, v), sloped(slopes, precise(p.x), v))
    assert wrong_blocks(pullbacks.hvp(loss, p.x, v)(c), exact, p.params, p.x) == []


def test_a_divergence_may_be_given_in_either_form():
    p, noise = problem("mlp"), np.ones((1, 2, 3))
    plain = lambda a, b: lambda c: values.kl_divergence.vjp(a, b, c)  # noqa: E731
    forms = (values.kl_divergence, pullbacks.kl_divergence, plain)
    found = [pullbacks.consistency_loss(form, p.f, p.x, noise)(np.ones(2))[0] for form in forms]
    assert (found[0] == found[1]).all() and (found[0] == found[2]).all()


def test_hessian_is_symmetric_and_its_trace_the_laplacian():
    p = problem("mlp")
    loss = oracle.Loss(p.f, "cross_entropy", p.labels)
    h = values.hessian(loss, p.x)
    np.testing.assert_allclose(h, h.transpose(0, 2, 1), rtol=0, atol=1e-14)
    np.testing.assert_allclose(np.trace(h, axis1=1, axis2=2), values.laplacian(loss, p.x), rtol=1e-13)


def test_power_iteration_finds_the_eigenvalue_of_largest_magnitude():
    p = problem("quadratic")
    loss = oracle.Loss(p.f, "value", p.labels)
    spectrum, basis = np.linalg.eigh((p.params["A"] + p.params["A"].T) / 2)
    top = np.abs(spectrum).argmax()
    value, vector = values.top_eigenpair(loss, p.x, np.ones_like(p.x), steps=300)
    np.testing.assert_allclose(value, spectrum[top], rtol=1e-12)
    np.testing.assert_allclose(np.abs(vector @ basis[:, top]), 1, rtol=1e-12)


def curved(matrix, batch=2):
    """½xᵀAx, whose Hessian is A; x and a start (batch, n)."""
    rng, n = np.random.default_rng(17), len(matrix)
    f = oracle.Model("quadratic", {"A": matrix, "b": rng.standard_normal(n)})
    return oracle.Loss(f, "value", np.zeros(batch, int)), *rng.standard_normal((2, batch, n))


def symmetric(spectrum):
    basis = np.linalg.qr(np.random.default_rng(18).standard_normal((len(spectrum), len(spectrum))))[0]
    return basis @ np.diag(spectrum) @ basis.T


@pytest.mark.parametrize("spectrum", [[4, 2, 1, -0.5], [-4, 2, 1, 0.5], [3, -1e-3, 1e-4, 1e-5]])
@pytest.mark.parametrize("extra", [0, 2])  # steps beyond the last: there is no direction left
def test_lanczos_is_exact_once_it_spans_the_space(spectrum, extra):
    matrix = symmetric(spectrum)
    loss, x, start = curved(matrix)
    exact, vectors = np.linalg.eigh(matrix)
    top = np.abs(exact).argmax()
    value, vector = values.top_eigenpair(loss, x, start, steps=len(spectrum) - 1 + extra, how="lanczos")
    np.testing.assert_allclose(value, exact[top], rtol=1e-13)
    towards = np.sign(start @ vectors[:, top])[:, None] * vectors[:, top]
    np.testing.assert_allclose(vector, towards, rtol=0, atol=1e-13)


@pytest.mark.parametrize("steps", [0, 1, 5, 8])
def test_lanczos_finds_the_best_vector_of_the_krylov_space(steps):
    """Against an orthonormal basis of start, H·start, … by QR, and H projected on it."""
    matrix = symmetric(np.linspace(-4, 3, 12))
    loss, x, start = curved(matrix)
    value, vector = values.top_eigenpair(loss, x, start, steps=steps, how="lanczos")
    for b in range(2):
        q = np.linalg.qr(np.stack([np.linalg.matrix_power(matrix, k) @ start[b] for k in range(steps + 1)], 1))[0]
        ritz, vectors = np.linalg.eigh(q.T @ matrix @ q)
        top = q @ vectors[:, np.abs(ritz).argmax()]
        np.testing.assert_allclose(value[b], ritz[np.abs(ritz).argmax()], rtol=1e-9)  # powers are nearly parallel
        np.testing.assert_allclose(vector[b], np.sign(top @ start[b]) * top, rtol=0, atol=1e-9)


def test_lanczos_does_not_lose_its_orthogonality():
    """Converged long before the last step, where Lanczos without reorthogonalising finds copies and drifts."""
    matrix = symmetric(2.0 ** -np.arange(30) * (-1) ** np.arange(30))
    loss, x, start = curved(matrix)
    value, vector = values.top_eigenpair(loss, x, start, steps=29, how="lanczos")
    np.testing.assert_allclose(value, 1, rtol=1e-14)
    np.testing.assert_allclose(vector @ matrix, vector, rtol=0, atol=1e-14)


@pytest.mark.parametrize("matrix", [np.eye(4), -2 * np.eye(4), np.zeros((4, 4))])
def test_lanczos_breaks_down_where_every_direction_is_an_eigenvector(matrix):
    loss, x, start = curved(matrix)
    value, vector = values.top_eigenpair(loss, x, start, steps=3, how="lanczos")
    np.testing.assert_allclose(value, matrix[0, 0], rtol=1e-15)
    np.testing.assert_allclose(vector, values.unit(start), rtol=0, atol=1e-15)


def test_lanczos_treats_each_sample_by_itself():
    """One sample's space is exhausted at once, another's is not; and Hessians differ."""
    matrix = symmetric([4, 2, 1, -0.5])
    loss, x, start = curved(matrix)
    start[0] = np.linalg.eigh(matrix)[1][:, 1]
    value, _ = values.top_eigenpair(loss, x, start, steps=3, how="lanczos")
    np.testing.assert_allclose(value, [1, 4], rtol=1e-13)
    p = problem("mlp")
    loss = oracle.Loss(p.f, "cross_entropy", p.labels)
    spectra = np.linalg.eigvalsh(values.hessian(loss, p.x))
    value, _ = values.top_eigenpair(loss, p.x, np.ones_like(p.x), steps=2, how="lanczos")
    np.testing.assert_allclose(value, spectra[[0, 1], np.abs(spectra).argmax(1)], rtol=1e-12)


@pytest.mark.parametrize("how", ["fisher", "finite_difference", "exact"])
def test_virtual_adversarial_directions(how):
    """The Fisher product against the divergence's own second derivative."""
    p = problem("mlp")
    start, params, x = np.random.default_rng(11).standard_normal(p.x.shape), precise(p.params), precise(p.x)
    clean, direction = p.forward(params, x), precise(start)
    divergence = lambda r: kl(clean, p.forward(params, x + r))  # noqa: E731
    for _ in range(3):
        direction = direction / ((direction**2).sum(1, keepdims=True) ** mpmath.mpf("0.5"))
        if how != "finite_difference":
            direction = sloped(lambda r: gradients(divergence, r), 0 * x, direction)
        else:
            direction = gradients(divergence, mpmath.mpf(0.01) * direction)
    exact = direction / ((direction**2).sum(1, keepdims=True) ** mpmath.mpf("0.5")) / 2
    ours = values.vat_perturbation(p.f, p.x, start, radius=0.5, steps=3, how=how, xi=0.01)
    assert close(ours, exact)
