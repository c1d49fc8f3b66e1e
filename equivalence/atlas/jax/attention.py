"""Attention, of JAX and of Flax."""

from equivalence.atlas.entry import Entries, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add
# JAX computes the softmax of attention in float32, whatever comes in.

SWAP = "np.swapaxes(hand.attention(*(np.swapaxes(a, 1, 2) for a in (q, k, v)){}), 1, 2)"
for name, options, hand in (
    ("xla", "implementation='xla'", SWAP.format("")),
    ("default", "", SWAP.format("")),
    ("cudnn", "implementation='cudnn'", ""),
    ("causal", "is_causal=True", SWAP.format(", hand.causal(3)")),
    (
        "local window",
        "local_window_size=(1, 0)",
        SWAP.format(", np.where(np.tri(3) - np.tri(3, k=-2), 0, -1e30)"),
    ),
):
    add(
        f"jax.nn.dot_product_attention, {name}",
        f"nn.dot_product_attention(q, k, v, {options})",
        hand=hand,
        dtype="float32",
        q=normal(1, 3, 2, 4),
        k=normal(1, 3, 2, 4),
        v=normal(1, 3, 2, 4),
    )
add(
    "jax.nn.dot_product_attention, bias",
    "nn.dot_product_attention(q, k, v, bias=b)",
    hand=SWAP.format(", b"),
    dtype="float32",
    q=normal(1, 3, 2, 4),
    k=normal(1, 3, 2, 4),
    v=normal(1, 3, 2, 4),
    b=normal(1, 2, 3, 3),
)
add(
    "jax.nn.dot_product_attention, grouped queries",
    "nn.dot_product_attention(q, k, v)",
    hand=SWAP.format("").replace("for a in (q, k, v)", "for a in (q, np.repeat(k, 2, 2), np.repeat(v, 2, 2))"),
    dtype="float32",
    q=normal(1, 3, 2, 4),
    k=normal(1, 3, 1, 4),
    v=normal(1, 3, 1, 4),
)
# With dropout that is switched off, Flax computes attention by itself, in float64.
NNX = "from flax import nnx; layer = nnx.{}, param_dtype=jnp.float64, rngs=nnx.Rngs(0))"
add(
    "nnx.MultiHeadAttention",
    "layer(x)",
    setup=NNX.format("MultiHeadAttention(2, 4, decode=False, dropout_rate=0.5, deterministic=True"),
    needs="flax",
    x=normal(1, 3, 4),
)
add(
    "nnx.MultiHeadAttention, normalised",
    "layer(x)",
    setup=NNX.format("MultiHeadAttention(2, 4, decode=False, normalize_qk=True, dropout_rate=0.5, deterministic=True"),
    needs="flax",
    x=normal(1, 3, 4),
)
add(
    "nnx.dot_product_attention",
    "nnx.dot_product_attention(q, k, v)",
    setup="from flax import nnx",
    hand=SWAP.format(""),
    needs="flax",
    q=normal(1, 3, 2, 4),
    k=normal(1, 3, 2, 4),
    v=normal(1, 3, 2, 4),
)
