"""Power iteration turns to the top eigenvector at the rate that the spectrum says, step by step."""

import numpy as np

from equivalence import oracle
from equivalence.claim import Claim

STEPS = 40
FLOOR = 1e-7  # of a tangent that is compared; below it rounding takes over


def tangents(vectors, basis, top):
    """Of the angle between vectors (B, n) and the span of the `top` (B, n) columns of the bases (B, n, n)."""
    parts = np.einsum("bi,bij->bj", vectors, basis)
    inside = np.linalg.norm(parts * top, axis=1)
    return np.linalg.norm(parts * ~top, axis=1) / np.maximum(inside, 1e-300)


def part(turn, start, hessians):
    """Measure `turn`: vectors (B, n) -> (eigenvalues (B,), vectors after one step), against exact Hessians."""
    spectrum, basis = np.linalg.eigh(hessians)  # (B, n), (B, n, n)
    size = np.abs(spectrum)
    dominant = np.take_along_axis(spectrum, size.argmax(1)[:, None], 1)
    top = np.abs(spectrum - dominant) <= 1e-6 * np.abs(dominant)  # a tie spans a plane
    vectors = start / np.linalg.norm(start, axis=1, keepdims=True)
    parts = np.einsum("bi,bij->bj", vectors, basis)
    measured, predicted = [tangents(vectors, basis, top)], [tangents(vectors, basis, top)]
    for _ in range(STEPS):
        values, vectors = turn(vectors)
        measured.append(tangents(vectors, basis, top))
        parts = parts * spectrum / size.max(1, keepdims=True)
        predicted.append(np.linalg.norm(parts * ~top, axis=1) / np.linalg.norm(parts * top, axis=1))
    quotients = np.einsum("bi,bij,bj->b", vectors, hessians, vectors) if values is None else values
    left = np.einsum("bij,bj->bi", hessians, vectors) - quotients[:, None] * vectors
    return {
        "kind": "eigen",
        "tangents": np.stack(measured).tolist(),
        "predicted": np.stack(predicted).tolist(),
        "floor": FLOOR,
        "eigenvalues": quotients.tolist(),
        "expected": dominant[:, 0].tolist(),
        "residuals": (np.linalg.norm(left, axis=1) / np.abs(dominant[:, 0])).tolist(),
    }


def of_loss(problem, reference):
    """`top_eigenpair` on the loss's Hessian, one step at a time."""
    point = reference.low_dimensional()

    def turn(point, vector):
        point = problem.low_dimensional(point)
        return problem.methods.top_eigenpair(point.loss, point.x, vector, steps=1)

    return part(problem.compile(turn), start(point), oracle.values.hessian(point.loss, point.x))


def of_divergence(problem, reference):
    """`vat_perturbation` with radius 1 is one step on the divergence's Hessian, Jᵀ(diag p - ppᵀ)J."""
    point = reference.low_dimensional()
    p = oracle.values.softmax(point.f(point.x))  # (B, C)
    jacobian = oracle.values.jacobian(point.f, point.x)  # (B, C, n)
    metric = np.einsum("bi,ij->bij", p, np.eye(p.shape[1])) - p[:, :, None] * p[:, None]

    def turn(point, vector):
        point = problem.low_dimensional(point)
        return problem.methods.vat_perturbation(point.f, point.x, vector, radius=1.0, how="exact")

    run = problem.compile(turn)
    hessians = jacobian.swapaxes(1, 2) @ metric @ jacobian
    return part(lambda vector: (None, run(vector)), start(point), hessians)


def start(point):
    return np.random.default_rng(0).standard_normal(point.x.shape)


def measure(problem, reference):
    yield "loss", of_loss(problem, reference)
    if reference.case.loss != "value":
        yield "divergence", of_divergence(problem, reference)


CLAIM = Claim(
    id="D4",
    title="Power iteration turns to the top eigenvector at the rate of the spectrum; ties and negative values included",
    formula="tan∠(uₖ, top eigenspace) shrinks by |λ₂/λ₁| a step; the value found is the dominant λ, with its sign",
    source="Golub & Van Loan §7.3; Miyato et al. 2018, §3.3",
    methods=("top_eigenpair", "vat_perturbation"),
    cases=("quadratic", "quadratic-negative", "quadratic-tied", "softmax", "tanh-mlp", "digits-mlp"),
    measure=measure,
    wrong={
        "the start is returned": lambda m, bridge: {
            "top_eigenpair": lambda loss, x, start, steps: (m.top_eigenpair(loss, x, start, steps=0)[0], m.unit(start))
        },
        "the eigenvalue loses its sign": lambda m, bridge: {
            "top_eigenpair": lambda loss, x, start, steps: (
                abs(m.top_eigenpair(loss, x, start, steps=steps)[0]),
                m.top_eigenpair(loss, x, start, steps=steps)[1],
            )
        },
    },
    control="quadratic-negative",
)
