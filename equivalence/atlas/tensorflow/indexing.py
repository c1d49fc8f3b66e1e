"""Gathering, scattering, embeddings, and moving numbers about."""

from equivalence.atlas.entry import Entries, between, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

ROW = "i = tf.constant([2, 0, 2])"
add("tf.gather", "tf.gather(x, i)", setup=ROW, hand="x[[2, 0, 2]]", x=normal(3, 2))
add("tf.gather, batched", "tf.gather(x, tf.constant([[0], [1]]), batch_dims=1)", x=normal(2, 3))
add("tf.gather_nd", "tf.gather_nd(x, tf.constant([[0, 1], [2, 0]]))", hand="x[[0, 2], [1, 0]]", x=normal(3, 2))
add("tf.boolean_mask", "tf.boolean_mask(x, tf.constant([True, False, True]))", hand="x[[0, 2]]", x=normal(3))
add("tf.Tensor.__getitem__", "x[1:3, ::2] ** 2", hand="x[1:3, ::2] ** 2", x=normal(3, 3))
add(
    "tf.scatter_nd",
    "tf.scatter_nd(tf.constant([[0], [2], [0]]), x, [3]) ** 2",
    hand="np.array([x[0] + x[2], 0, x[1]]) ** 2",
    x=normal(3),
)
UPDATE = "tf.tensor_scatter_nd_{}(x, tf.constant([[0], [2]]), y)"
for name in ("update", "add", "sub", "max", "min"):
    add(f"tf.tensor_scatter_nd_{name}", UPDATE.format(name), x=between(0.5, 2, 3), y=between(0.5, 2, 2))
SEGMENTS = "tf.constant([0, 0, 1])"
for name in ("sum", "mean", "prod", "max", "min"):
    # How many segments there are is seen in numbers alone: the size is said.
    add(f"tf.math.segment_{name}", f"tf.reshape(tf.math.segment_{name}(x, {SEGMENTS}), [2])", x=between(0.5, 2, 3))
    add(
        f"tf.math.unsorted_segment_{name}",
        f"tf.math.unsorted_segment_{name}(x, tf.constant([1, 0, 1]), 2)",
        x=between(0.5, 2, 3),
    )
add("tf.math.unsorted_segment_sqrt_n", "tf.math.unsorted_segment_sqrt_n(x, tf.constant([1, 0, 1]), 2)", x=normal(3))
add("tf.dynamic_partition", "tf.reshape(tf.concat(tf.dynamic_partition(x, [1, 0, 1], 2), 0), [3]) ** 2", x=normal(3))
add("tf.dynamic_stitch", "tf.dynamic_stitch([[0, 2], [1]], [x, y]) ** 2", x=normal(2), y=normal(1))
for name, call, hand, shape in (
    ("tf.roll", "tf.roll(x, 1, 0) * x", "np.roll(x, 1) * x", (4,)),
    ("tf.reverse", "tf.reverse(x, [0]) * x", "x[::-1] * x", (4,)),
    ("tf.reverse_sequence", "tf.reverse_sequence(x, [2, 3], 1) * x", "", (2, 3)),
    ("tf.pad", "tf.pad(x, [[1, 1]]) ** 2", "np.pad(x, 1) ** 2", (4,)),
    ("tf.pad, reflect", "tf.pad(x, [[1, 1]], 'REFLECT') ** 2", "np.pad(x, 1, mode='reflect') ** 2", (4,)),
    ("tf.pad, symmetric", "tf.pad(x, [[1, 1]], 'SYMMETRIC') ** 2", "np.pad(x, 1, mode='symmetric') ** 2", (4,)),
    ("tf.tile", "tf.tile(x, [2]) ** 2", "np.tile(x, 2) ** 2", (3,)),
    ("tf.repeat", "tf.repeat(x, [2, 1, 3]) ** 2", "np.repeat(x, [2, 1, 3]) ** 2", (3,)),
    ("tf.broadcast_to", "tf.broadcast_to(x, [2, 3]) ** 2", "", (3,)),
    ("tf.slice", "tf.slice(x, [1], [2]) ** 2", "x[1:3] ** 2", (4,)),
    ("tf.signal.frame", "tf.signal.frame(x, 2, 1) ** 2", "hand.windows(x, 2, 0) ** 2", (4,)),
    ("tf.signal.overlap_and_add", "tf.signal.overlap_and_add(x, 1) ** 2", "", (2, 3)),
):
    add(name, call, hand=hand, x=normal(*shape))
LOOKUP = "tf.nn.embedding_lookup(w, tf.constant([2, 0, 2]))"
add("tf.nn.embedding_lookup", LOOKUP, hand="w[[2, 0, 2]]", also=("keras.layers.Embedding",), w=normal(3, 2))
add("tf.nn.embedding_lookup, norm", LOOKUP.replace("]))", "]), max_norm=0.5)"), w=normal(3, 2))
SPARSE = "s = tf.sparse.from_dense(tf.constant([[3, 1], [2, 1]]))"
for combiner in ("mean", "sum", "sqrtn"):
    add(
        f"tf.nn.embedding_lookup_sparse, {combiner}",
        f"tf.reshape(tf.nn.embedding_lookup_sparse(w, s, None, combiner='{combiner}'), [2, 2])",
        setup=SPARSE,
        w=normal(4, 2),
    )
add("keras.ops.one_hot product", "keras.ops.one_hot([2, 0], 3, dtype='float64') @ w", hand="w[[2, 0]]", w=normal(3, 2))
for method in ("bilinear", "nearest", "bicubic", "area", "gaussian", "lanczos3", "mitchellcubic"):
    add(
        f"tf.image.resize, {method}",
        f"tf.image.resize(x, (4, 4), '{method}') ** 2",
        dtype="float32",
        also=("keras.layers.Resizing",),
        x=normal(1, 3, 3, 1),
    )
add(
    "tf.image.resize, antialias",
    "tf.image.resize(x, (2, 2), antialias=True) ** 2",
    dtype="float32",
    x=normal(1, 4, 4, 1),
)
add(
    "tf.image.crop_and_resize",
    "tf.image.crop_and_resize(x, b, [0], (2, 2)) ** 2",
    dtype="float32",
    x=normal(1, 4, 4, 1),
    b="np.array([[0.1, 0.15, 0.8, 0.75]])",
)
TRANSFORM = (
    "tf.raw_ops.ImageProjectiveTransformV3(images=x, transforms=[[1.0, 0.1, 0.2, 0.0, 0.9, 0.1, 0.0, 0.0]],"
    " output_shape=[3, 3], fill_value=0.0, interpolation='BILINEAR') ** 2"
)
add("tf.raw_ops.ImageProjectiveTransformV3", TRANSFORM, dtype="float32", x=normal(1, 3, 3, 1))

# Sparse tensors, made of values that are differentiated.
SPARSE_OF = "tf.sparse.SparseTensor([[0, 0], [0, 2], [1, 1], [2, 0]], {}, [3, 3])"
ANOTHER = "tf.sparse.SparseTensor([[0, 2], [1, 0]], y, [3, 3])"
SAME_DENSE = "np.array([[x[0], 0, x[1]], [0, x[2], 0], [x[3], 0, 0]])"
SPARSE_X, STORED = SPARSE_OF.format("x"), normal(4)

add("tf.sparse.to_dense", f"tf.sparse.to_dense({SPARSE_X})", hand=SAME_DENSE, x=STORED)
add(
    "tf.sparse.add",
    f"tf.sparse.add({SPARSE_X}, {ANOTHER}).values * (tf.reduce_sum(x) + tf.reduce_sum(y))",
    x=STORED,
    y=normal(2),
)
add("tf.sparse.add, dense", f"tf.sparse.add({SPARSE_X}, y)", hand=f"{SAME_DENSE} + y", x=STORED, y=normal(3, 3))
add("tf.sparse.reduce_sum", f"tf.sparse.reduce_sum({SPARSE_X}, 1)", hand=f"{SAME_DENSE}.sum(1)", x=STORED)
add(
    "tf.sparse.softmax",
    f"tf.sparse.softmax({SPARSE_X}).values[:2]",
    hand="np.exp(x[:2]) / np.exp(x[:2]).sum()",
    x=STORED,
)
add("tf.sparse.transpose", f"tf.sparse.to_dense(tf.sparse.transpose({SPARSE_X}))", hand=f"{SAME_DENSE}.T", x=STORED)
add(
    "tf.sparse.reshape",
    f"tf.sparse.to_dense(tf.sparse.reshape({SPARSE_X}, [9, 1]))",
    hand=f"{SAME_DENSE}.reshape(9, 1)",
    x=STORED,
)
add("tf.sparse.reorder", f"tf.sparse.reorder({SPARSE_X}).values", hand="x", x=STORED)
add("tf.sparse.slice", f"tf.sparse.slice({SPARSE_X}, [0, 0], [2, 3]).values", hand="x[:3]", x=STORED)
add("tf.sparse.fill_empty_rows", f"tf.sparse.fill_empty_rows({SPARSE_X}, x[0])[0].values", hand="x", x=STORED)
add("tf.sparse times dense", f"({SPARSE_X} * y).values", hand="x * np.array([y[0, 0], y[0, 2], y[1, 1], y[2, 0]])",
    x=STORED, y=normal(3, 3))  # fmt: skip
add("tf.sparse.from_dense", "tf.sparse.from_dense(x).values", hand="x.reshape(-1)", x=normal(3, 2))
add(
    "tf.IndexedSlices",
    "tf.convert_to_tensor(tf.IndexedSlices(x, tf.constant([0, 1, 1, 2]), tf.constant([3])))",
    hand="np.array([x[0], x[1] + x[2], x[3]])",
    x=STORED,
)
