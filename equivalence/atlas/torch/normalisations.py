"""Normalisations."""

from equivalence.atlas.entry import Entries, between, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

add(
    "F.layer_norm",
    "F.layer_norm(x, (6,), w, b)",
    hand="hand.layer_norm(x, w, b)",
    also=("nn.LayerNorm", "torch.layer_norm", "torch.native_layer_norm"),
    x=normal(3, 6),
    w=between(0.5, 1.5, 6),
    b=normal(6),
)
add(
    "F.rms_norm",
    "F.rms_norm(x, (6,), w, 1e-5)",
    hand="hand.rms_norm(x, w)",
    also=("nn.RMSNorm",),
    x=normal(3, 6),
    w=between(0.5, 1.5, 6),
)
