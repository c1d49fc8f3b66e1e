"""Convolutions of Keras and of tf.nn, and matrix products."""

from equivalence.atlas.entry import Entries, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

LAYERS = {  # of Keras: (arguments, shape)
    "Dense": ("3", (2, 3)),
    "EinsumDense": ("'ab,bc->ac', 3", (2, 3)),
    "Conv1D": ("2, 3", (1, 4, 2)),
    "Conv2D": ("2, 2", (1, 3, 3, 1)),
    "Conv3D": ("1, 2", (1, 2, 2, 3, 1)),
    "Conv1DTranspose": ("2, 2", (1, 3, 1)),
    "Conv2DTranspose": ("1, 2, 2", (1, 2, 2, 1)),
    "Conv3DTranspose": ("1, 2", (1, 2, 2, 1, 1)),
    "DepthwiseConv1D": ("2", (1, 3, 2)),
    "DepthwiseConv2D": ("2", (1, 3, 3, 2)),
    "SeparableConv1D": ("2, 2", (1, 3, 2)),
    "SeparableConv2D": ("2, 2", (1, 3, 3, 2)),
    "UpSampling2D": ("2", (1, 2, 2, 1)),
    "ZeroPadding2D": ("1", (1, 2, 2, 1)),
    "Cropping2D": ("1", (1, 3, 3, 1)),
}
for name, (arguments, shape) in LAYERS.items():
    add(f"keras.layers.{name}", "layer(x)", setup=f"layer = keras.layers.{name}({arguments})", x=normal(*shape))
CHANNELS_LAST = "np.moveaxis(hand.conv2d(np.moveaxis(x, 3, 1), k.transpose(3, 2, 0, 1)), 1, 3)"
add("tf.nn.conv1d", "tf.nn.conv1d(x, k, 1, 'VALID')", x=normal(1, 4, 2), k=normal(2, 2, 2))
add(
    "tf.nn.conv2d",
    "tf.nn.conv2d(x, k, 1, 'VALID')",
    hand=CHANNELS_LAST,
    x=normal(1, 3, 3, 2),
    k=normal(2, 2, 2, 1, scale=0.5),
)
add("tf.nn.conv2d, stride", "tf.nn.conv2d(x, k, 2, 'SAME')", x=normal(1, 3, 3, 1), k=normal(2, 2, 1, 2))
add("tf.nn.conv2d, dilation", "tf.nn.conv2d(x, k, 1, 'VALID', dilations=2)", x=normal(1, 4, 4, 1), k=normal(2, 2, 1, 1))
add("tf.nn.conv3d", "tf.nn.conv3d(x, k, [1] * 5, 'VALID')", x=normal(1, 2, 2, 3, 1), k=normal(2, 2, 2, 1, 1))
add(
    "tf.nn.conv2d_transpose",
    "tf.nn.conv2d_transpose(x, k, (1, 4, 4, 1), 2)",
    x=normal(1, 2, 2, 1),
    k=normal(2, 2, 1, 1),
)
add(
    "tf.nn.depthwise_conv2d",
    "tf.nn.depthwise_conv2d(x, k, [1] * 4, 'VALID')",
    x=normal(1, 3, 3, 2),
    k=normal(2, 2, 2, 1),
)
add(
    "tf.nn.separable_conv2d",
    "tf.nn.separable_conv2d(x, k, p, [1] * 4, 'VALID')",
    x=normal(1, 3, 3, 2),
    k=normal(2, 2, 2, 1),
    p=normal(1, 1, 2, 1),
)
add(
    "tf.nn.dilation2d",
    "tf.nn.dilation2d(x, k, [1] * 4, 'VALID', 'NHWC', [1] * 4)",
    x=normal(1, 3, 3, 1),
    k=normal(2, 2, 1),
)
add(
    "tf.nn.erosion2d",
    "tf.nn.erosion2d(x, k, [1] * 4, 'VALID', 'NHWC', [1] * 4)",
    x=normal(1, 3, 3, 1),
    k=normal(2, 2, 1),
)
add(
    "tf.image.extract_patches",
    "tf.image.extract_patches(x, [1, 2, 2, 1], [1] * 4, [1] * 4, 'VALID') ** 2",
    x=normal(1, 3, 3, 1),
)
add("tf.matmul", "x @ y", hand="x @ y", x=normal(2, 3), y=normal(3, 2))
add("tf.einsum", "tf.einsum('ij,jk,kl->il', x, y, x)", hand="x @ y @ x", x=normal(2, 2), y=normal(2, 2))
add("tf.tensordot", "tf.tensordot(x, y, 1)", hand="x @ y", x=normal(2, 3), y=normal(3, 2))
add(
    "tf.sparse.sparse_dense_matmul",
    "tf.sparse.sparse_dense_matmul(tf.sparse.SparseTensor([[0, 0], [1, 2]], x, [2, 3]), y)",
    hand="np.stack([x[0] * y[0], x[1] * y[2]])",
    x=normal(2),
    y=normal(3, 2),
)
add("tf.nn.bias_add", "tf.nn.bias_add(x, b) ** 2", hand="(x + b) ** 2", x=normal(2, 3), b=normal(3))
add("tf.nn.depth_to_space", "tf.nn.depth_to_space(x, 2) ** 2", x=normal(1, 1, 1, 4))
add("tf.nn.space_to_depth", "tf.nn.space_to_depth(x, 2) ** 2", x=normal(1, 2, 2, 1))
add("tf.space_to_batch", "tf.space_to_batch(x, [2], [[0, 0]]) ** 2", x=normal(1, 4, 1))
