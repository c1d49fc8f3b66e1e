"""Gathering, scattering, and moving numbers about, and sparse tensors."""

from equivalence.atlas.entry import Entries, between, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

ROWS = "i = torch.tensor([[0, 2, 1], [2, 0, 0]])"
ROW = "i = torch.tensor([2, 0, 2])"

add(
    "torch.gather",
    "torch.gather(x, 1, i)",
    setup=ROWS,
    hand="np.take_along_axis(x, np.array([[0, 2, 1], [2, 0, 0]]), 1)",
    x=normal(2, 3),
)
add("torch.take_along_dim", "torch.take_along_dim(x, i, 1)", setup=ROWS, x=normal(2, 3))
add("torch.take", "torch.take(x, i)", setup=ROW, x=normal(2, 3))
add("torch.index_select", "torch.index_select(x, 0, i)", setup=ROW, hand="x[[2, 0, 2]]", x=normal(3, 2))
add("torch.Tensor.__getitem__", "x[i]", setup=ROW, hand="x[[2, 0, 2]]", x=normal(3, 2))
add(
    "torch.masked_select",
    "torch.masked_select(x, m)",
    setup="m = torch.tensor([True, False, True])",
    hand="x[[0, 2]]",
    x=normal(3),
)
add("torch.masked_fill", "x.masked_fill(torch.tensor([True, False, True]), 0.5) ** 2", x=normal(3))
add("torch.masked_scatter", "x.masked_scatter(torch.tensor([True, False, True]), y)", x=normal(3), y=normal(2))
add(
    "torch.index_put, accumulate",
    "x.index_put((torch.tensor([0, 0]),), y, accumulate=True)",
    hand="x + np.array([y.sum(), 0, 0])",
    x=normal(3),
    y=normal(2),
)
add(
    "torch.index_put",
    "x.index_put((torch.tensor([0, 2]),), y)",
    hand="np.array([y[0], x[1], y[1]])",
    x=normal(3),
    y=normal(2),
)
add(
    "torch.index_add",
    "torch.index_add(x, 0, i, y)",
    setup=ROW,
    hand="x + np.array([y[1], 0 * y[0], y[0] + y[2]])",
    x=normal(3, 2),
    y=normal(3, 2),
)
add("torch.index_copy", "torch.index_copy(x, 0, torch.tensor([2, 0]), y)", x=normal(3, 2), y=normal(2, 2))
add("torch.index_fill", "torch.index_fill(x, 0, torch.tensor([1]), 2.0) ** 2", x=normal(3, 2))
add("torch.scatter", "torch.scatter(x, 1, torch.tensor([[2, 0]]), y)", x=normal(1, 3), y=normal(1, 2))
add(
    "torch.scatter_add",
    "torch.scatter_add(x, 0, i, y)",
    setup=ROW,
    hand="x + np.array([y[1], 0, y[0] + y[2]])",
    x=normal(3),
    y=normal(3),
)
for reduce in ("sum", "mean", "prod", "amax", "amin"):
    add(
        f"torch.scatter_reduce, {reduce}",
        f"torch.scatter_reduce(x, 0, i, y, '{reduce}')",
        setup=ROW,
        x=between(0.5, 2, 3),
        y=between(0.5, 2, 3),
    )
    if reduce != "sum":
        add(
            f"torch.index_reduce, {reduce}",
            f"torch.index_reduce(x, 0, i, y, '{reduce}')",
            setup=ROW,
            x=between(0.5, 2, 3),
            y=between(0.5, 2, 3),
        )
for reduce in ("sum", "mean", "prod", "max", "min"):
    call = f"torch.segment_reduce(x, '{reduce}', lengths=torch.tensor([2, 1]))"
    add(f"torch.segment_reduce, {reduce}", call, x=between(0.5, 2, 3))
add("torch.roll", "torch.roll(x, 1) * x", hand="np.roll(x, 1) * x", x=normal(4))
add("torch.flip", "torch.flip(x, (0,)) * x", hand="x[::-1] * x", x=normal(4))
add("torch.tril", "torch.tril(x) @ x", hand="np.tril(x) @ x", x=normal(3, 3))
add("torch.diagonal", "torch.diagonal(x) ** 2", hand="np.diagonal(x) ** 2", x=normal(3, 3))
add("torch.diag_embed", "torch.diag_embed(x) @ torch.diag_embed(x)", x=normal(3))
add("torch.Tensor.unfold", "x.unfold(0, 3, 1) ** 2", hand="hand.windows(x, 3, 0) ** 2", x=normal(5))
add(
    "torch.Tensor.as_strided",
    "x.as_strided((2, 2), (1, 1)) ** 2",
    hand="x[np.array([[0, 1], [1, 2]])] ** 2",
    x=normal(3),
)
add("torch.repeat_interleave", "torch.repeat_interleave(x, torch.tensor([2, 1, 3])) ** 2", x=normal(3))
add("torch.Tensor.expand", "x.expand(2, 3) ** 2", x=normal(3))
add("torch.Tensor.copy_", "torch.zeros_like(x).copy_(x) ** 2", hand="x**2", x=normal(3))
for mode in ("constant", "reflect", "replicate", "circular"):
    add(f"F.pad, {mode}", f"F.pad(x, (1, 1), '{mode}')", also=(f"nn.{mode.title()}Pad1d",), x=normal(1, 2, 4))
add("F.pad, reflect, 2d", "F.pad(x, (1, 1, 1, 1), 'reflect')", also=("nn.ReflectionPad2d",), x=normal(1, 1, 3, 3))
add("F.pixel_shuffle", "F.pixel_shuffle(x, 2)", also=("nn.PixelShuffle",), x=normal(1, 4, 2, 1))
add("F.channel_shuffle", "F.channel_shuffle(x, 2)", also=("nn.ChannelShuffle",), x=normal(1, 4, 2, 1))

# Sparse tensors, made of values that are differentiated.
SPARSE_OF = "torch.sparse_coo_tensor(torch.tensor([[0, 0, 1, 2], [0, 2, 1, 0]]), x, (3, 3), check_invariants=True)"
SAME_DENSE = "np.array([[x[0], 0, x[1]], [0, x[2], 0], [x[3], 0, 0]])"
STORED, FACTOR = normal(4), normal(3, 2)

add("torch.sparse_coo_tensor", f"{SPARSE_OF}.to_dense()", hand=SAME_DENSE, x=STORED)
add("torch.sparse_coo_tensor, product", f"{SPARSE_OF} @ y", hand=f"{SAME_DENSE} @ y", x=STORED, y=FACTOR)
add(
    "torch.sparse_coo_tensor, torch.sparse.mm",
    f"torch.sparse.mm({SPARSE_OF}, y)",
    hand=f"{SAME_DENSE} @ y",
    x=STORED,
    y=FACTOR,
)
add(
    "torch.sparse_coo_tensor, sum",
    f"({SPARSE_OF} + {SPARSE_OF} * x.sum()).to_dense()",
    hand=f"{SAME_DENSE} * (1 + x.sum())",
    x=STORED,
)
add("torch.sparse_coo_tensor, values", f"{SPARSE_OF}.coalesce().values()", hand="x", x=STORED)
add("torch.sparse.sum", f"torch.sparse.sum({SPARSE_OF}, 1).to_dense()", hand=f"{SAME_DENSE}.sum(1)", x=STORED)
add("torch.sparse.softmax", f"torch.sparse.softmax({SPARSE_OF}, 1).to_dense()[0, ::2]", x=STORED)
add(
    "torch.sparse_csr_tensor, product",
    "torch.sparse_csr_tensor(torch.tensor([0, 2, 3, 4]), torch.tensor([0, 2, 1, 0]), x, (3, 3)) @ y",
    hand=f"{SAME_DENSE} @ y",
    x=STORED,
    y=FACTOR,
)
add("Tensor.to_sparse, product", "torch.sparse.mm(torch.outer(x, x).to_sparse(), y)", hand="np.outer(x, x) @ y",
    x=normal(3), y=FACTOR)  # fmt: skip
