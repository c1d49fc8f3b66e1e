"""Resampling."""

from equivalence.atlas.entry import Entries, between, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

for mode in ("nearest", "nearest-exact", "bilinear", "bicubic", "area"):
    add(
        f"F.interpolate, {mode}",
        f"F.interpolate(x, size=(4, 4), mode='{mode}')",
        also=("nn.Upsample",),
        x=normal(1, 1, 3, 3),
    )
add("F.interpolate, linear", "F.interpolate(x, size=5, mode='linear')", x=normal(1, 1, 3))
add("F.interpolate, trilinear", "F.interpolate(x, size=(3, 3, 3), mode='trilinear')", x=normal(1, 1, 2, 2, 2))
add(
    "F.interpolate, bilinear, antialias",
    "F.interpolate(x, size=(2, 2), mode='bilinear', antialias=True)",
    x=normal(1, 1, 4, 4),
)
add(
    "F.interpolate, bicubic, antialias",
    "F.interpolate(x, size=(2, 2), mode='bicubic', antialias=True)",
    x=normal(1, 1, 4, 4),
)
GRID = "np.array([[[[-0.5, -0.3], [0.2, 0.4]], [[0.3, -0.6], [-0.2, 0.5]]]])"
add(
    "F.grid_sample, nearest",
    "F.grid_sample(x, g, 'nearest', align_corners=False)",
    setup="g = torch.tensor([[[[-0.5, -0.3], [0.2, 0.4]]]])",
    x=normal(1, 1, 4, 4),
)
for mode in ("bilinear", "bicubic"):
    add(
        f"F.grid_sample, {mode}",
        f"F.grid_sample(x, g, '{mode}', align_corners=False)",
        x=normal(1, 1, 4, 4),
        g=GRID,
    )
add(
    "F.grid_sample, 3d",
    "F.grid_sample(x, g, align_corners=False)",
    x=normal(1, 1, 3, 3, 3),
    g=between(-0.5, 0.5, 1, 1, 1, 2, 3),
)
add("F.affine_grid", "F.affine_grid(x, (1, 1, 2, 2), align_corners=False)", x=normal(1, 2, 3))
