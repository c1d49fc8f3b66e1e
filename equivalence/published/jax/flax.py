"""Flax: spectral normalisation of a kernel, whose last axis is the output."""

from equivalence.published.package import CONVENTION, RIGHT, Package, only

PACKAGE = Package("flax", "0.12.8", ("flax.linen",))


@PACKAGE.adapts(
    "linen.SpectralNorm",
    "spectral_norm",
    CONVENTION,
    "√(‖x‖² + 1e-12) in the place of each norm, by default: σ is off by up to 1e-12 / ‖Wᵀu‖²",
)
def spectral_norm(weight, u, *, steps=1):
    import jax.numpy as jnp
    from flax import linen

    matrix = weight.reshape(len(weight), -1)

    class Model(linen.Module):
        @linen.compact
        def __call__(self, x):
            layer = linen.Dense(len(weight), use_bias=False, param_dtype=weight.dtype, name="own")
            return linen.SpectralNorm(layer, n_steps=steps, param_dtype=weight.dtype)(x, update_stats=True)

    state = {"own/kernel/u": u[None], "own/kernel/sigma": jnp.ones((), weight.dtype)}
    variables = {"params": {"own": {"kernel": matrix.T}}, "batch_stats": {"SpectralNorm_0": state}}
    _, found = Model().apply(variables, jnp.zeros((1, matrix.shape[1]), weight.dtype), mutable=["batch_stats"])
    found = found["batch_stats"]["SpectralNorm_0"]
    return found["own/kernel/sigma"], found["own/kernel/u"][0]


@PACKAGE.adapts(
    "linen.Dropout", "dropout_mask", RIGHT, "0 and 1/(1 − q) at their rates", compared="rates that are plain numbers"
)
def dropout(seed, shape, *, rate, like):
    import jax
    import jax.numpy as jnp
    from flax import linen

    only(isinstance(rate, int | float), "rates that are plain numbers")
    layer = linen.Dropout(rate, deterministic=False)
    return layer.apply({}, jnp.ones(shape, like.dtype), rngs={"dropout": jax.random.key(seed)})
