"""Entries of JAX, and of Flax and Optax where they are installed, and how its derivatives are written."""

PACKAGES = ("jax",)  # whose versions a record is about
MODES = ("jit", "eager", "vmap")  # vmap is compiled, too
DEFAULT_MODES = MODES
# Compositions that a mode takes too long for: eager compiles each operation by itself.
LEFT_OUT = {"jit": ("RRF",), "eager": ("RFR", "RRF", "RFF"), "vmap": ("RFR", "RRF")}
HEADER = "import numpy as np, jax, jax.numpy as jnp\nfrom jax import lax, nn"
SCRIPT = {
    "start": 'jax.config.update("jax_enable_x64", True)',
    "array": "jnp.asarray({}, jnp.{dtype})",
    "head": "jnp.sin({}).sum()",
    "R": "R = lambda f: lambda *x: sum((g * e).sum() for g, e in zip(jax.grad(f, tuple(range(len(x))))(*x), d))",
    "F": "J = lambda f: lambda *x: jax.jvp(f, x, d)[1]",
    "penalty": "P = lambda f: lambda *x: sum((g * g).sum() for g in jax.grad(f, tuple(range(len(x))))(*x))",
    "version": "jax.__version__",
    "eager": "{}(*x)",
    "jit": "jax.jit({})(*x)",
    "vmap": "jax.jit(jax.vmap({}))(*(jnp.stack([a, a]) for a in x))[1]",
}
