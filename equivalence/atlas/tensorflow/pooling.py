"""Pooling, of Keras and of tf.nn."""

from equivalence.atlas.entry import Entries, apart, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

TIE = {"tie": {"x": "np.ones((1, 2, 2, 1))", "along": "np.array([1.0, 0, 0, 0])"}}
for name, shape in {
    "GlobalAveragePooling1D": (1, 3, 2),
    "GlobalAveragePooling2D": (1, 2, 2, 2),
    "GlobalMaxPooling1D": (1, 3, 2),
    "GlobalMaxPooling2D": (1, 2, 2, 2),
    "MaxPooling1D": (1, 4, 2),
}.items():
    add(f"keras.layers.{name}", "layer(x)", setup=f"layer = keras.layers.{name}()", x=apart(*shape))
for name, shape in {"AveragePooling1D": (1, 4, 2), "AveragePooling2D": (1, 4, 2, 1)}.items():
    add(f"keras.layers.{name}", "layer(x)", setup=f"layer = keras.layers.{name}(2)", x=apart(*shape))
for name in ("AveragePooling3D", "MaxPooling3D"):  # whose kernels on a CPU are of float32
    setup = f"layer = keras.layers.{name}(2, dtype='float32')"
    add(f"keras.layers.{name}", "layer(x)", setup=setup, x=apart(1, 2, 2, 4, 1), dtype="float32")
for name in ("AdaptiveAveragePooling2D", "AdaptiveMaxPooling2D"):
    add(f"keras.layers.{name}", "layer(x)", setup=f"layer = keras.layers.{name}(2)", x=apart(1, 3, 4, 1))
add(
    "keras.layers.MaxPooling2D", "layer(x)", setup="layer = keras.layers.MaxPooling2D()", kinks=TIE, x=apart(1, 4, 2, 1)
)
add(
    "tf.nn.avg_pool2d",
    "tf.nn.avg_pool2d(x, 2, 1, 'VALID')",
    hand="hand.patches(x[..., 0], 2).mean((-1, -2))[..., None]",
    x=normal(1, 3, 3, 1),
)
add(
    "tf.nn.max_pool2d",
    "tf.nn.max_pool2d(x, 2, 1, 'VALID')",
    hand="hand.patches(x[..., 0], 2).max((-1, -2))[..., None]",
    x=apart(1, 3, 4, 1),
)
for name in ("max_pool3d", "avg_pool3d"):
    add(f"tf.nn.{name}", f"tf.nn.{name}(x, 2, 2, 'VALID')", x=apart(1, 2, 2, 4, 1), dtype="float32")
add("tf.nn.max_pool_with_argmax", "tf.nn.max_pool_with_argmax(x, 2, 2, 'VALID')[0]", x=apart(1, 4, 4, 1))
add("tf.nn.fractional_avg_pool", "tf.nn.fractional_avg_pool(x, (1, 1.5, 1.5, 1), seed=1)[0]", x=normal(1, 4, 4, 1))
add("tf.nn.fractional_max_pool", "tf.nn.fractional_max_pool(x, (1, 1.5, 1.5, 1), seed=1)[0]", x=apart(1, 4, 4, 1))
add("tf.nn.pool, max, dilation", "tf.nn.pool(x, (2, 2), 'MAX', dilations=(2, 2))", x=apart(1, 4, 4, 1))
