"""Activations, of torch.nn.functional."""

from equivalence.atlas.entry import Entries, apart, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

ZERO = {"zero": {"x": "np.zeros(1)"}}
SMOOTH = {  # name: (call, by hand, layer)
    "F.gelu": ("F.gelu(x)", "", "GELU"),
    "F.gelu, tanh": ("F.gelu(x, approximate='tanh')", "hand.gelu_tanh(x)", ""),
    "F.silu": ("F.silu(x)", "x * hand.sigmoid(x)", "SiLU"),
    "F.mish": ("F.mish(x)", "x * np.tanh(hand.softplus(x))", "Mish"),
    "F.softplus": ("F.softplus(x)", "hand.softplus(x)", "Softplus"),
    "F.softplus, beta": ("F.softplus(x, beta=2)", "hand.softplus(2 * x) / 2", ""),
    "F.logsigmoid": ("F.logsigmoid(x)", "-hand.softplus(-x)", "LogSigmoid"),
    "F.tanhshrink": ("F.tanhshrink(x)", "x - np.tanh(x)", "Tanhshrink"),
    "torch.sigmoid": ("torch.sigmoid(x)", "hand.sigmoid(x)", "Sigmoid"),
    "torch.tanh": ("torch.tanh(x)", "np.tanh(x)", "Tanh"),
}
for name, (call, hand, layer) in SMOOTH.items():
    add(name, call, hand=hand, also=(f"nn.{layer}",) if layer else (), x=normal(5))

KINKED = {  # with a kink at 0 alone
    "F.relu": ("F.relu(x)", "np.maximum(x, 0)", "ReLU"),
    "F.leaky_relu": ("F.leaky_relu(x, 0.1)", "np.where(x > 0, x, x / 10)", "LeakyReLU"),
    "F.rrelu, eval": ("F.rrelu(x, 0.1, 0.3)", "np.where(x > 0, x, x / 5)", "RReLU"),
    "F.elu": ("F.elu(x, alpha=0.5)", "np.where(x > 0, x, np.expm1(x) / 2)", "ELU"),
    "F.selu": (
        "F.selu(x)",
        "1.0507009873554804934193349852946 * np.where(x > 0, x, 1.6732632423543772848170429916717 * np.expm1(x))",
        "SELU",
    ),
    "F.celu": ("F.celu(x, alpha=0.5)", "np.where(x > 0, x, np.expm1(2 * x) / 2)", "CELU"),
    "F.softsign": ("F.softsign(x)", "x / (1 + abs(x))", "Softsign"),
}
for name, (call, hand, layer) in KINKED.items():
    add(name, call, hand=hand, also=(f"nn.{layer}",), kinks=ZERO, x=apart(6))

add(
    "F.prelu",
    "F.prelu(x, w)",
    hand="np.where(x > 0, x, w * x)",
    also=("nn.PReLU",),
    x=apart(2, 3),
    w="np.array([0.1, 0.2, 0.3])",
)
EDGES = {  # name: (call, by hand, layer, where its kinks are)
    "F.relu6": ("F.relu6(4 * x)", "np.clip(4 * x, 0, 6)", "ReLU6", (0, 1.5)),
    "F.hardtanh": ("F.hardtanh(x)", "np.clip(x, -1, 1)", "Hardtanh", (-1, 1)),
    "F.hardsigmoid": ("F.hardsigmoid(3 * x)", "np.clip(x / 2 + 0.5, 0, 1)", "Hardsigmoid", (-1, 1)),
    "F.hardswish": ("F.hardswish(3 * x)", "3 * x * np.clip(x / 2 + 0.5, 0, 1)", "Hardswish", (-1, 1)),
    "F.hardshrink": ("F.hardshrink(x, 0.5)", "np.where(abs(x) > 0.5, x, 0)", "Hardshrink", ()),
    "F.softshrink": (
        "F.softshrink(x, 0.5)",
        "np.sign(x) * np.maximum(abs(x) - 0.5, 0)",
        "Softshrink",
        (-0.5, 0.5),
    ),
    "F.threshold": ("F.threshold(x, 0.5, 0.25)", "np.where(x > 0.5, x, 0.25)", "Threshold", ()),
}
for name, (call, hand, layer, edges) in EDGES.items():
    kinks = {f"{edge:g}": {"x": f"np.array([{edge:g}])"} for edge in edges}
    add(name, call, hand=hand, also=(f"nn.{layer}",), kinks=kinks, x=apart(6))

add("F.glu", "F.glu(x)", hand="x[:, :3] * hand.sigmoid(x[:, 3:])", also=("nn.GLU",), x=normal(2, 6))
add("F.softmax", "F.softmax(x, -1)", hand="hand.softmax(x)", also=("nn.Softmax", "torch.softmax"), x=normal(2, 4))
add("F.softmin", "F.softmin(x, -1)", hand="hand.softmax(-x)", also=("nn.Softmin",), x=normal(2, 4))
add("F.log_softmax", "F.log_softmax(x, -1)", hand="hand.log_softmax(x)", also=("nn.LogSoftmax",), x=normal(2, 4))
add("nn.Softmax2d", "layer(x)", setup="layer = nn.Softmax2d()", hand="hand.softmax(x, 1)", x=normal(1, 3, 2, 2))
