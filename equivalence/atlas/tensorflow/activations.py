"""Activations, of tf.nn and of Keras."""

from equivalence.atlas.entry import Entries, apart, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

ZERO = {"zero": {"x": "np.zeros(1)"}}
SELU = "1.0507009873554804934193349852946 * np.where(x > 0, x, 1.6732632423543772848170429916717 * np.expm1(x))"
SMOOTH = {  # name: (call, by hand)
    "tf.nn.gelu": ("tf.nn.gelu(x)", ""),
    "tf.nn.gelu, tanh": ("tf.nn.gelu(x, approximate=True)", "hand.gelu_tanh(x)"),
    "tf.nn.silu": ("tf.nn.silu(x)", "x * hand.sigmoid(x)"),
    "tf.nn.softplus": ("tf.nn.softplus(x)", "hand.softplus(x)"),
    "tf.nn.sigmoid": ("tf.nn.sigmoid(x)", "hand.sigmoid(x)"),
    "tf.nn.tanh": ("tf.nn.tanh(x)", "np.tanh(x)"),
    "tf.math.log_sigmoid": ("tf.math.log_sigmoid(x)", "-hand.softplus(-x)"),
    "keras.activations.gelu": ("keras.activations.gelu(x)", ""),
    "keras.activations.silu": ("keras.activations.silu(x)", "x * hand.sigmoid(x)"),
    "keras.activations.mish": ("keras.activations.mish(x)", "x * np.tanh(hand.softplus(x))"),
    "keras.activations.tanh_shrink": ("keras.activations.tanh_shrink(x)", "x - np.tanh(x)"),
    "keras.activations.squareplus": ("keras.activations.squareplus(x)", "(x + np.sqrt(x**2 + 4)) / 2"),
    "keras.activations.log_sigmoid": ("keras.activations.log_sigmoid(x)", "-hand.softplus(-x)"),
    "keras.activations.exponential": ("keras.activations.exponential(x)", "np.exp(x)"),
}
for name, (call, hand) in SMOOTH.items():
    add(name, call, hand=hand, x=normal(5))
KINKED = {  # name: (call, by hand)
    "tf.nn.relu": ("tf.nn.relu(x)", "np.maximum(x, 0)"),
    "tf.nn.leaky_relu": ("tf.nn.leaky_relu(x, 0.1)", "np.where(x > 0, x, x / 10)"),
    "tf.nn.elu": ("tf.nn.elu(x)", "np.where(x > 0, x, np.expm1(x))"),
    "tf.nn.selu": ("tf.nn.selu(x)", SELU),
    "tf.nn.softsign": ("tf.nn.softsign(x)", "x / (1 + abs(x))"),
    "tf.nn.crelu": ("tf.nn.crelu(x)", "np.concatenate([np.maximum(x, 0), np.maximum(-x, 0)])"),
    "keras.activations.relu": ("keras.activations.relu(x)", "np.maximum(x, 0)"),
    "keras.activations.leaky_relu": ("keras.activations.leaky_relu(x, 0.1)", "np.where(x > 0, x, x / 10)"),
    "keras.activations.elu": ("keras.activations.elu(x, 0.5)", "np.where(x > 0, x, np.expm1(x) / 2)"),
    "keras.activations.celu": ("keras.activations.celu(x, 0.5)", "np.where(x > 0, x, np.expm1(2 * x) / 2)"),
    "keras.activations.selu": ("keras.activations.selu(x)", SELU),
    "keras.activations.softsign": ("keras.activations.softsign(x)", "x / (1 + abs(x))"),
}
for name, (call, hand) in KINKED.items():
    add(name, call, hand=hand, kinks=ZERO, x=apart(6))
add("keras.layers.PReLU", "layer(x)", setup="layer = keras.layers.PReLU('ones')", hand="x", x=apart(2, 3))
EDGES = {  # name: (call, by hand, where its kinks are)
    "tf.nn.relu6": ("tf.nn.relu6(4 * x)", "np.clip(4 * x, 0, 6)", (0, 1.5)),
    "keras.activations.hard_sigmoid": ("keras.activations.hard_sigmoid(3 * x)", "np.clip(x / 2 + 0.5, 0, 1)", (-1, 1)),
    "keras.activations.hard_silu": (
        "keras.activations.hard_silu(3 * x)",
        "3 * x * np.clip(x / 2 + 0.5, 0, 1)",
        (-1, 1),
    ),
    "keras.activations.hard_tanh": ("keras.activations.hard_tanh(x)", "np.clip(x, -1, 1)", (-1, 1)),
    "keras.activations.hard_shrink": ("keras.activations.hard_shrink(x)", "np.where(abs(x) > 0.5, x, 0)", ()),
    "keras.activations.soft_shrink": (
        "keras.activations.soft_shrink(x)",
        "np.sign(x) * np.maximum(abs(x) - 0.5, 0)",
        (-0.5, 0.5),
    ),
    "keras.activations.sparse_plus": (
        "keras.activations.sparse_plus(x)",
        "np.where(abs(x) < 1, (x + 1) ** 2 / 4, np.maximum(x, 0))",
        (-1, 1),
    ),
    "keras.activations.sparse_sigmoid": ("keras.activations.sparse_sigmoid(x)", "np.clip((x + 1) / 2, 0, 1)", (-1, 1)),
    "keras.activations.threshold": ("keras.activations.threshold(x, 0.5, 0.25)", "np.where(x > 0.5, x, 0.25)", ()),
}
for name, (call, hand, edges) in EDGES.items():
    kinks = {f"{edge:g}": {"x": f"np.array([{edge:g}])"} for edge in edges}
    add(name, call, hand=hand, kinks=kinks, x=apart(6))
add("keras.activations.glu", "keras.activations.glu(x)", hand="x[:, :3] * hand.sigmoid(x[:, 3:])", x=normal(2, 6))
add("keras.activations.sparsemax", "keras.activations.sparsemax(x)", x="np.array([[0.1, 0.5, 0.3, -1.0]])")
add("tf.nn.softmax", "tf.nn.softmax(x)", hand="hand.softmax(x)", also=("keras.layers.Softmax",), x=normal(2, 4))
add("tf.nn.log_softmax", "tf.nn.log_softmax(x)", hand="hand.log_softmax(x)", x=normal(2, 4))
add("keras.activations.softmax", "keras.activations.softmax(x)", hand="hand.softmax(x)", x=normal(2, 4))
add("keras.activations.log_softmax", "keras.activations.log_softmax(x)", hand="hand.log_softmax(x)", x=normal(2, 4))
