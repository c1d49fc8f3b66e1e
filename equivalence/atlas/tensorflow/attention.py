"""Attention, of Keras."""

from equivalence.atlas.entry import Entries, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

SWAPPED = "np.swapaxes(hand.attention(*(np.swapaxes(a, 1, 2) for a in (q, k, v)){}), 1, 2)"
for name, options, hand in (
    ("default", "", SWAPPED.format("")),
    ("flash", ", flash_attention=True", SWAPPED.format("")),
    ("causal", ", is_causal=True", SWAPPED.format(", hand.causal(3)")),
):
    add(
        f"keras.ops.dot_product_attention, {name}",
        f"keras.ops.dot_product_attention(q, k, v{options})",
        hand=hand,
        q=normal(1, 3, 2, 4),
        k=normal(1, 3, 2, 4),
        v=normal(1, 3, 2, 4),
    )
for name, made, call in (
    ("MultiHeadAttention", "MultiHeadAttention(2, 3)", "layer(x, x)"),
    ("MultiHeadAttention, causal", "MultiHeadAttention(2, 3)", "layer(x, x, use_causal_mask=True)"),
    ("GroupQueryAttention", "GroupQueryAttention(3, 2, 1)", "layer(x, x)"),
    ("Attention", "Attention(use_scale=True)", "layer([x, x])"),
    ("AdditiveAttention", "AdditiveAttention()", "layer([x, x])"),
):
    add(f"keras.layers.{name}", call, setup=f"layer = keras.layers.{made}", x=normal(1, 3, 4))
