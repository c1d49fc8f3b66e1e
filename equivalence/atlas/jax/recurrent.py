"""Recurrent layers of Flax, and the loops that they are made of."""

from equivalence.atlas.entry import Entries, between, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

NNX = "from flax import nnx; layer = nnx.RNN(nnx.{}(3, 4, param_dtype=jnp.float64, rngs=nnx.Rngs(0)))"
for cell in ("SimpleCell", "GRUCell", "LSTMCell", "OptimizedLSTMCell"):
    add(
        f"nnx.RNN, {cell}",
        "nnx.clone(layer)(x)",
        setup=NNX.format(cell),
        also=(f"nnx.{cell}",),
        needs="flax",
        x=normal(1, 3, 3),
    )
add("lax.scan", "lax.scan(lambda c, a: (jnp.tanh(c * a), c), x[0], x)[1]", x=normal(4))
add("lax.scan, unrolled", "lax.scan(lambda c, a: (jnp.tanh(c * a), c), x[0], x, unroll=True)[1]", x=normal(4))
add(
    "lax.fori_loop",
    "lax.fori_loop(0, 3, lambda i, c: jnp.sin(c) * x, x)",
    hand="np.sin(np.sin(np.sin(x) * x) * x) * x",
    x=normal(3),
)
add(
    "lax.while_loop",
    "lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, jnp.sin(c[1]) * x), (0, x))[1]",
    x=normal(3),
)
add("lax.cond", "lax.cond(x.sum() > 0, lambda x: x**3, lambda x: jnp.sin(x), x)", hand="x**3", x=between(0.5, 2, 3))
add("lax.switch", "lax.switch(1, [jnp.sin, lambda x: x**3], x)", hand="x**3", x=normal(3))
add("lax.map", "lax.map(lambda a: jnp.sin(a) * a, x)", hand="np.sin(x) * x", x=normal(3))
add("lax.associative_scan", "lax.associative_scan(jnp.multiply, x)", hand="np.cumprod(x)", x=normal(4))
add("jax.checkpoint", "jax.checkpoint(lambda x: jnp.sin(x) * x)(x)", hand="np.sin(x) * x", x=normal(3))
