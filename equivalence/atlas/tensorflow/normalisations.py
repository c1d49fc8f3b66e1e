"""Normalisations, of Keras and of tf.nn."""

from equivalence.atlas.entry import Entries, between, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

LAYERS = {  # of Keras: (arguments, whether in training, by hand, shape)
    "LayerNormalization": ("epsilon=1e-3", "", "hand.layer_norm(x, eps=1e-3)", (3, 6)),
    "RMSNormalization": ("epsilon=1e-5", "", "hand.rms_norm(x)", (3, 6)),
    "GroupNormalization": (
        "2, epsilon=1e-3",
        "",
        "hand.layer_norm(x.reshape(3, 2, 3), eps=1e-3).reshape(3, 6)",
        (3, 6),
    ),
    "BatchNormalization, training": (
        "epsilon=1e-3",
        ", training=True",
        "hand.layer_norm(x, eps=1e-3, axes=(0,))",
        (4, 3),
    ),
    "BatchNormalization, eval": ("epsilon=1e-3", "", "x / np.sqrt(np.longdouble(1) + 1e-3)", (4, 3)),
    "UnitNormalization": ("", "", "x / np.sqrt((x**2).sum(-1, keepdims=True))", (3, 4)),
}
for name, (arguments, training, hand, shape) in LAYERS.items():
    add(
        f"keras.layers.{name}",
        f"layer(x{training})",
        setup=f"layer = keras.layers.{name.partition(',')[0]}({arguments})",
        hand=hand,
        x=normal(*shape),
    )
MOMENTS = "tf.nn.batch_normalization(x, *tf.nn.moments(x, [1], keepdims=True), None, None, 1e-3)"
add("tf.nn.moments", MOMENTS, hand="hand.layer_norm(x, eps=1e-3)", x=normal(3, 6))
add(
    "tf.nn.moments, variance",
    "tf.nn.moments(x, [1])[1]",
    hand="((x - x.mean(1, keepdims=True)) ** 2).mean(1)",
    x=normal(3, 4),
)
add(
    "tf.nn.weighted_moments",
    "tf.nn.weighted_moments(x, [1], tf.constant([[0.2, 0.3, 0.5]], tf.float64))[1]",
    x=normal(2, 3),
)
add(
    "tf.nn.l2_normalize",
    "tf.nn.l2_normalize(x, 1)",
    hand="x / np.sqrt((x**2).sum(-1, keepdims=True))",
    kinks={"zero": {"x": "np.zeros((1, 2))"}},
    x=normal(3, 4),
)
add(
    "tf.nn.local_response_normalization",
    "tf.nn.local_response_normalization(x, 1)",
    dtype="float32",
    hand="x / np.sqrt(1 + hand.windows(x**2, 3, axis=3, pad=True).sum(-1))",
    x=normal(1, 1, 2, 4),
)
add(
    "tf.nn.batch_normalization",
    "tf.nn.batch_normalization(x, m, v, None, None, 1e-3)",
    hand="(x - m) / np.sqrt(v + 1e-3)",
    x=normal(3, 2),
    m=normal(2),
    v=between(0.5, 2, 2),
)
add(
    "tf.compat.v1.nn.fused_batch_norm, training",
    "tf.compat.v1.nn.fused_batch_norm(x, w, b, epsilon=1e-3, is_training=True)[0]",
    dtype="float32",
    hand="hand.layer_norm(x, w, b, 1e-3, (0, 1, 2))",
    x=normal(2, 2, 2, 2),
    w=between(0.5, 1.5, 2),
    b=normal(2),
)
add(
    "keras.layers.SpectralNormalization",
    "layer(x)",
    setup="layer = keras.layers.SpectralNormalization(keras.layers.Dense(2))",
    x=normal(2, 3),
)
add("keras.ops.normalize", "keras.ops.normalize(x)", hand="x / np.sqrt((x**2).sum(-1, keepdims=True))", x=normal(3, 4))
add(
    "keras.ops.layer_normalization",
    "keras.ops.layer_normalization(x, epsilon=1e-3)",
    hand="hand.layer_norm(x, eps=1e-3)",
    x=normal(3, 6),
)
add(
    "keras.ops.rms_normalization",
    "keras.ops.rms_normalization(x, epsilon=1e-5)",
    hand="hand.rms_norm(x)",
    x=normal(3, 6),
)
