"""Second derivatives of a per-sample loss with respect to its input.

Values are complex steps of the hand-derived gradient. The gradient of vᵀHv is the second derivative of ℓ's whole
gradient along v, a circle of Cauchy's; v is made a unit vector first, and its length put into the cotangent.
"""

from typing import Any

import numpy as np

from equivalence.oracle.along import along
from equivalence.oracle.closures import held_fixed
from equivalence.oracle.layers import Pulled
from equivalence.oracle.norms import l2_norm, per_sample, unit
from equivalence.oracle.trees import add, scaled

Array = np.ndarray
ROUNDING = 64 * np.finfo(float).eps  # what orthogonalising leaves of a product that lies in the span


def hvp(loss: Any, x: Array, vector: Array) -> Array:
    """H_b v_b of each sample, H = ∇²ₓℓ, (B, *S)."""
    return along(loss, x, vector, np.ones(len(x)))[0]


def hvp_pullback(loss: Any, x: Array, vector: Array) -> Any:
    """Cotangent (B, *S). By polarisation cᵀHv = mᵀHm - dᵀHd, m = (v + c)/2, d = (v - c)/2, for v, c of one length."""

    def pullback(cotangent: Array) -> Pulled:
        c, v = unit(cotangent), unit(vector)
        lengths = l2_norm(cotangent) * l2_norm(vector)  # (B,)
        plus, minus = (along(loss, x, (v + sign * c) / 2, lengths, order=2) for sign in (1, -1))
        return add(plus, scaled(-1, minus))

    return pullback


def hessian(loss: Any, x: Array) -> Array:
    """∇²ₓ of each sample's loss, (B, n, n)."""
    products = [hvp(loss, x, v) for v in _units(x)]
    return np.stack(products, axis=1).reshape(len(x), len(products), len(products))


def _units(x: Array) -> Array:
    """The n unit vectors, (n, B, *S)."""
    n = x[0].size
    return np.broadcast_to(np.eye(n).reshape(n, 1, *x.shape[1:]), (n, *x.shape))


def _form(vector: Array, product: Array) -> Array:
    """vᵀ(Hv) of each sample, (B,)."""
    return (vector * product).reshape(len(vector), -1).sum(1)


def _form_pullback(loss: Any, x: Array, vector: Array, cotangent: Array) -> Pulled:
    """The gradient of Σ_b c_b v_bᵀH_b v_b, v held fixed."""
    return along(loss, x, unit(vector), cotangent * l2_norm(vector) ** 2, order=2)


def laplacian(loss: Any, x: Array, *, how: str = "hvp", probes: Array | None = None, with_loss: bool = False) -> Any:
    """tr ∇²ₓℓ of each sample, (B,); with probes (K, B, *S) the mean of vᵀHv (Hutchinson 1990), however found."""
    vectors = _units(x) if probes is None else probes
    forms = np.array([_form(v, hvp(loss, x, v)) for v in vectors])  # (K, B)
    found = forms.sum(0) if probes is None else forms.mean(0)
    return (found, loss(x)) if with_loss else found


def laplacian_pullback(loss: Any, x: Array, *, how: str = "hvp", probes: Array | None = None) -> Any:
    vectors = _units(x) if probes is None else probes
    share = 1 if probes is None else 1 / len(probes)
    return lambda cotangent: scaled(share, add(*(_form_pullback(loss, x, v, cotangent) for v in vectors)))


def top_eigenpair(loss: Any, x: Array, start: Array, *, steps: int, how: str = "power") -> tuple[Array, Array]:
    """Dominant eigenvalue (B,) and eigenvector (B, *S): power iteration or Lanczos (Golub & Van Loan, §7.3, §10.1)."""
    vector = (_lanczos if how == "lanczos" else _power)(loss, x, start, steps)
    return _form(vector, hvp(loss, x, vector)), vector


def _power(loss: Any, x: Array, start: Array, steps: int) -> Array:
    vector = unit(start)
    for _ in range(steps):
        vector = unit(hvp(loss, x, vector))
    return vector


def _lanczos(loss: Any, x: Array, start: Array, steps: int) -> Array:
    """The Ritz vector of largest |Ritz value| in the span of start, H·start, …, H^steps·start."""
    basis = [unit(start)]
    products = [hvp(loss, x, basis[0])]
    for _ in range(steps):
        basis.append(_orthogonal(products[-1], basis))
        products.append(hvp(loss, x, basis[-1]))
    q, hq = (np.reshape(vectors, (steps + 1, len(x), -1)) for vectors in (basis, products))
    projected = np.einsum("ibn,jbn->bij", q, hq)  # QᵀHQ
    ritz, vectors = np.linalg.eigh((projected + projected.transpose(0, 2, 1)) / 2)
    top = vectors[np.arange(len(x)), :, np.abs(ritz).argmax(1)]  # (B, steps + 1)
    top = top * np.where(top[:, :1] < 0, -1, 1)  # turned towards the start
    return unit(np.einsum("bi,ibn->bn", top, q).reshape(x.shape))


def _orthogonal(product: Array, basis: list[Array]) -> Array:
    """The unit vector of what the product adds to the basis, 0 where it adds nothing. Twice: once leaves rounding."""
    rest = product
    for _ in range(2):
        rest = rest - sum(per_sample(_form(q, rest), rest) * q for q in basis)
    return per_sample(l2_norm(rest) > ROUNDING * l2_norm(product), rest) * unit(rest)


def top_eigenpair_pullback(loss: Any, x: Array, start: Array, *, steps: int, how: str = "power") -> tuple[Any, Any]:
    """A pair as the value is: the eigenvalue's, with the vector held fixed, and zeros for the vector."""
    vector = top_eigenpair(loss, x, start, steps=steps, how=how)[1]
    return lambda cotangent: _form_pullback(loss, x, vector, cotangent), held_fixed(loss, x)
