"""The models as functions of one flat {name: array} dict; names and shapes are the same in the three frameworks."""

import jax
import jax.numpy as jnp


def quadratic(params, x):
    return (0.5 * jnp.einsum("bi,ij,bj->b", x, params["A"], x) + x @ params["b"])[:, None]  # (B, 1)


def cubic(params, x):
    return quadratic(params, x) + jnp.einsum("ijk,bi,bj,bk->b", params["T"], x, x, x)[:, None] / 6  # (B, 1)


def linear(params, x):
    return x.reshape(x.shape[0], -1) @ params["weight"].T + params["bias"]  # (B, C)


def mlp(params, x):
    return _layers(params, x, jnp.tanh)


def softplus_mlp(params, x):
    return _layers(params, x, jax.nn.softplus)


def relu_mlp(params, x):
    return _layers(params, x, jax.nn.relu)


def _layers(params, x, activation):
    hidden = x.reshape(x.shape[0], -1)  # (B, n)
    last = len(params) // 2 - 1
    for layer in range(last):
        hidden = activation(_dense(params, layer, hidden))
    return _dense(params, last, hidden)  # (B, C)


def cnn(params, x):
    features = x[:, None]  # (B, 1, 28, 28)
    for layer in ("conv0", "conv1"):
        features = jax.lax.conv(features, params[f"{layer}.weight"], (2, 2), "VALID")
        features = jnp.tanh(features + params[f"{layer}.bias"][:, None, None])
    return jnp.einsum("bchw,kchw->bk", features, params["output.weight"]) + params["output.bias"]  # (B, C)


def embed(table, tokens, *, sparse=False):
    return table[tokens]  # (B, T, D)


def text(params, x, mask):
    x = (x * mask[:, :, None]).transpose(0, 2, 1)  # (B, D, T), padding at 0 whatever is added to it
    pooled = []
    for width in (3, 5):
        kernel, bias = params[f"conv{width}.weight"], params[f"conv{width}.bias"]
        hidden = jnp.tanh(jax.lax.conv(x, kernel, (1,), "SAME") + bias[:, None])  # (B, O, T)
        pooled.append((hidden * mask[:, None]).sum(2) / mask.sum(1)[:, None])  # (B, O)
    return jnp.concatenate(pooled, 1) @ params["output.weight"].T + params["output.bias"]  # (B, C)


def transformer(params, x, mask):
    x = x + _attention(params, _norm(params, "norm0", x), mask)  # (B, T, D)
    hidden = jax.nn.gelu(_affine(params, "mlp0", _norm(params, "norm1", x)), approximate=True)  # (B, T, H)
    x = x + _affine(params, "mlp1", hidden)
    pooled = (x * mask[:, :, None]).sum(1) / mask.sum(1)[:, None]  # (B, D)
    return _affine(params, "output", pooled)  # (B, C)


def bert(params, x, mask, *, heads):
    first = bert_encoder(params, x, mask, heads=heads)[:, 0]  # (B, D)
    return _dense(params, "classifier", jnp.tanh(_dense(params, "pooler.dense", first)))  # (B, C)


def bert_encoder(params, x, mask, *, heads):
    positions, types = (params[f"embeddings.{name}_embeddings.weight"] for name in ("position", "token_type"))
    x = _norm(params, "embeddings.LayerNorm", x + (positions[: x.shape[1]] + types[0]), 1e-12)
    for layer in range(sum(name.endswith("attention.self.query.weight") for name in params)):
        x = _encoder_layer(params, f"encoder.layer.{layer}", x, mask, heads)
    return x  # (B, T, D)


def _encoder_layer(params, name, x, mask, heads):
    parted = (*x.shape[:2], heads, -1)
    projections = (_dense(params, f"{name}.attention.self.{part}", x) for part in ("query", "key", "value"))
    query, key, value = (part.reshape(parted) for part in projections)  # (B, T, h, d)
    mixed = _attend(query, key, value, mask)
    attended = _dense(params, f"{name}.attention.output.dense", mixed.reshape(x.shape))
    x = _norm(params, f"{name}.attention.output.LayerNorm", x + attended, 1e-12)  # (B, T, D)
    hidden = _exact_gelu(_dense(params, f"{name}.intermediate.dense", x))  # (B, T, H)
    return _norm(params, f"{name}.output.LayerNorm", x + _dense(params, f"{name}.output.dense", hidden), 1e-12)


def _exact_gelu(x):  # jax.nn.gelu's erfc takes XLA longer than all else that it does with x
    return x / 2 * (1 + jax.lax.erf(x / 2**0.5))


def _attention(params, x, mask):
    query, key, value = (_affine(params, f"attention.{name}", x) for name in ("query", "key", "value"))  # (B, T, h, d)
    mixed = _attend(query, key, value, mask)
    return _affine(params, "attention.output", mixed.reshape(*x.shape[:2], -1))  # (B, T, D)


def _attend(query, key, value, mask):
    scores = jnp.einsum("bqhd,bkhd->bhqk", query, key) / query.shape[-1] ** 0.5
    weights = jax.nn.softmax(scores + 1e4 * (mask - 1)[:, None, None])  # exactly 0 on padding
    return jnp.einsum("bhqk,bkhd->bqhd", weights, value)  # (B, T, heads, d)


def _norm(params, name, x, epsilon=1e-5):
    centred = x - x.mean(-1, keepdims=True)
    scale = jnp.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
    return centred / scale * params[f"{name}.weight"] + params[f"{name}.bias"]


def _affine(params, name, x):
    return jnp.tensordot(x, params[f"{name}.weight"], ([-1], [-1])) + params[f"{name}.bias"]


def _dense(params, name, x):
    rows = x.reshape(-1, x.shape[-1])  # with more axes XLA copies, transposed, what a penalty's gradient multiplies
    product = jnp.einsum("oi,ni->no", params[f"{name}.weight"], rows) + params[f"{name}.bias"]
    return product.reshape(*x.shape[:-1], -1)


def shift(x, directions, coordinates):
    return x + jnp.einsum("bm,m...->b...", coordinates, directions)  # (B, *S)
