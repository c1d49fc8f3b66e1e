"""Models written out one sample at a time with 50 digits: forward passes alone, which share only formulas."""

from types import SimpleNamespace

import mpmath
import numpy as np

from equivalence import bert as bert_parts
from equivalence import oracle
from equivalence.bert import Size

tanh, exp, log, erf = (np.frompyfunc(function, 1, 1) for function in (mpmath.tanh, mpmath.exp, mpmath.log, mpmath.erf))
softplus = np.frompyfunc(lambda x: mpmath.log1p(mpmath.exp(x)), 1, 1)
relu = np.frompyfunc(lambda x: max(x, 0), 1, 1)


def precise(tree):
    """Arrays of floating-point numbers with 50 digits."""
    if isinstance(tree, dict):
        return {name: precise(value) for name, value in tree.items()}
    return np.frompyfunc(mpmath.mpf, 1, 1)(tree)


# The models, one sample at a time.


def quadratic(params, x):
    return np.array([x @ params["A"] @ x / 2 + params["b"] @ x])


def cubic(params, x):
    return quadratic(params, x) + ((params["T"] @ x) @ x) @ x / 6


def linear(params, x):
    return params["weight"] @ x.ravel() + params["bias"]


def network(activation):
    def model(params, x):
        hidden = activation(params["0.weight"] @ x + params["0.bias"])
        return params["1.weight"] @ hidden + params["1.bias"]

    return model


def cnn(params, x):
    features = x[None]
    for layer in ("conv0", "conv1"):
        weight, bias = params[f"{layer}.weight"], params[f"{layer}.bias"]
        height, width = ((size - 3) // 2 + 1 for size in features.shape[1:])
        result = np.empty((len(weight), height, width), object)
        for o, i, j in np.ndindex(result.shape):
            result[o, i, j] = (weight[o] * features[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]).sum() + bias[o]
        features = tanh(result)
    return (params["output.weight"] * features).sum((1, 2, 3)) + params["output.bias"]


def text(params, x, mask):
    length, pooled = len(x), []
    for width in (3, 5):
        weight, bias = params[f"conv{width}.weight"], params[f"conv{width}.bias"]
        total = 0
        for t in range(length):
            reads = [(k, t + k - width // 2) for k in range(width) if 0 <= t + k - width // 2 < length]
            total = total + mask[t] * tanh(sum(weight[:, :, k] @ (x[s] * mask[s]) for k, s in reads) + bias)
        pooled.append(total / mask.sum())
    return params["output.weight"] @ np.concatenate(pooled) + params["output.bias"]


def normed(params, name, x, epsilon="1e-5"):
    mean = x.sum() / len(x)
    deviation = (((x - mean) ** 2).sum() / len(x) + mpmath.mpf(epsilon)) ** mpmath.mpf("0.5")
    return (x - mean) / deviation * params[f"{name}.weight"] + params[f"{name}.bias"]


def attention(params, x, mask):
    """Head by head and position by position."""
    result = np.empty_like(x)
    maps = [
        (params[f"attention.{name}.weight"], params[f"attention.{name}.bias"]) for name in ("query", "key", "value")
    ]
    for t in range(len(x)):
        mixed = []
        for head in range(2):
            query, key, value = ([weight[head] @ row + bias[head] for row in x] for weight, bias in maps)
            share = mask * exp(np.array([query[t] @ k for k in key]) / mpmath.sqrt(len(query[t])))
            mixed.append(share @ np.array(value) / share.sum())
        result[t] = params["attention.output.weight"] @ np.concatenate(mixed) + params["attention.output.bias"]
    return result


def gelu(x):
    cubed = x + mpmath.mpf("0.044715") * x**3
    return x / 2 * (1 + tanh(mpmath.sqrt(2 / mpmath.pi) * cubed))


def transformer(params, x, mask):
    x = x + attention(params, np.array([normed(params, "norm0", row) for row in x]), mask)
    inner = [params["mlp0.weight"] @ normed(params, "norm1", row) + params["mlp0.bias"] for row in x]
    x = x + np.array([params["mlp1.weight"] @ gelu(row) + params["mlp1.bias"] for row in inner])
    return params["output.weight"] @ (mask @ x / mask.sum()) + params["output.bias"]


def rows(params, name, x, activation=lambda row: row):
    """An affine map of each position."""
    return np.array([activation(params[f"{name}.weight"] @ row + params[f"{name}.bias"]) for row in x])


def bert(params, x, mask):
    """One layer, two heads."""
    positions, types = (params[f"embeddings.{name}_embeddings.weight"] for name in ("position", "token_type"))
    norm = lambda name, x: np.array([normed(params, name, row, "1e-12") for row in x])  # noqa: E731
    x, layer = norm("embeddings.LayerNorm", x + positions[: len(x)] + types[0]), "encoder.layer.0"
    projected = [rows(params, f"{layer}.attention.self.{part}", x) for part in ("query", "key", "value")]
    heads = [mixed(*(part[:, columns] for part in projected), mask) for columns in (slice(0, 2), slice(2, 4))]
    attended = rows(params, f"{layer}.attention.output.dense", np.concatenate(heads, axis=1))
    x = norm(f"{layer}.attention.output.LayerNorm", x + attended)
    inner = rows(params, f"{layer}.intermediate.dense", x, lambda row: row * (1 + erf(row / mpmath.sqrt(2))) / 2)
    x = norm(f"{layer}.output.LayerNorm", x + rows(params, f"{layer}.output.dense", inner))
    return rows(params, "classifier", rows(params, "pooler.dense", x[:1], tanh))[0]


def mixed(query, key, value, mask):
    """One head's mean of the values at real positions, for each position."""
    shares = [mask * exp(np.array([q @ k for k in key]) / mpmath.sqrt(len(q))) for q in query]
    return np.array([share @ value / share.sum() for share in shares])


FORWARD = {
    "quadratic": quadratic,
    "cubic": cubic,
    "linear": linear,
    "mlp": network(tanh),
    "softplus_mlp": network(softplus),
    "relu_mlp": network(relu),
    "cnn": cnn,
    "text": text,
    "transformer": transformer,
    "bert": bert,
}


def bert_shapes():
    """Of a layer with two heads of width 2, all parameters but the table of words: x is what comes out of it."""
    size = Size(vocabulary=1, width=4, hidden=3, layers=1, positions=6)
    shapes = bert_parts.shapes(size) | bert_parts.affine("classifier", 2, 4)
    return {name: shape for name, shape in shapes.items() if "word" not in name}


DENSE = {"0.weight": (4, 3), "0.bias": (4,), "1.weight": (3, 4), "1.bias": (3,)}
SHAPES = {
    "quadratic": ((3,), {"A": (3, 3), "b": (3,)}),
    "cubic": ((3,), {"A": (3, 3), "b": (3,), "T": (3, 3, 3)}),
    "linear": ((3, 2), {"weight": (4, 6), "bias": (4,)}),
    "mlp": ((3,), DENSE),
    "softplus_mlp": ((3,), DENSE),
    "relu_mlp": ((3,), DENSE),
    "cnn": (  # one side even: its last row is read by no window
        (8, 7),
        {
            "conv0.weight": (2, 1, 3, 3),
            "conv0.bias": (2,),
            "conv1.weight": (3, 2, 3, 3),
            "conv1.bias": (3,),
            "output.weight": (2, 3, 1, 1),
            "output.bias": (2,),
        },
    ),
    "text": (
        (5, 2),
        {
            "conv3.weight": (3, 2, 3),
            "conv3.bias": (3,),
            "conv5.weight": (3, 2, 5),
            "conv5.bias": (3,),
            "output.weight": (2, 6),
            "output.bias": (2,),
        },
    ),
    "transformer": (
        (5, 4),
        {
            **{f"{name}.{part}": (4,) for name in ("norm0", "norm1") for part in ("weight", "bias")},
            **{f"attention.{name}.weight": (2, 2, 4) for name in ("query", "key", "value")},
            **{f"attention.{name}.bias": (2, 2) for name in ("query", "key", "value")},
            "attention.output.weight": (4, 4),
            "attention.output.bias": (4,),
            "mlp0.weight": (3, 4),
            "mlp0.bias": (3,),
            "mlp1.weight": (4, 3),
            "mlp1.bias": (4,),
            "output.weight": (2, 4),
            "output.bias": (2,),
        },
    ),
    "bert": ((5, 4), bert_shapes()),
}
MASKED, OPTIONS = ("text", "transformer", "bert"), {"bert": {"heads": 2}}
MASK = np.array([[1.0, 1, 1, 1, 1], [1, 1, 1, 0, 0]])


def problem(name):
    """Parameters, x, and the model for the oracle and with 50 digits: f(params, x) and forward(params, x)."""
    rng = np.random.default_rng(0)
    shape, sizes = SHAPES[name]
    params = {key: rng.standard_normal(size) / 1.5 for key, size in sizes.items()}
    masks = (MASK,) if name in MASKED else ()

    def forward(params, x):
        return np.array([FORWARD[name](params, *rows) for rows in zip(x, *masks, strict=True)])

    x = rng.standard_normal((2, *shape))
    f = oracle.Model(name, params, *masks, **OPTIONS.get(name, {}))
    classes = f(x).shape[1]
    return SimpleNamespace(params=params, x=x, f=f, forward=forward, classes=classes, labels=np.array([1, 0]) % classes)


def text_problem():
    """Tokens that repeat within a sample and between samples, and parameters with their table."""
    p = problem("text")
    tokens = np.array([[0, 2, 1, 2, 2], [3, 0, 3, 1, 1]])
    table = np.random.default_rng(8).standard_normal((5, 2))  # the last token does not occur
    return p, tokens, table, {"embedding.weight": table, **p.params}
