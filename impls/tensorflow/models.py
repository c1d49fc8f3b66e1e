"""The models as functions of one flat {name: array} dict; names and shapes are the same in the three frameworks."""

import math

import tensorflow as tf


def quadratic(params, x):
    return (0.5 * tf.einsum("bi,ij,bj->b", x, params["A"], x) + tf.linalg.matvec(x, params["b"]))[:, None]  # (B, 1)


def cubic(params, x):
    return quadratic(params, x) + tf.einsum("ijk,bi,bj,bk->b", params["T"], x, x, x)[:, None] / 6  # (B, 1)


def linear(params, x):
    return tf.reshape(x, (tf.shape(x)[0], -1)) @ tf.transpose(params["weight"]) + params["bias"]  # (B, C)


def mlp(params, x):
    return _layers(params, x, tf.tanh)


def softplus_mlp(params, x):
    return _layers(params, x, tf.math.softplus)


def relu_mlp(params, x):
    return _layers(params, x, tf.nn.relu)


def _layers(params, x, activation):
    hidden = tf.reshape(x, (tf.shape(x)[0], -1))  # (B, n)
    last = len(params) // 2 - 1
    for layer in range(last):
        hidden = activation(tf.matmul(hidden, params[f"{layer}.weight"], transpose_b=True) + params[f"{layer}.bias"])
    return tf.matmul(hidden, params[f"{last}.weight"], transpose_b=True) + params[f"{last}.bias"]  # (B, C)


def cnn(params, x):
    features = x[:, :, :, None]  # (B, 28, 28, 1): channels last, the only layout TensorFlow has on a CPU
    for layer in ("conv0", "conv1"):
        kernel = tf.transpose(params[f"{layer}.weight"], (2, 3, 1, 0))
        features = tf.tanh(tf.nn.conv2d(features, kernel, 2, "VALID") + params[f"{layer}.bias"])
    return tf.einsum("bhwc,kchw->bk", features, params["output.weight"]) + params["output.bias"]  # (B, C)


def embed(table, tokens, *, sparse=False):
    return tf.gather(table, tokens)  # (B, T, D)


def text(params, x, mask):
    x = x * mask[:, :, None]  # (B, T, D), padding at 0 whatever is added to it
    pooled = []
    for width in (3, 5):
        kernel, bias = tf.transpose(params[f"conv{width}.weight"], (2, 1, 0)), params[f"conv{width}.bias"]
        hidden = tf.tanh(tf.nn.conv1d(x, kernel, 1, "SAME") + bias)  # (B, T, O)
        pooled.append(tf.reduce_sum(hidden * mask[:, :, None], 1) / tf.reduce_sum(mask, 1)[:, None])  # (B, O)
    return tf.matmul(tf.concat(pooled, 1), params["output.weight"], transpose_b=True) + params["output.bias"]  # (B, C)


def transformer(params, x, mask):
    x = x + _attention(params, _norm(params, "norm0", x), mask)  # (B, T, D)
    hidden = _gelu(_affine(params, "mlp0", _norm(params, "norm1", x)))  # (B, T, H)
    x = x + _affine(params, "mlp1", hidden)
    pooled = tf.reduce_sum(x * mask[:, :, None], 1) / tf.reduce_sum(mask, 1)[:, None]  # (B, D)
    return _affine(params, "output", pooled)  # (B, C)


def bert(params, x, mask, *, heads):
    first = bert_encoder(params, x, mask, heads=heads)[:, 0]  # (B, D)
    return _dense(params, "classifier", tf.tanh(_dense(params, "pooler.dense", first)))  # (B, C)


def bert_encoder(params, x, mask, *, heads):
    positions, types = (params[f"embeddings.{name}_embeddings.weight"] for name in ("position", "token_type"))
    x = _norm(params, "embeddings.LayerNorm", x + (positions[: tf.shape(x)[1]] + types[0]), 1e-12)
    for layer in range(sum(name.endswith("attention.self.query.weight") for name in params)):
        x = _encoder_layer(params, f"encoder.layer.{layer}", x, mask, heads)
    return x  # (B, T, D)


def _encoder_layer(params, name, x, mask, heads):
    parted = (*tf.unstack(tf.shape(x)[:2]), heads, x.shape[-1] // heads)
    projections = (_dense(params, f"{name}.attention.self.{part}", x) for part in ("query", "key", "value"))
    query, key, value = (tf.reshape(part, parted) for part in projections)  # (B, T, h, d)
    mixed = _attend(query, key, value, mask)
    attended = _dense(params, f"{name}.attention.output.dense", tf.reshape(mixed, tf.shape(x)))
    x = _norm(params, f"{name}.attention.output.LayerNorm", x + attended, 1e-12)  # (B, T, D)
    hidden = _exact_gelu(_dense(params, f"{name}.intermediate.dense", x))  # (B, T, H)
    return _norm(params, f"{name}.output.LayerNorm", x + _dense(params, f"{name}.output.dense", hidden), 1e-12)


def _attention(params, x, mask):
    query, key, value = (_affine(params, f"attention.{name}", x) for name in ("query", "key", "value"))  # (B, T, h, d)
    mixed = _attend(query, key, value, mask)
    return _affine(params, "attention.output", tf.reshape(mixed, (*tf.unstack(tf.shape(x)[:2]), -1)))  # (B, T, D)


def _attend(query, key, value, mask):
    scores = tf.einsum("bqhd,bkhd->bhqk", query, key) / query.shape[-1] ** 0.5
    weights = tf.nn.softmax(scores + 1e4 * (mask - 1)[:, None, None])  # exactly 0 on padding
    return tf.einsum("bhqk,bkhd->bqhd", weights, value)  # (B, T, heads, d)


def _gelu(x):
    return x / 2 * (1 + tf.tanh((2 / math.pi) ** 0.5 * (x + 0.044715 * x**3)))  # tf.nn.gelu's constants are float32


def _exact_gelu(x):
    return x / 2 * (1 + tf.math.erf(x / 2**0.5))


def _norm(params, name, x, epsilon=1e-5):
    centred = x - tf.reduce_mean(x, -1, keepdims=True)
    scale = tf.sqrt(tf.reduce_mean(tf.square(centred), -1, keepdims=True) + epsilon)
    return centred / scale * params[f"{name}.weight"] + params[f"{name}.bias"]


def _affine(params, name, x):
    return tf.tensordot(x, params[f"{name}.weight"], ([-1], [-1])) + params[f"{name}.bias"]


def _dense(params, name, x):
    rows = tf.reshape(x, (-1, x.shape[-1]))  # one product: tf.matmul would make one a sample of it
    product = tf.matmul(rows, params[f"{name}.weight"], transpose_b=True) + params[f"{name}.bias"]
    return tf.reshape(product, (*tf.unstack(tf.shape(x)[:-1]), product.shape[-1]))


def shift(x, directions, coordinates):
    return x + tf.einsum("bm,m...->b...", coordinates, directions)  # (B, *S)
