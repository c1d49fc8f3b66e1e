"""JAX. Its eager mode is not timed: it dispatches operation by operation, and nobody trains with it."""

from impls.frameworks.description import Framework

FRAMEWORK = Framework(
    name="jax",
    rank=2,
    words="a JAX array",
    array="jax.Array",
    imports=("jax", "jaxlib", "flax", "optax", "equinox", "haiku"),
    packages=("jax", "jaxlib", "folx", "optax"),
    timed_modes=("jit",),
    quick_mode="jit",
    loop_modes=("optax jit",),
    quick_loop_mode="optax jit",
    peer="matfree",
)
