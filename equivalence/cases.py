"""Problems as NumPy data: a model, its parameters, a batch, and the random arrays that methods take as arguments.

Every number is representable in float32, so that both precisions solve the same problem.
"""

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from equivalence import bert as berts
from equivalence import datasets

Params = dict[str, np.ndarray]
TABLES = ("embedding.weight", "embeddings.word_embeddings.weight")  # names of embeddings


@dataclass(frozen=True)
class Case:
    """One problem. `x` is the batch, or `tokens` and `mask` are where the model starts with an embedding."""

    name: str
    title: str
    model: str  # a function of impls.<framework>.models
    loss: str  # "cross_entropy", or "value" where the model's one output is the loss
    params: Params
    labels: np.ndarray  # (B,)
    x: np.ndarray | None = None  # (B, *S)
    tokens: np.ndarray | None = None  # (B, T)
    mask: np.ndarray | None = None  # (B, T)
    options: dict[str, Any] = field(default_factory=dict)  # of the model
    directions: np.ndarray | None = None  # (m, *S): where n is large, claims about all directions use these
    extra: Params = field(default_factory=dict)  # noise, probes, start, ...: arguments of the methods

    @property
    def batch(self) -> int:
        return len(self.labels)

    @property
    def bounds(self) -> tuple[float, float]:
        """A box that holds every input, some of them on its edge, for methods that stay in one."""
        x = self.params[str(self.table)] if self.x is None else self.x
        return float(np.floor(x.min())), float(np.ceil(x.max()))

    @property
    def table(self) -> str | None:
        """The parameter that stands for an embedding's table: its name, or the first matrix there is."""
        matrices = [name for name, value in sorted(self.params.items()) if value.ndim == 2]
        return next((name for name in (*TABLES, *matrices) if name in self.params), None)

    def rounded(self, dtype: str) -> "Case":
        """The case with numbers that the dtype holds, so that no result is off by their rounding."""

        def all_of(arrays: Params) -> Params:
            return {name: rounded(array, dtype) for name, array in arrays.items()}

        x = None if self.x is None else rounded(self.x, dtype)
        return replace(self, params=all_of(self.params), x=x, extra=all_of(self.extra))

    def tiled(self, copies: int) -> "Case":
        """The batch repeated, so that one call evaluates a per-sample method with many arguments a sample."""

        def repeat(array: np.ndarray | None) -> np.ndarray | None:
            return None if array is None else np.concatenate([array] * copies)

        return replace(
            self,
            x=repeat(self.x),
            tokens=repeat(self.tokens),
            mask=repeat(self.mask),
            labels=np.concatenate([self.labels] * copies),
        )


REGISTRY: dict[str, Callable[[], Case]] = {}


def register(build: Callable[[], Case]) -> Callable[[], Case]:
    built = functools.cache(build)
    REGISTRY[build.__name__.replace("_", "-")] = built
    return built


def build(names: list[str]) -> dict[str, Case]:
    return {name: REGISTRY[name]() for name in names}


def rounded(array: np.ndarray, dtype: str) -> np.ndarray:
    """float64 numbers that the dtype holds: the nearest ones, of ties the even one."""
    if dtype != "bfloat16":  # which NumPy lacks: float32's range with 8 bits of a fraction
        return np.asarray(array, dtype).astype(np.float64)
    fraction, exponent = np.frexp(array)
    return np.ldexp(np.rint(np.ldexp(fraction, 8)), exponent - 8)


def float32_exact(array: np.ndarray) -> np.ndarray:
    """float64 numbers that float32 holds without rounding."""
    return np.asarray(array, np.float32).astype(np.float64)


def with_arguments(case: Case, shape: tuple[int, ...], classes: int, seed: int, draws: int = 2) -> Case:
    """Add the arrays that methods take: noise (draws, B, *S), probes, a start, soft labels, ..., most standard normal.

    For the parameters: "noise NAME" (draws, *shape), for matrices and kernels "u NAME", the start of a power iteration.
    """
    rng = np.random.default_rng(seed)
    extra = arguments(rng, case, shape, classes, draws)
    for name, value in sorted(case.params.items()):
        extra[f"noise {name}"] = 0.05 * rng.standard_normal((draws, *value.shape))
        if value.ndim > 1:
            extra[f"u {name}"] = rng.standard_normal(len(value))
    if case.table:
        extra["frequencies"] = rng.uniform(0.5, 2, len(case.params[case.table]))
    if len(shape) == 2:
        extra["padding"] = (
            (np.arange(shape[0]) < shape[0] - 2) * np.ones((case.batch, 1)) if case.mask is None else case.mask
        )
    return replace(case, extra={name: float32_exact(array) for name, array in extra.items()})


def arguments(rng: np.random.Generator, case: Case, shape: tuple[int, ...], classes: int, draws: int = 2) -> Params:
    """What methods take beside a batch: of its shape, or (B, C)."""
    batch = (case.batch, *shape)
    return {
        "noise": 0.1 * rng.standard_normal((draws, *batch)),
        "probes": rng.choice([-1.0, 1.0], (draws, *batch)),
        "class_probes": rng.choice([-1.0, 1.0], (draws, case.batch, classes)),
        "class_weights": rng.uniform(0.5, 2, (case.batch, classes)),
        "targets": rng.standard_normal((case.batch, classes)),
        "soft_labels": rng.dirichlet(np.ones(classes), case.batch),
        "vector": rng.standard_normal(batch),
        "start": rng.standard_normal(batch),
        "masks": rng.choice([0.0, 2.0], (draws, *batch)),  # inverted dropout of rate ½
        "mix": rng.uniform(size=case.batch),
    }


@register
def cubic() -> Case:
    """A Taylor series that ends: what a theorem says to third order holds exactly."""
    rng = np.random.default_rng(17)
    n, batch = 3, 3
    a, t = rng.standard_normal((n, n)), rng.standard_normal((n, n, n))
    symmetric = np.mean([t.transpose(axes) for axes in itertools.permutations(range(3))], axis=0)
    case = Case(
        name="cubic",
        title="cubic of 3 inputs",
        model="cubic",
        loss="value",
        params={
            "A": float32_exact(a + a.T),
            "b": float32_exact(rng.standard_normal(n)),
            "T": float32_exact(2 * symmetric),
        },
        labels=np.zeros(batch, np.int32),
        x=float32_exact(rng.standard_normal((batch, n))),
    )
    return with_arguments(case, (n,), 1, seed=18)


def quadratic_with(name: str, title: str, spectrum: list[float]) -> Case:
    """½ xᵀAx + bᵀx with A of the given spectrum in a random basis."""
    rng = np.random.default_rng(1)
    n, batch = len(spectrum), 3
    basis = np.linalg.qr(rng.standard_normal((n, n)))[0]
    a = float32_exact(basis @ np.diag(spectrum) @ basis.T)
    case = Case(
        name=name,
        title=title,
        model="quadratic",
        loss="value",
        params={"A": (a + a.T) / 2, "b": float32_exact(rng.standard_normal(n))},
        labels=np.zeros(batch, np.int32),
        x=float32_exact(rng.standard_normal((batch, n))),
    )
    return with_arguments(case, (n,), 1, seed=2)


@register
def quadratic() -> Case:
    return quadratic_with("quadratic", "quadratic, spectrum 4, 2, 1, -½", [4, 2, 1, -0.5])


@register
def quadratic_negative() -> Case:
    return quadratic_with("quadratic-negative", "quadratic, spectrum -4, 2, 1, ½", [-4, 2, 1, 0.5])


@register
def quadratic_tied() -> Case:
    return quadratic_with("quadratic-tied", "quadratic, spectrum 3, 3, 1, ½", [3, 3, 1, 0.5])


def dense_params(rng: np.random.Generator, sizes: list[int], gain: float = 1.0) -> Params:
    params = {}
    for layer, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        params[f"{layer}.weight"] = float32_exact(gain * rng.standard_normal((outputs, inputs)) / inputs**0.5)
        params[f"{layer}.bias"] = float32_exact(0.1 * rng.standard_normal(outputs))
    return params


def linear_with(name: str, title: str, sizes: tuple[int, int], labels: list[int], seed: int) -> Case:
    rng, (inputs, classes) = np.random.default_rng(seed), sizes
    layer = dense_params(rng, [inputs, classes], gain=2.0)
    case = Case(
        name=name,
        title=title,
        model="linear",
        loss="cross_entropy",
        params={"weight": layer["0.weight"], "bias": layer["0.bias"]},
        labels=np.array(labels, np.int32),
        x=float32_exact(rng.standard_normal((len(labels), inputs))),
    )
    return with_arguments(case, (inputs,), classes, seed + 1)


@register
def softmax() -> Case:
    return linear_with("softmax", "softmax regression, 4 inputs, 3 classes", (4, 3), [0, 1, 2, 1], seed=3)


@register
def logistic() -> Case:
    """Of two classes only w = W₁ - W₀ and b₁ - b₀ matter: the loss is softplus(∓(w·x + b)), closed forms hold."""
    return linear_with("logistic", "logistic regression, 5 inputs", (5, 2), [0, 1, 1, 0], seed=19)


def network_with(name: str, title: str, model: str, sizes: list[int], seed: int) -> Case:
    rng = np.random.default_rng(seed)
    case = Case(
        name=name,
        title=title,
        model=model,
        loss="cross_entropy",
        params=dense_params(rng, sizes, gain=1.5),
        labels=np.array([0, 1, 2, 1], np.int32),
        x=float32_exact(rng.standard_normal((4, sizes[0]))),
    )
    return with_arguments(case, (sizes[0],), sizes[-1], seed + 1)


@register
def tanh_mlp() -> Case:
    return network_with("tanh-mlp", "tanh network 4-8-8-3", "mlp", [4, 8, 8, 3], seed=5)


def changed(name: str, title: str, params: Params, x: np.ndarray | None = None) -> Case:
    """The tanh network with other numbers: the same shapes, bounds and arguments, so that one compilation serves."""
    case = tanh_mlp()
    params = case.params | {name: float32_exact(array) for name, array in params.items()}
    return replace(case, name=name, title=f"tanh network 4-8-8-3, {title}", params=params, x=case.x if x is None else x)


@register
def tiny_gradients() -> Case:
    """An output layer of 1e-30: so are gradients and curvature in x, normal numbers of float32 though no square is.

    In float32 a square is 0: ‖g‖², ‖J‖². Its gradient in the output layer is of 1e-30 again, and a norm's of 1. Outputs
    do not change with x in either precision: every divergence is 0, and so are directions made of finite differences.
    """
    return changed("tiny-gradients", "gradients of 1e-30", {"2.weight": 2.0**-100 * tanh_mlp().params["2.weight"]})


@register
def saturated() -> Case:
    """Logits of ±55: sample 0 is certain and right, 2 and 3 are certain and wrong; 1 wavers, so that entropy is not 0.

    One of the wrong ones gives its class e^-110, which is 0 in float32: its loss is not the logarithm of that. The
    right one stays so wherever a method moves it, and its probability rounds to 1 in either precision. Where only
    float32 rounds it so, p - 1 is a rounding error there, and so is a direction that comes through a softmax.
    """
    params, hidden = tanh_mlp().params, np.array(tanh_mlp().x)
    for layer in (0, 1):
        hidden = np.tanh(hidden @ params[f"{layer}.weight"].T + params[f"{layer}.bias"])
    nearer = np.linalg.lstsq(hidden, np.outer([0, 1, 0, 0], [-25, 25, 0]), rcond=None)[0].T
    return changed(
        "saturated", "logits of ±55", {"2.weight": params["2.weight"] + nearer, "2.bias": np.array([55, 0, -55])}
    )


@register
def zero_gradient() -> Case:
    """One sample of four saturates every tanh, so that its gradients are exactly 0 in either precision.

    The last input decides: it is -2 for three samples, whose hidden units are moderate, and 2 for the other one.
    """
    params, x = tanh_mlp().params, np.array(tanh_mlp().x)
    signs = np.random.default_rng(29).choice([-1.0, 1.0], 8)
    weight, bias = params["0.weight"].copy(), params["0.bias"]
    weight[:, 3], x[:, 3] = 7 * signs, [-2, -2, -2, 2]
    return changed("zero-gradient", "one zero gradient", {"0.weight": weight, "0.bias": bias + 14 * signs}, x=x)


@register
def ill_conditioned() -> Case:
    """A first layer with singular values from 1 to 1e-4: gradients in x that hardly have some components."""
    left, _, right = np.linalg.svd(tanh_mlp().params["0.weight"], full_matrices=False)
    weight = left @ np.diag(np.logspace(0, -4, 4)) @ right
    return changed("ill-conditioned", "first layer ill-conditioned", {"0.weight": weight})


@register
def softplus_mlp() -> Case:
    return network_with("softplus-mlp", "softplus network 4-6-3", "softplus_mlp", [4, 6, 3], seed=21)


@register
def relu_mlp() -> Case:
    """Every sample lies on a kink: unit 0 of the first layer is fed exactly 0, all others are well away from it.

    A loss that is not smooth where a theorem needs it to be: its order drops here. Numbers of few digits in unit 0 make
    each product and sum exact, in every order of addition and either precision.
    """
    case = network_with("relu-mlp", "ReLU network 4-8-3, samples on a kink", "relu_mlp", [4, 8, 3], seed=23)
    weight, bias = case.params["0.weight"], case.params["0.bias"]
    weight[0], bias[0] = [1, -0.5, 0.5, 1], 0.25
    x = np.rint(8 * np.random.default_rng(25).standard_normal((256, 4))) / 8
    x[:, 0] -= x @ weight[0] + bias[0]
    furthest = np.abs(x @ weight[1:].T + bias[1:]).min(1).argsort()[-case.batch :]
    return replace(case, x=x[furthest])


@register
def one_sample() -> Case:
    """The smallest batch there is, with inputs of four dimensions."""
    rng = np.random.default_rng(13)
    case = Case(
        name="one-sample",
        title="a batch of one, inputs 2 x 1 x 3 x 2, 2 classes, tanh network",
        model="mlp",
        loss="cross_entropy",
        params=dense_params(rng, [12, 5, 2], gain=1.5),
        labels=np.array([1], np.int32),
        x=float32_exact(rng.standard_normal((1, 2, 1, 3, 2))),
    )
    return with_arguments(case, (2, 1, 3, 2), 2, seed=14)


@register
def flat_sample() -> Case:
    """One sample of seven saturates every tanh: its gradients are exactly 0, and must disturb no other's."""
    rng = np.random.default_rng(15)
    params, x = dense_params(rng, [12, 8, 10]), float32_exact(rng.standard_normal((7, 2, 3, 2)))
    corners = rng.choice([-1.0, 1.0], (64, 12))
    furthest = np.abs(corners @ params["0.weight"].T).min(1).argmax()  # no unit is left near 0
    x[3] = 256 * corners[furthest].reshape(2, 3, 2)
    case = Case(
        name="flat-sample",
        title="a batch of seven, one with zero gradient, inputs 2 x 3 x 2, 10 classes, tanh network",
        model="mlp",
        loss="cross_entropy",
        params=params,
        labels=np.array([0, 1, 2, 3, 7, 8, 9], np.int32),
        x=x,
    )
    return with_arguments(case, (2, 3, 2), 10, seed=16)


def image_directions(rng: np.random.Generator, shape: tuple[int, ...], length: float) -> np.ndarray:
    """Three random orthogonal directions of the given length, (3, *S)."""
    basis = np.linalg.qr(rng.standard_normal((int(np.prod(shape)), 3)))[0]
    return float32_exact(length * basis.T.reshape(3, *shape))


def digits_case(name: str, title: str, model: str, params: Params, batch: int) -> Case:
    images, labels = datasets.digits()
    case = Case(
        name=name,
        title=title,
        model=model,
        loss="cross_entropy",
        params=params,
        labels=labels[:batch],
        x=images[:batch].astype(np.float64),
        directions=image_directions(np.random.default_rng(8), (28, 28), 8.0),
    )
    return with_arguments(case, (28, 28), 10, seed=9)


def cnn_params(rng: np.random.Generator, channels: tuple[int, int]) -> Params:
    first, second = channels
    sizes = {
        "conv0.weight": ((first, 1, 3, 3), 9),
        "conv1.weight": ((second, first, 3, 3), 9 * first),
        "output.weight": ((10, second, 6, 6), 36 * second),
    }
    params = {name: rng.standard_normal(shape) / fan_in**0.5 for name, (shape, fan_in) in sizes.items()}
    params |= {"conv0.bias": np.zeros(first), "conv1.bias": np.zeros(second), "output.bias": np.zeros(10)}
    return {name: float32_exact(array) for name, array in params.items()}


@register
def digits_mlp() -> Case:
    params = dense_params(np.random.default_rng(7), [784, 32, 32, 10], gain=1.5)
    return digits_case("digits-mlp", "4 real digits, tanh network 784-32-32-10", "mlp", params, 4)


@register
def digits_cnn() -> Case:
    params = cnn_params(np.random.default_rng(10), (4, 8))
    return digits_case("digits-cnn", "4 real digits, two tanh convolutions", "cnn", params, 4)


def text_params(rng: np.random.Generator, vocabulary: int, width: int, channels: int) -> Params:
    sizes = {
        "embedding.weight": ((vocabulary, width), 1),
        "conv3.weight": ((channels, width, 3), 3 * width),
        "conv5.weight": ((channels, width, 5), 5 * width),
        "output.weight": ((2, 2 * channels), 2 * channels),
    }
    params = {name: rng.standard_normal(shape) / fan_in**0.5 for name, (shape, fan_in) in sizes.items()}
    params |= {"conv3.bias": np.zeros(channels), "conv5.bias": np.zeros(channels), "output.bias": np.zeros(2)}
    return {name: float32_exact(array) for name, array in params.items()}


@register
def reviews_text() -> Case:
    """Four real reviews. The table holds only their characters: the others would get no gradient."""
    tokens, labels = datasets.reviews().train_tokens[:4, :24], datasets.reviews().train_labels[:4]
    mask = (tokens != datasets.PADDING).astype(np.float64)
    known, numbers = np.unique(tokens, return_inverse=True)
    rng = np.random.default_rng(11)
    case = Case(
        name="reviews-text",
        title="4 real Chinese reviews, embedding and convolutions of width 3 and 5",
        model="text",
        loss="cross_entropy",
        params=text_params(rng, len(known), 8, 8),
        labels=labels,
        tokens=numbers.reshape(tokens.shape).astype(np.int32),
        mask=mask,
        directions=image_directions(rng, (24, 8), 4.0),
    )
    return with_arguments(case, (24, 8), 2, seed=12)


def transformer_params(rng: np.random.Generator, vocabulary: int, width: int, heads: int, hidden: int) -> Params:
    outputs: dict[str, tuple[int, ...]] = {
        f"attention.{name}": (heads, width // heads) for name in ("query", "key", "value")
    }
    outputs |= {"attention.output": (width,), "mlp0": (hidden,), "mlp1": (width,), "output": (3,)}
    params = {"embedding.weight": rng.standard_normal((vocabulary, width))}
    for name, shape in outputs.items():
        inputs = hidden if name == "mlp1" else width
        params[f"{name}.weight"] = rng.standard_normal((*shape, inputs)) / inputs**0.5
        params[f"{name}.bias"] = 0.1 * rng.standard_normal(shape)
    for name in ("norm0", "norm1"):
        params |= {f"{name}.weight": rng.uniform(0.5, 1.5, width), f"{name}.bias": 0.1 * rng.standard_normal(width)}
    return {name: float32_exact(array) for name, array in params.items()}


@register
def transformer() -> Case:
    """Tokens occur more than once, within a sample and in several; two samples end with padding."""
    rng = np.random.default_rng(27)
    tokens = np.array([[1, 2, 1, 3, 4, 2], [3, 3, 1, 2, 0, 0], [4, 2, 2, 4, 1, 0]], np.int32)
    case = Case(
        name="transformer",
        title="3 short texts, embedding and a pre-norm encoder block of two heads",
        model="transformer",
        loss="cross_entropy",
        params=transformer_params(rng, vocabulary=5, width=4, heads=2, hidden=6),
        labels=np.array([0, 2, 1], np.int32),
        tokens=tokens,
        mask=(tokens != 0).astype(np.float64),
        directions=image_directions(rng, (6, 4), 1.0),
    )
    return with_arguments(case, (6, 4), 3, seed=28)


def bert_params(rng: np.random.Generator, size: berts.Size, classes: int) -> Params:
    params = berts.draw_parameters(rng, berts.shapes(size) | berts.affine("classifier", classes, size.width))
    return {name: float32_exact(array) for name, array in params.items()}


@register
def bert() -> Case:
    """Tokens are as for the transformer: some repeat, within a sample and in several, and there is padding."""
    case, size = transformer(), berts.Size(vocabulary=5, width=8, hidden=12, layers=2, positions=7)
    fresh = Case(
        name="bert",
        title="3 short texts, BERT of 2 layers, width 8, 2 heads",
        model="bert",
        loss="cross_entropy",
        params=bert_params(np.random.default_rng(30), size, classes=3),
        labels=case.labels,
        tokens=case.tokens,
        mask=case.mask,
        options={"heads": 2},
        directions=image_directions(np.random.default_rng(31), (6, 8), 1.0),
    )
    return with_arguments(fresh, (6, 8), 3, seed=32)
