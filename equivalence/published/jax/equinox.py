"""Equinox: spectral normalisation and dropout."""

from equivalence.published.package import LIMIT, RIGHT, Package

PACKAGE = Package("equinox", "0.13.8", ("equinox",))


@PACKAGE.adapts(
    "nn.SpectralNorm",
    "spectral_norm",
    LIMIT,
    "to rounding; W/σ is no number where σ = 0, of a weight or a start of 0",
    shows=("a start of 0", "a weight of 0"),
)
def spectral_norm(weight, u, *, steps=1):
    import equinox
    import jax
    import jax.numpy as jnp

    matrix = weight.reshape(len(weight), -1)
    linear = equinox.nn.Linear(len(matrix), matrix.shape[1], use_bias=False, key=jax.random.key(0))
    linear = equinox.tree_at(lambda own: own.weight, linear, jax.lax.stop_gradient(matrix.T))
    norm = equinox.nn.SpectralNorm(linear, "weight", num_power_iterations=steps, key=jax.random.key(0))
    state = equinox.nn.State(norm)
    first, _ = state.get(norm.uv_index)
    state = state.set(norm.uv_index, (jnp.zeros_like(first), jax.lax.stop_gradient(u)))  # nobody differentiates a state
    norm = equinox.tree_at(lambda own: own.layer.weight, norm, matrix.T)
    rows, states = jax.vmap(lambda one: norm(one, state), out_axes=(0, None))(jnp.eye(len(matrix), dtype=weight.dtype))
    return (matrix * matrix).sum() / (matrix * rows).sum(), states.get(norm.uv_index)[1]


@PACKAGE.adapts("nn.Dropout", "dropout_mask", RIGHT, "0 and 1/(1 − q) at their rates")
def dropout(seed, shape, *, rate, like):
    import equinox
    import jax
    import jax.numpy as jnp

    return equinox.nn.Dropout(rate)(jnp.ones(shape, like.dtype), key=jax.random.key(seed))
