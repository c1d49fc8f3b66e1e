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
add("F.layer_norm, without weights", "F.layer_norm(x, (6,))", hand="hand.layer_norm(x)", x=normal(3, 6))
add(
    "F.layer_norm, two axes",
    "F.layer_norm(x, (3, 4))",
    hand="hand.layer_norm(x, axes=(1, 2))",
    x=normal(2, 3, 4),
)
add(
    "F.rms_norm",
    "F.rms_norm(x, (6,), w, 1e-5)",
    hand="hand.rms_norm(x, w)",
    also=("nn.RMSNorm",),
    x=normal(3, 6),
    w=between(0.5, 1.5, 6),
)
add(
    "F.group_norm",
    "F.group_norm(x, 2, w, b)",
    hand="hand.group_norm(x, 2, w, b)",
    also=("nn.GroupNorm",),
    x=normal(2, 4, 3),
    w=between(0.5, 1.5, 4),
    b=normal(4),
)
add(
    "F.instance_norm",
    "F.instance_norm(x, weight=w, bias=b)",
    hand="hand.group_norm(x, 3, w, b)",
    also=("nn.InstanceNorm1d", "nn.InstanceNorm2d", "nn.InstanceNorm3d"),
    x=normal(2, 3, 4),
    w=between(0.5, 1.5, 3),
    b=normal(3),
)
add(
    "F.batch_norm, training",
    "F.batch_norm(x, None, None, w, b, training=True)",
    hand="hand.layer_norm(x, w, b, axes=(0,))",
    also=("nn.BatchNorm1d", "nn.BatchNorm2d", "nn.BatchNorm3d", "nn.SyncBatchNorm"),
    x=normal(4, 3),
    w=between(0.5, 1.5, 3),
    b=normal(3),
)
add(
    "F.batch_norm, eval",
    "F.batch_norm(x, m, v, w, b)",
    setup="m, v = torch.tensor([0.1, -0.2, 0.3]), torch.tensor([0.5, 1.0, 2.0])",
    hand="(x - np.array([0.1, -0.2, 0.3])) / np.sqrt(np.array([0.5, 1, 2]) + 1e-5) * w + b",
    x=normal(4, 3),
    w=between(0.5, 1.5, 3),
    b=normal(3),
)
add(
    "nn.BatchNorm2d, training",
    "layer(x)",
    setup="layer = nn.BatchNorm2d(2, track_running_stats=False)",
    hand="hand.layer_norm(x, axes=(0, 2, 3))",
    x=normal(2, 2, 3, 2),
)
add(
    "F.local_response_norm",
    "F.local_response_norm(x, 3)",
    also=("nn.LocalResponseNorm",),
    hand="x / (1 + 1e-4 * hand.windows(x**2, 3, axis=1, pad=True).sum(-1) / 3) ** 0.75",
    x=normal(2, 4, 3),
)
add(
    "F.normalize",
    "F.normalize(x)",
    hand="x / np.sqrt((x**2).sum(1, keepdims=True))",
    x=normal(3, 4),
    kinks={"zero": {"x": "np.zeros((1, 2))"}},
)
add(
    "nn.utils.parametrizations.weight_norm",
    "torch._weight_norm(v, g, 0) @ x",
    hand="(g * v / np.sqrt((v**2).sum(1, keepdims=True))) @ x",
    also=("weight_norm",),
    v=normal(3, 4),
    g=between(0.5, 2, 3, 1),
    x=normal(4),
)
