"""The models and their gradients, derived by hand.

Analytic in x and the parameters: both may be complex, nothing is conjugated (`relu_mlp` is so away from its kinks).
Each `_vjp` returns (x_bar, params_bar), the gradient of Σ cotangent·outputs.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from equivalence.oracle.bert import bert as bert  # a model has its name here, as it has in the frameworks
from equivalence.oracle.bert import bert_vjp as bert_vjp
from equivalence.oracle.layers import Params, Pulled, affine, affine_vjp, attend, attend_vjp, gelu, norm, norm_vjp, pool


def quadratic(params: Params, x: np.ndarray) -> np.ndarray:
    return (0.5 * np.einsum("bi,ij,bj->b", x, params["A"], x) + x @ params["b"])[:, None]  # (B, 1)


def quadratic_vjp(params: Params, x: np.ndarray, cotangent: np.ndarray) -> Pulled:
    a = params["A"]
    x_bar = cotangent * (x @ (a + a.T) / 2 + params["b"])
    return x_bar, {"A": 0.5 * np.einsum("b,bi,bj->ij", cotangent[:, 0], x, x), "b": cotangent[:, 0] @ x}


def cubic(params: Params, x: np.ndarray) -> np.ndarray:
    return quadratic(params, x) + np.einsum("ijk,bi,bj,bk->b", params["T"], x, x, x)[:, None] / 6  # (B, 1)


def cubic_vjp(params: Params, x: np.ndarray, cotangent: np.ndarray) -> Pulled:
    t = params["T"]
    x_bar, params_bar = quadratic_vjp(params, x, cotangent)
    x_bar = x_bar + cotangent / 6 * sum(
        np.einsum("ijk,bj,bk->bi", turned, x, x) for turned in (t, t.transpose(1, 2, 0), t.transpose(2, 0, 1))
    )
    return x_bar, params_bar | {"T": np.einsum("b,bi,bj,bk->ijk", cotangent[:, 0], x, x, x) / 6}


def linear(params: Params, x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1) @ params["weight"].T + params["bias"]  # (B, C)


def linear_vjp(params: Params, x: np.ndarray, cotangent: np.ndarray) -> Pulled:
    x_bar = (cotangent @ params["weight"]).reshape(x.shape)
    return x_bar, {"weight": cotangent.T @ x.reshape(len(x), -1), "bias": cotangent.sum(0)}


class Activation(NamedTuple):
    """A function, and its derivative by the function's own value."""

    function: Callable[[np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray], np.ndarray]


def _softplus(x: np.ndarray) -> np.ndarray:
    """log(1 + eˣ); the exponent's real part is never positive, so that nothing overflows."""
    return _relu(x) + np.log1p(np.exp(np.where(x.real > 0, -x, x)))


def _relu(x: np.ndarray) -> np.ndarray:
    return np.where(x.real > 0, x, 0)


TANH = Activation(np.tanh, lambda y: 1 - y**2)
SOFTPLUS = Activation(_softplus, lambda y: -np.expm1(-y))
RELU = Activation(_relu, lambda y: (y.real > 0).astype(float))


def mlp(params: Params, x: np.ndarray) -> np.ndarray:
    return _layers(params, x, TANH)[-1]


def softplus_mlp(params: Params, x: np.ndarray) -> np.ndarray:
    return _layers(params, x, SOFTPLUS)[-1]


def relu_mlp(params: Params, x: np.ndarray) -> np.ndarray:
    return _layers(params, x, RELU)[-1]


def _layers(params: Params, x: np.ndarray, activation: Activation) -> list[np.ndarray]:
    """Input, activations and outputs of each layer."""
    values, last = [x.reshape(len(x), -1)], len(params) // 2 - 1
    for layer in range(last + 1):
        affine = values[-1] @ params[f"{layer}.weight"].T + params[f"{layer}.bias"]
        values.append(affine if layer == last else activation.function(affine))
    return values


def mlp_vjp(params: Params, x: np.ndarray, cotangent: np.ndarray) -> Pulled:
    return _layers_vjp(params, x, cotangent, TANH)


def softplus_mlp_vjp(params: Params, x: np.ndarray, cotangent: np.ndarray) -> Pulled:
    return _layers_vjp(params, x, cotangent, SOFTPLUS)


def relu_mlp_vjp(params: Params, x: np.ndarray, cotangent: np.ndarray) -> Pulled:
    return _layers_vjp(params, x, cotangent, RELU)


def _layers_vjp(params: Params, x: np.ndarray, cotangent: np.ndarray, activation: Activation) -> Pulled:
    values, params_bar = _layers(params, x, activation), {}
    for layer in range(len(values) - 2, -1, -1):
        params_bar[f"{layer}.weight"] = cotangent.T @ values[layer]
        params_bar[f"{layer}.bias"] = cotangent.sum(0)
        cotangent = cotangent @ params[f"{layer}.weight"]
        if layer > 0:
            cotangent = cotangent * activation.slope(values[layer])
    return cotangent.reshape(x.shape), params_bar


def cnn(params: Params, x: np.ndarray) -> np.ndarray:
    features = _convolved(params, x)[-1]
    return np.tensordot(features, params["output.weight"], ((1, 2, 3), (1, 2, 3))) + params["output.bias"]  # (B, C)


def _convolved(params: Params, x: np.ndarray) -> list[np.ndarray]:
    values = [x[:, None]]  # (B, 1, H, W)
    for layer in ("conv0", "conv1"):
        values.append(np.tanh(_conv(values[-1], params[f"{layer}.weight"]) + params[f"{layer}.bias"][:, None, None]))
    return values


def cnn_vjp(params: Params, x: np.ndarray, cotangent: np.ndarray) -> Pulled:
    values = _convolved(params, x)
    params_bar = {"output.weight": np.tensordot(cotangent, values[2], ((0,), (0,))), "output.bias": cotangent.sum(0)}
    bar = np.tensordot(cotangent, params["output.weight"], 1)
    for layer in (1, 0):
        bar = bar * (1 - values[layer + 1] ** 2)
        params_bar[f"conv{layer}.bias"] = bar.sum((0, 2, 3))
        bar, params_bar[f"conv{layer}.weight"] = _conv_vjp(values[layer], params[f"conv{layer}.weight"], bar)
    return bar[:, 0], params_bar


def _windows(x: np.ndarray) -> np.ndarray:
    """What a 3 x 3 kernel of stride 2 sees, a view: (B, C, H, W) -> (B, C, h, w, 3, 3)."""
    return sliding_window_view(x, (3, 3), axis=(2, 3))[:, :, ::2, ::2]


def _conv(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return np.moveaxis(np.tensordot(_windows(x), kernel, ((1, 4, 5), (1, 2, 3))), 3, 1)  # (B, O, h, w)


def _conv_vjp(x: np.ndarray, kernel: np.ndarray, cotangent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    kernel_bar = np.tensordot(cotangent, _windows(x), ((0, 2, 3), (0, 2, 3)))  # (O, C, 3, 3)
    windows_bar = np.tensordot(cotangent, kernel, ((1,), (0,)))  # (B, h, w, C, 3, 3)
    x_bar = np.zeros(x.shape, windows_bar.dtype)
    height, width = cotangent.shape[2:]
    for i, j in np.ndindex(3, 3):  # windows overlap: a pixel gets the sum of what all of them pass back
        x_bar[:, :, i : i + 2 * height : 2, j : j + 2 * width : 2] += np.moveaxis(windows_bar[..., i, j], 3, 1)
    return x_bar, kernel_bar


def embed(table: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    return table[tokens]  # (B, T, D)


def embed_vjp(table: np.ndarray, tokens: np.ndarray, x_bar: np.ndarray) -> np.ndarray:
    """The table's gradient: the sum over the positions of each token."""
    table_bar = np.zeros(table.shape, x_bar.dtype)
    np.add.at(table_bar, tokens, x_bar)
    return table_bar


def text(params: Params, x: np.ndarray, mask: np.ndarray) -> np.ndarray:
    pooled = [pool(hidden, mask) for hidden in _characters(params, x, mask).values()]
    return np.concatenate(pooled, 1) @ params["output.weight"].T + params["output.bias"]  # (B, C)


def _characters(params: Params, x: np.ndarray, mask: np.ndarray) -> dict[int, np.ndarray]:
    """Activations (B, T, O) of the convolution of each width."""
    hidden, length = {}, x.shape[1]
    for width in (3, 5):
        padded = _padded(x, mask, width)
        kernel = params[f"conv{width}.weight"]  # (O, D, width)
        affine = sum(padded[:, k : k + length] @ kernel[:, :, k].T for k in range(width))
        hidden[width] = np.tanh(affine + params[f"conv{width}.bias"])
    return hidden


def _padded(x: np.ndarray, mask: np.ndarray, width: int) -> np.ndarray:
    return np.pad(x * mask[:, :, None], ((0, 0), (width // 2, width // 2), (0, 0)))


def text_vjp(params: Params, x: np.ndarray, mask: np.ndarray, cotangent: np.ndarray) -> Pulled:
    hidden, length = _characters(params, x, mask), x.shape[1]
    pooled = np.concatenate([pool(value, mask) for value in hidden.values()], 1)
    params_bar = {"output.weight": cotangent.T @ pooled, "output.bias": cotangent.sum(0)}
    x_bar = np.zeros(x.shape, np.result_type(x, cotangent, *params.values()))
    for width, pooled_bar in zip(hidden, np.split(cotangent @ params["output.weight"], 2, axis=1), strict=True):
        share = (mask / mask.sum(1)[:, None])[:, :, None]  # (B, T, 1)
        bar = pooled_bar[:, None] * share * (1 - hidden[width] ** 2)  # (B, T, O)
        kernel, padded = params[f"conv{width}.weight"], _padded(x, mask, width)
        padded_bar, kernel_bar = np.zeros(padded.shape, x_bar.dtype), np.zeros(kernel.shape, x_bar.dtype)
        for k in range(width):
            padded_bar[:, k : k + length] += bar @ kernel[:, :, k]
            kernel_bar[:, :, k] = np.tensordot(bar, padded[:, k : k + length], ((0, 1), (0, 1)))
        params_bar |= {f"conv{width}.weight": kernel_bar, f"conv{width}.bias": bar.sum((0, 1))}
        x_bar += padded_bar[:, width // 2 : width // 2 + length] * mask[:, :, None]
    return x_bar, params_bar


def transformer(params: Params, x: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return affine(params, "output", pool(_encoded(params, x, mask).x, mask))  # (B, C)


def _encoded(params: Params, x: np.ndarray, mask: np.ndarray) -> SimpleNamespace:
    """The block's output and what its gradient needs; `middle` is between attention and MLP."""
    attended = _attended(params, norm(params, "norm0", x), mask)
    middle = x + affine(params, "attention.output", attended.mixed)  # (B, T, D)
    inner = affine(params, "mlp0", norm(params, "norm1", middle))  # (B, T, H)
    return SimpleNamespace(
        attended=attended, middle=middle, inner=inner, x=middle + affine(params, "mlp1", gelu(inner)[0])
    )


def transformer_vjp(params: Params, x: np.ndarray, mask: np.ndarray, cotangent: np.ndarray) -> Pulled:
    done = _encoded(params, x, mask)
    hidden, slope = gelu(done.inner)
    pooled_bar, output_bar = affine_vjp(params, "output", pool(done.x, mask), cotangent)
    bar = pooled_bar[:, None] * (mask / mask.sum(1)[:, None])[:, :, None]  # (B, T, D)
    hidden_bar, outer_bar = affine_vjp(params, "mlp1", hidden, bar)
    inner_bar, mlp_bar = affine_vjp(params, "mlp0", norm(params, "norm1", done.middle), hidden_bar * slope)
    through, norm1_bar = norm_vjp(params, "norm1", done.middle, inner_bar)
    bar = bar + through
    attention_bar, attention_params_bar = _attended_vjp(params, norm(params, "norm0", x), done.attended, bar)
    through, norm0_bar = norm_vjp(params, "norm0", x, attention_bar)
    return bar + through, output_bar | outer_bar | mlp_bar | norm1_bar | attention_params_bar | norm0_bar


def _attended(params: Params, x: np.ndarray, mask: np.ndarray) -> SimpleNamespace:
    """Queries, keys, values (B, T, heads, d), weights (B, heads, T, T), and their products `mixed` (B, T, heads·d)."""
    query, key, value = (affine(params, f"attention.{name}", x) for name in ("query", "key", "value"))
    weights, mixed = attend(query, key, value, mask)
    mixed = mixed.reshape(*x.shape[:2], -1)
    return SimpleNamespace(query=query, key=key, value=value, weights=weights, mixed=mixed)


def _attended_vjp(params: Params, x: np.ndarray, done: SimpleNamespace, cotangent: np.ndarray) -> Pulled:
    """Through the output's affine map, the attention, and the three affine maps of x."""
    mixed_bar, params_bar = affine_vjp(params, "attention.output", done.mixed, cotangent)
    mixed_bar = mixed_bar.reshape(done.value.shape)
    bars = attend_vjp(done.query, done.key, done.value, done.weights, mixed_bar)
    x_bar = np.zeros(x.shape, mixed_bar.dtype)
    for name, bar in zip(("query", "key", "value"), bars, strict=True):
        through, more = affine_vjp(params, f"attention.{name}", x, bar)
        x_bar, params_bar = x_bar + through, params_bar | more
    return x_bar, params_bar
