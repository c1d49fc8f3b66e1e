"""Haiku: spectral normalisation of a kernel, whose last axis is the output, and dropout."""

from equivalence.published.package import CONVENTION, RIGHT, Package

PACKAGE = Package("dm-haiku", "0.0.17", ("haiku",))


@PACKAGE.adapts(
    "SpectralNorm",
    "spectral_norm",
    CONVENTION,
    "√(‖x‖² + 1e-4) in the place of each norm, by default: σ is off by up to 1e-4 / ‖Wᵀu‖²",
)
def spectral_norm(weight, u, *, steps=1):
    import haiku

    matrix = weight.reshape(len(weight), -1)
    function = haiku.transform_with_state(lambda value: haiku.SpectralNorm(n_steps=steps)(value))
    state = {"spectral_norm": {"u0": u[None], "sigma": u[0]}}
    _, state = function.apply({}, state, None, matrix.T)
    return state["spectral_norm"]["sigma"], state["spectral_norm"]["u0"][0]


@PACKAGE.adapts("dropout", "dropout_mask", RIGHT, "0 and 1/(1 − q) at their rates")
def dropout(seed, shape, *, rate, like):
    import haiku
    import jax
    import jax.numpy as jnp

    return haiku.dropout(jax.random.key(seed), rate, jnp.ones(shape, like.dtype))
