"""TensorFlow's own losses, of tf.nn and of Keras: which can be differentiated, and how often."""

from equivalence.atlas.entry import Entries, apart, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

SETUP = (
    "i, y = tf.constant([0, 2, 1, 1]),"
    " tf.constant([[.7, .2, .1], [.1, .1, .8], [.2, .5, .3], [.3, .4, .3]], tf.float64)"
)
SOFT = "np.array([[.7, .2, .1], [.1, .1, .8], [.2, .5, .3], [.3, .4, .3]])"
PICKED = "-hand.log_softmax(x)[np.arange(4), [0, 2, 1, 1]]"
CROSS = f"-(hand.log_softmax(x) * {SOFT}).sum(-1)"
BINARY = f"hand.softplus(x) - x * {SOFT}"
LOSSES = {  # name: (call, by hand)
    "tf.nn.sparse_softmax_cross_entropy_with_logits": (
        "tf.nn.sparse_softmax_cross_entropy_with_logits(i, x)",
        PICKED,
    ),
    "tf.nn.softmax_cross_entropy_with_logits": ("tf.nn.softmax_cross_entropy_with_logits(y, x)", CROSS),
    "tf.nn.softmax_cross_entropy_with_logits, of labels": (
        "tf.nn.softmax_cross_entropy_with_logits(tf.nn.softmax(2 * x), x)",
        "-(hand.log_softmax(x) * hand.softmax(2 * x)).sum(-1)",
    ),
    "tf.nn.sigmoid_cross_entropy_with_logits": ("tf.nn.sigmoid_cross_entropy_with_logits(y, x)", BINARY),
    "tf.nn.weighted_cross_entropy_with_logits": ("tf.nn.weighted_cross_entropy_with_logits(y, x, 2.0)", ""),
    "tf.nn.log_poisson_loss": ("tf.nn.log_poisson_loss(y, x)", f"np.exp(x) - x * {SOFT}"),
    "tf.nn.l2_loss": ("tf.nn.l2_loss(x)", "(x**2).sum() / 2"),
}
K = "keras.losses"
LOSSES |= {
    f"{K}.sparse_categorical_crossentropy, logits": (
        f"{K}.sparse_categorical_crossentropy(i, x, from_logits=True)",
        PICKED,
    ),
    f"{K}.sparse_categorical_crossentropy of softmax": (
        f"{K}.sparse_categorical_crossentropy(i, tf.nn.softmax(x))",
        PICKED,
    ),
    f"{K}.categorical_crossentropy, logits": (f"{K}.categorical_crossentropy(y, x, from_logits=True)", CROSS),
    f"{K}.categorical_crossentropy of softmax": (f"{K}.categorical_crossentropy(y, tf.nn.softmax(x))", CROSS),
    f"{K}.categorical_focal_crossentropy": (
        f"{K}.categorical_focal_crossentropy(y, x, from_logits=True)",
        "",
    ),
    f"{K}.binary_crossentropy, logits": (
        f"{K}.binary_crossentropy(y, x, from_logits=True)",
        f"({BINARY}).mean(-1)",
    ),
    f"{K}.binary_crossentropy of sigmoid": (
        f"{K}.binary_crossentropy(y, tf.nn.sigmoid(x))",
        "",
    ),
    f"{K}.binary_focal_crossentropy": (f"{K}.binary_focal_crossentropy(y, x, from_logits=True)", ""),
    f"{K}.kl_divergence of softmax": (f"{K}.kl_divergence(y, tf.nn.softmax(x))", ""),
    f"{K}.mean_squared_error": (f"{K}.mean_squared_error(y, x)", f"((x - {SOFT}) ** 2).mean(-1)"),
    f"{K}.mean_squared_logarithmic_error": (f"{K}.mean_squared_logarithmic_error(y, x**2)", ""),
    f"{K}.log_cosh": (f"{K}.log_cosh(y, x)", f"np.log(np.cosh(x - {SOFT})).mean(-1)"),
    f"{K}.cosine_similarity": (f"{K}.cosine_similarity(y, x)", ""),
    f"{K}.poisson": (f"{K}.poisson(y, tf.exp(x))", ""),
    f"{K}.dice": (f"{K}.dice(y, tf.nn.sigmoid(x))", ""),
    f"{K}.tversky": (f"{K}.tversky(y, tf.nn.sigmoid(x))", ""),
}
for name, (call, hand) in LOSSES.items():
    add(name, call, setup=SETUP, hand=hand, x=normal(4, 3))
KINKED = {
    f"{K}.huber": f"{K}.huber(0.1 * y, x, 0.7)",
    f"{K}.mean_absolute_error": f"{K}.mean_absolute_error(0.1 * y, x)",
    f"{K}.mean_absolute_percentage_error": f"{K}.mean_absolute_percentage_error(y, 0.01 * x)",
    f"{K}.hinge": f"{K}.hinge(tf.sign(y - 0.25), x)",
    f"{K}.squared_hinge": f"{K}.squared_hinge(tf.sign(y - 0.25), x)",
    f"{K}.categorical_hinge": f"{K}.categorical_hinge(tf.one_hot(i, 3, dtype=tf.float64), x)",
}
for name, call in KINKED.items():
    add(name, call, setup=SETUP, x=apart(4, 3))
add(
    "tf.nn.ctc_loss",
    "tf.nn.ctc_loss(l, x, [2, 2], [5, 5], blank_index=0)",
    setup="l = tf.constant([[1, 2], [2, 1]])",
    dtype="float32",
    x=normal(5, 2, 3),
)
add(
    f"{K}.ctc",
    f"{K}.ctc(tf.constant([[1, 2], [2, 1]]), x)",
    x=normal(2, 5, 3),
)
