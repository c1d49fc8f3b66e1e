"""Convolutions, and what matrix products they are made of."""

from equivalence.atlas.entry import Entries, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

CONV = "lax.conv_general_dilated(x, k, {})"
add(
    "lax.conv",
    "lax.conv(x, k, (1, 1), 'VALID')",
    hand="hand.conv2d(x, k)",
    x=normal(1, 2, 4, 3),
    k=normal(2, 2, 2, 2, scale=0.5),
)
for name, options in {
    "stride, padding": "(2, 2), 'SAME'",
    "dilated kernel": "(1, 1), 'VALID', rhs_dilation=(2, 2)",
    "dilated input": "(1, 1), [(0, 0), (0, 0)], lhs_dilation=(2, 2)",
}.items():
    add(
        f"lax.conv_general_dilated, {name}", CONV.format(options), x=normal(1, 1, 4, 4), k=normal(1, 1, 2, 2, scale=0.5)
    )
add(
    "lax.conv_general_dilated, groups",
    CONV.format("(1, 1), 'VALID', feature_group_count=2"),
    hand="np.concatenate([hand.conv2d(x[:, :1], k[:1]), hand.conv2d(x[:, 1:], k[1:])], 1)",
    x=normal(1, 2, 4, 4),
    k=normal(2, 1, 2, 2, scale=0.5),
)
add("lax.conv_transpose", "lax.conv_transpose(x, k, (2,), 'SAME')", x=normal(1, 3, 2), k=normal(3, 2, 1))
add(
    "lax.conv_general_dilated_patches",
    "lax.conv_general_dilated_patches(x, (2, 2), (1, 1), 'VALID') ** 2",
    x=normal(1, 1, 3, 3),
)
add(
    "lax.conv_general_dilated_local",
    "lax.conv_general_dilated_local(x, k, (1,), 'VALID', (2,))",
    x=normal(1, 1, 3),
    k=normal(1, 2, 2),
)
add("jnp.convolve", "jnp.convolve(x, k)", hand="np.convolve(x, k)", x=normal(5), k=normal(3))
add("jnp.correlate", "jnp.correlate(x, k)", hand="np.correlate(x, k)", x=normal(5), k=normal(3))
add(
    "jax.scipy.signal.convolve2d",
    "jax.scipy.signal.convolve2d(x, k)",
    setup="import jax.scipy",
    x=normal(3, 3),
    k=normal(2, 2),
)
add(
    "jax.scipy.signal.fftconvolve",
    "jax.scipy.signal.fftconvolve(x, k)",
    setup="import jax.scipy",
    hand="np.convolve(x, k)",
    x=normal(5),
    k=normal(3),
)
NNX = "from flax import nnx; layer = nnx.{}, param_dtype=jnp.float64, rngs=nnx.Rngs(0))"
for name, made, shape in (
    ("Conv", "Conv(2, 2, (3,)", (1, 4, 2)),
    ("ConvTranspose", "ConvTranspose(2, 2, (3,)", (1, 3, 2)),
    ("Linear", "Linear(3, 2", (2, 3)),
    ("LinearGeneral", "LinearGeneral(3, (2, 2)", (2, 3)),
    ("Einsum", "Einsum('ij,jk->ik', (3, 2), (2,)", (2, 3)),
):
    add(f"nnx.{name}", "layer(x)", setup=NNX.format(made), needs="flax", x=normal(*shape))
add(
    "lax.dot_general",
    "lax.dot_general(x, y, (((2,), (1,)), ((0,), (0,))))",
    hand="x @ y",
    x=normal(2, 2, 3),
    y=normal(2, 3, 2),
)
add(
    "lax.ragged_dot",
    "lax.ragged_dot(x, y, jnp.array([1, 2]))",
    hand="np.stack([x[0] @ y[0], x[1] @ y[1], x[2] @ y[1]])",
    x=normal(3, 2),
    y=normal(2, 2, 2),
)
add("jnp.einsum", "jnp.einsum('ij,jk,kl->il', x, y, x)", hand="x @ y @ x", x=normal(2, 2), y=normal(2, 2))
add("jnp.matmul", "x @ y", hand="x @ y", x=normal(2, 3), y=normal(3, 2))
add("jnp.tensordot", "jnp.tensordot(x, y, 2)", x=normal(2, 3), y=normal(2, 3))
add("jnp.kron", "jnp.kron(x, y)", hand="np.kron(x, y)", x=normal(2, 2), y=normal(2, 2))
