"""Activations, of jax.nn."""

from equivalence.atlas.entry import Entries, apart, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

ZERO = {"zero": {"x": "np.zeros(1)"}}
SMOOTH = {  # name: (call, by hand)
    "jax.nn.gelu, tanh": ("nn.gelu(x)", "hand.gelu_tanh(x)"),
    "jax.nn.gelu": ("nn.gelu(x, approximate=False)", ""),
    "jax.nn.silu": ("nn.silu(x)", "x * hand.sigmoid(x)"),
    "jax.nn.swish": ("nn.swish(x)", "x * hand.sigmoid(x)"),
    "jax.nn.mish": ("nn.mish(x)", "x * np.tanh(hand.softplus(x))"),
    "jax.nn.softplus": ("nn.softplus(x)", "hand.softplus(x)"),
    "jax.nn.log_sigmoid": ("nn.log_sigmoid(x)", "-hand.softplus(-x)"),
    "jax.nn.sigmoid": ("nn.sigmoid(x)", "hand.sigmoid(x)"),
    "jax.nn.tanh": ("nn.tanh(x)", "np.tanh(x)"),
    "jax.nn.log_softmax": ("nn.log_softmax(x)", "hand.log_softmax(x)"),
    "jax.nn.softmax": ("nn.softmax(x)", "hand.softmax(x)"),
}
for name, (call, hand) in SMOOTH.items():
    add(name, call, hand=hand, x=normal(5))
KINKED = {  # name: (call, by hand)
    "jax.nn.relu": ("nn.relu(x)", "np.maximum(x, 0)"),
    "jax.nn.leaky_relu": ("nn.leaky_relu(x, 0.1)", "np.where(x > 0, x, x / 10)"),
    "jax.nn.elu": ("nn.elu(x, 0.5)", "np.where(x > 0, x, np.expm1(x) / 2)"),
    "jax.nn.celu": ("nn.celu(x, 0.5)", "np.where(x > 0, x, np.expm1(2 * x) / 2)"),
    "jax.nn.selu": (
        "nn.selu(x)",
        "1.0507009873554804934193349852946 * np.where(x > 0, x, 1.6732632423543772848170429916717 * np.expm1(x))",
    ),
    "jax.nn.soft_sign": ("nn.soft_sign(x)", "x / (1 + abs(x))"),
    "jax.nn.squareplus": ("nn.squareplus(x)", "(x + np.sqrt(x**2 + 4)) / 2"),
}
for name, (call, hand) in KINKED.items():
    add(name, call, hand=hand, kinks=ZERO, x=apart(6))
EDGES = {  # name: (call, by hand, where its kinks are)
    "jax.nn.relu6": ("nn.relu6(4 * x)", "np.clip(4 * x, 0, 6)", (0, 1.5)),
    "jax.nn.hard_tanh": ("nn.hard_tanh(x)", "np.clip(x, -1, 1)", (-1, 1)),
    "jax.nn.hard_sigmoid": ("nn.hard_sigmoid(3 * x)", "np.clip(x / 2 + 0.5, 0, 1)", (-1, 1)),
    "jax.nn.hard_silu": ("nn.hard_silu(3 * x)", "3 * x * np.clip(x / 2 + 0.5, 0, 1)", (-1, 1)),
    "jax.nn.sparse_plus": ("nn.sparse_plus(x)", "np.where(abs(x) < 1, (x + 1) ** 2 / 4, np.maximum(x, 0))", (-1, 1)),
    "jax.nn.sparse_sigmoid": ("nn.sparse_sigmoid(x)", "np.clip((x + 1) / 2, 0, 1)", (-1, 1)),
}
for name, (call, hand, edges) in EDGES.items():
    kinks = {f"{edge:g}": {"x": f"np.array([{edge:g}])"} for edge in edges}
    add(name, call, hand=hand, kinks=kinks, x=apart(6))
add("jax.nn.glu", "nn.glu(x)", hand="x[:, :3] * hand.sigmoid(x[:, 3:])", x=normal(2, 6))
add("jax.nn.logsumexp", "nn.logsumexp(x, -1)", hand="hand.logsumexp(x)", x=normal(2, 3))
add("jax.nn.log1mexp", "nn.log1mexp(x)", hand="np.log(1 - np.exp(-x))", x="rng.uniform(0.3, 2, size=4)")
add("jax.nn.softmax, where", "nn.softmax(x, where=jnp.array([True, True, False, True]))", x=normal(4))
add(
    "jax.nn.sqrt of relu",
    "jnp.sqrt(nn.relu(x))",
    hand="np.sqrt(np.maximum(x, 0))",
    kinks=ZERO,
    x="rng.uniform(0.5, 2, size=4)",
)
