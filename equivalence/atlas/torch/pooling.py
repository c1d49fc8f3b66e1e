"""Pooling."""

from equivalence.atlas.entry import Entries, apart, between, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add
TIE = {"tie": {"x": "np.ones((1, 1, 2, 2))", "along": "np.array([1.0, 0, 0, 0])"}}

add(
    "F.avg_pool1d",
    "F.avg_pool1d(x, 2)",
    hand="x.reshape(1, 2, 3, 2).mean(3)",
    also=("nn.AvgPool1d",),
    x=normal(1, 2, 6),
)
add(
    "F.avg_pool2d",
    "F.avg_pool2d(x, 2, 1)",
    hand="hand.patches(x, 2).mean((-1, -2))",
    also=("nn.AvgPool2d",),
    x=normal(1, 2, 3, 3),
)
add("F.avg_pool3d", "F.avg_pool3d(x, 2)", also=("nn.AvgPool3d",), x=normal(1, 1, 2, 4, 2))
add("F.max_pool1d", "F.max_pool1d(x, 2)", hand="x.reshape(1, 2, 3, 2).max(3)", also=("nn.MaxPool1d",), x=apart(1, 2, 6))
add(
    "F.max_pool2d",
    "F.max_pool2d(x, 2, 1)",
    hand="hand.patches(x, 2).max((-1, -2))",
    also=("nn.MaxPool2d",),
    kinks=TIE,
    x=apart(1, 2, 3, 3),
)
add("F.max_pool2d, dilation", "F.max_pool2d(x, 2, 1, dilation=2)", x=apart(1, 1, 4, 4))
add("F.max_pool2d, indices", "F.max_pool2d(x, 2, return_indices=True)[0]", x=apart(1, 1, 4, 4))
add("F.max_pool3d", "F.max_pool3d(x, 2)", also=("nn.MaxPool3d",), x=apart(1, 1, 2, 4, 2))
add(
    "F.adaptive_avg_pool2d",
    "F.adaptive_avg_pool2d(x, (2, 2))",
    also=("nn.AdaptiveAvgPool2d", "nn.AdaptiveAvgPool1d", "nn.AdaptiveAvgPool3d"),
    x=normal(1, 2, 3, 3),
)
add(
    "F.adaptive_max_pool2d",
    "F.adaptive_max_pool2d(x, (2, 2))",
    also=("nn.AdaptiveMaxPool2d", "nn.AdaptiveMaxPool1d"),
    x=apart(1, 2, 3, 4),
)
add("F.adaptive_max_pool3d", "F.adaptive_max_pool3d(x, (1, 2, 1))", x=apart(1, 1, 2, 4, 2))
add(
    "F.fractional_max_pool2d",
    "F.fractional_max_pool2d(x, 2, output_size=(2, 2), _random_samples=torch.full((1, 2, 2), 0.4))",
    also=("nn.FractionalMaxPool2d",),
    x=apart(1, 2, 4, 4),
)
add(
    "F.fractional_max_pool3d",
    "F.fractional_max_pool3d(x, 2, output_size=(2, 2, 2), _random_samples=torch.full((1, 1, 3), 0.4))",
    also=("nn.FractionalMaxPool3d",),
    x=apart(1, 1, 4, 4, 4),
)
add(
    "F.lp_pool2d",
    "F.lp_pool2d(x, 3, 2)",
    hand="((x.reshape(1, 1, 2, 2, 2, 2) ** 3).sum((3, 5))) ** (np.longdouble(1) / 3)",
    also=("nn.LPPool2d", "nn.LPPool1d"),
    x=between(0.5, 2, 1, 1, 4, 4),
)
add(
    "F.max_unpool2d",
    "F.max_unpool2d(x, torch.tensor([[[[0, 3], [8, 15]]]]), 2)",
    also=("nn.MaxUnpool2d",),
    x=normal(1, 1, 2, 2),
)
