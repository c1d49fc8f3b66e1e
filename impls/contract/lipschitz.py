"""How steep a linear map, or a network of them, can be."""

from impls.contract.types import Matrices, Matrix, Number, Steps, Vector, Vectors


def spectral_norm(weight: Matrix, u: Vector, *, steps: Steps = 1) -> tuple[Number, Vector]:
    """Largest singular value of a matrix by power iteration, σ = uᵀWv (Miyato et al. 2018, alg. 1, eq. 16-19).

    v = Wᵀu/‖Wᵀu‖ and u = Wv/‖Wv‖, K times, both held fixed: ∂σ/∂W = uvᵀ, the exact derivative at convergence. σ comes
    from below; its relative error shrinks by (σ₂/σ₁)⁴ a step (its angle's by (σ₂/σ₁)²). Nothing is assigned: the caller
    keeps u for the next call, and divides the weight by σ where normalisation is wanted.

    Args:
        weight: (O, *I), flattened to (O, n): a kernel's axes after the first are inputs.
        u: (O,), from the call before, or random; not orthogonal to the singular vector.
        steps: K ≥ 1.

    Returns:
        σ (), differentiable in the weight, and u (O,) of norm 1, held fixed; both 0 where Wᵀu is 0.
    """


def lipschitz_bound(weights: Matrices, us: Vectors, *, steps: Steps = 1) -> Number:
    """Product of the layers' spectral norms: ‖f(x) - f(y)‖ ≤ that times ‖x - y‖ (Szegedy et al. 2014, §4.3).

    For affine layers with activations of slope at most 1 between (tanh, ReLU). A kernel (O, I, *K) counts √ΠK times the
    norm of (O, I·ΠK), since a convolution of any stride reads each input at most ΠK times (Tsuzuku et al. 2018); one
    that reads every input once is a matrix: flatten it. The norms come from below: it is a bound once the power
    iterations have converged.

    Args:
        weights: one (O, *I) a layer.
        us: one (O,) a layer, as for `spectral_norm`.
        steps: power iterations a layer, ≥ 1.

    Returns:
        (), differentiable in the weights.
    """
