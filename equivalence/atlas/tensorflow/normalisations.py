"""Normalisations."""

from equivalence.atlas.entry import Entries, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

add(
    "keras.layers.LayerNormalization",
    "layer(x)",
    setup="layer = keras.layers.LayerNormalization(epsilon=1e-3)",
    hand="hand.layer_norm(x, eps=1e-3)",
    x=normal(3, 6),
)
add(
    "keras.layers.RMSNormalization",
    "layer(x)",
    setup="layer = keras.layers.RMSNormalization(epsilon=1e-5)",
    hand="hand.rms_norm(x)",
    x=normal(3, 6),
)
