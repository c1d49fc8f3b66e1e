"""JAX's mixed precision, by convention: parameters and inputs are cast where the model begins."""

import jax
import jax.numpy as jnp


def mixed(model, case, dtype):
    def cast(leaf):
        return leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    def f(params, x, *masks, **options):
        return model(*jax.tree.map(cast, (params, x, *masks)), **options)

    return f
