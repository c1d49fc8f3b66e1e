"""Convolutions, and what unfolds them."""

from equivalence.atlas.entry import Entries, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

add("F.conv1d", "F.conv1d(x, k)", hand="hand.conv1d(x, k)", also=("nn.Conv1d",), x=normal(2, 2, 5), k=normal(3, 2, 3))
add(
    "F.conv2d",
    "F.conv2d(x, k)",
    hand="hand.conv2d(x, k)",
    also=("nn.Conv2d",),
    x=normal(1, 2, 4, 3),
    k=normal(2, 2, 2, 2, scale=0.5),
)
add(
    "F.conv2d, bias, stride, padding",
    "F.conv2d(x, k, b, stride=2, padding=1)",
    hand="hand.conv2d(np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)]), k)[:, :, ::2, ::2] + b[:, None, None]",
    x=normal(1, 2, 4, 4),
    k=normal(2, 2, 3, 3, scale=0.4),
    b=normal(2),
)
add(
    "F.conv2d, dilation",
    "F.conv2d(x, k, dilation=2)",
    x=normal(1, 1, 5, 5),
    k=normal(1, 1, 2, 2, scale=0.5),
)
add(
    "F.conv2d, groups",
    "F.conv2d(x, k, groups=2)",
    hand="np.concatenate([hand.conv2d(x[:, :1], k[:1]), hand.conv2d(x[:, 1:], k[1:])], 1)",
    x=normal(1, 2, 4, 4),
    k=normal(2, 1, 2, 2, scale=0.5),
)
add("F.conv3d", "F.conv3d(x, k)", also=("nn.Conv3d",), x=normal(1, 1, 3, 3, 3), k=normal(1, 1, 2, 2, 2, scale=0.5))
add(
    "F.conv_transpose1d", "F.conv_transpose1d(x, k)", also=("nn.ConvTranspose1d",), x=normal(1, 2, 3), k=normal(2, 1, 3)
)
add(
    "F.conv_transpose2d",
    "F.conv_transpose2d(x, k, stride=2)",
    also=("nn.ConvTranspose2d",),
    x=normal(1, 2, 2, 2),
    k=normal(2, 1, 3, 3, scale=0.5),
)
add(
    "F.conv_transpose3d",
    "F.conv_transpose3d(x, k)",
    also=("nn.ConvTranspose3d",),
    x=normal(1, 1, 2, 2, 2),
    k=normal(1, 1, 2, 2, 2, scale=0.5),
)
add("F.unfold", "F.unfold(x, 2)", also=("nn.Unfold",), x=normal(1, 2, 3, 3))
add("F.fold", "F.fold(x, (3, 3), 2)", also=("nn.Fold",), x=normal(1, 4, 4))
add(
    "F.linear",
    "F.linear(x, w, b)",
    hand="x @ w.T + b",
    also=("nn.Linear",),
    x=normal(2, 3),
    w=normal(4, 3),
    b=normal(4),
)
add(
    "F.bilinear",
    "F.bilinear(x, y, w)",
    hand="np.einsum('ni,oij,nj->no', x, w, y)",
    also=("nn.Bilinear",),
    x=normal(2, 3),
    y=normal(2, 2),
    w=normal(2, 3, 2),
)
