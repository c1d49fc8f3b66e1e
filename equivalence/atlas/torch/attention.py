"""Attention, by each of its kernels."""

from equivalence.atlas.entry import Entries, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

SETUP = (
    "from torch.nn.attention import sdpa_kernel, SDPBackend\n"
    "def attend(backend, *qkv, **options):\n"
    "  with sdpa_kernel(getattr(SDPBackend, backend)): return F.scaled_dot_product_attention(*qkv, **options)"
)
PLAIN = "hand.attention(q, k, v)"
for backend in ("MATH", "FLASH_ATTENTION", "EFFICIENT_ATTENTION", "CUDNN_ATTENTION"):
    add(
        f"F.scaled_dot_product_attention, {backend}",
        f"attend('{backend}', q, k, v)",
        setup=SETUP,
        hand=PLAIN,
        q=normal(1, 2, 3, 4),
        k=normal(1, 2, 3, 4),
        v=normal(1, 2, 3, 4),
    )
add(
    "F.scaled_dot_product_attention",
    "F.scaled_dot_product_attention(q, k, v)",
    hand=PLAIN,
    q=normal(1, 2, 3, 4),
    k=normal(1, 2, 3, 4),
    v=normal(1, 2, 3, 4),
)
add(
    "F.scaled_dot_product_attention, causal, MATH",
    "attend('MATH', q, k, v, is_causal=True)",
    setup=SETUP,
    hand="hand.attention(q, k, v, hand.causal(3))",
    q=normal(1, 2, 3, 4),
    k=normal(1, 2, 3, 4),
    v=normal(1, 2, 3, 4),
)
add(
    "F.scaled_dot_product_attention, mask, MATH",
    "attend('MATH', q, k, v, attn_mask=m)",
    setup=SETUP,
    hand="hand.attention(q, k, v, m)",
    q=normal(1, 2, 3, 4),
    k=normal(1, 2, 3, 4),
    v=normal(1, 2, 3, 4),
    m=normal(3, 3),
)
add(
    "F.scaled_dot_product_attention, grouped queries, MATH",
    "attend('MATH', q, k, v, enable_gqa=True)",
    setup=SETUP,
    hand="hand.attention(q, np.repeat(k, 2, 1), np.repeat(v, 2, 1))",
    q=normal(1, 2, 3, 4),
    k=normal(1, 1, 3, 4),
    v=normal(1, 1, 3, 4),
)
add(
    "nn.MultiheadAttention",
    "layer(x, x, x)[0]",
    setup="layer = nn.MultiheadAttention(4, 2, batch_first=True)",
    x=normal(1, 3, 4),
)
add(
    "nn.MultiheadAttention, no weights",
    "layer(x, x, x, need_weights=False)[0]",
    setup="layer = nn.MultiheadAttention(4, 2, batch_first=True)",
    x=normal(1, 3, 4),
)
add(
    "nn.TransformerEncoderLayer",
    "layer(x)",
    setup="layer = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, activation='gelu', batch_first=True)",
    x=normal(1, 3, 4),
)
add(
    "nn.TransformerEncoderLayer, eval",
    "layer(x)",
    setup="layer = nn.TransformerEncoderLayer(4, 2, 6, activation='gelu', batch_first=True).eval()",
    x=normal(1, 3, 4),
)
add(
    "nn.TransformerDecoderLayer",
    "layer(x, x)",
    setup="layer = nn.TransformerDecoderLayer(4, 2, 6, dropout=0.0, activation='gelu', batch_first=True)",
    x=normal(1, 3, 4),
)
add(
    "flex_attention",
    "flex_attention(q, k, v)",
    setup="from torch.nn.attention.flex_attention import flex_attention",
    hand=PLAIN,
    q=normal(1, 2, 3, 4),
    k=normal(1, 2, 3, 4),
    v=normal(1, 2, 3, 4),
)
