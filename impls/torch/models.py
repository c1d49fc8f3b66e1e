"""The models as functions of one flat {name: array} dict; names and shapes are the same in the three frameworks."""

import torch
import torch.nn.functional as F


def quadratic(params, x):
    return (0.5 * torch.einsum("bi,ij,bj->b", x, params["A"], x) + x @ params["b"])[:, None]  # (B, 1)


def cubic(params, x):
    return quadratic(params, x) + torch.einsum("ijk,bi,bj,bk->b", params["T"], x, x, x)[:, None] / 6  # (B, 1)


def linear(params, x):
    return x.reshape(x.shape[0], -1) @ params["weight"].T + params["bias"]  # (B, C)


def mlp(params, x):
    return _layers(params, x, torch.tanh)


def softplus_mlp(params, x):
    return _layers(params, x, lambda hidden: F.softplus(hidden, threshold=40))  # the default, 20, is off by 2e-9 there


def relu_mlp(params, x):
    return _layers(params, x, torch.relu)


def _layers(params, x, activation):
    hidden = x.reshape(x.shape[0], -1)  # (B, n)
    last = len(params) // 2 - 1
    for layer in range(last):
        hidden = activation(hidden @ params[f"{layer}.weight"].T + params[f"{layer}.bias"])
    return hidden @ params[f"{last}.weight"].T + params[f"{last}.bias"]  # (B, C)


def cnn(params, x):
    features = x[:, None]  # (B, 1, 28, 28)
    for layer in ("conv0", "conv1"):
        features = torch.tanh(F.conv2d(features, params[f"{layer}.weight"], params[f"{layer}.bias"], stride=2))
    return torch.einsum("bchw,kchw->bk", features, params["output.weight"]) + params["output.bias"]  # (B, C)


def embed(table, tokens, *, sparse=False):
    return F.embedding(tokens, table, sparse=True) if sparse else table[tokens]  # (B, T, D)


def text(params, x, mask):
    x = (x * mask[:, :, None]).transpose(1, 2)  # (B, D, T), padding at 0 whatever is added to it
    pooled = []
    for width in (3, 5):
        kernel, bias = params[f"conv{width}.weight"], params[f"conv{width}.bias"]
        hidden = torch.tanh(F.conv1d(x, kernel, bias, padding=width // 2))  # (B, O, T)
        pooled.append((hidden * mask[:, None]).sum(2) / mask.sum(1)[:, None])  # (B, O)
    return torch.cat(pooled, 1) @ params["output.weight"].T + params["output.bias"]  # (B, C)


def transformer(params, x, mask):
    x = x + _attention(params, _norm(params, "norm0", x), mask)  # (B, T, D)
    hidden = F.gelu(_affine(params, "mlp0", _norm(params, "norm1", x)), approximate="tanh")  # (B, T, H)
    x = x + _affine(params, "mlp1", hidden)
    pooled = (x * mask[:, :, None]).sum(1) / mask.sum(1)[:, None]  # (B, D)
    return _affine(params, "output", pooled)  # (B, C)


def bert(params, x, mask, *, heads):
    first = bert_encoder(params, x, mask, heads=heads)[:, 0]  # (B, D)
    return _dense(params, "classifier", torch.tanh(_dense(params, "pooler.dense", first)))  # (B, C)


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
    hidden = F.gelu(_dense(params, f"{name}.intermediate.dense", x))  # (B, T, H)
    return _norm(params, f"{name}.output.LayerNorm", x + _dense(params, f"{name}.output.dense", hidden), 1e-12)


def _attention(params, x, mask):
    query, key, value = (_affine(params, f"attention.{name}", x) for name in ("query", "key", "value"))  # (B, T, h, d)
    mixed = _attend(query, key, value, mask)
    return _affine(params, "attention.output", mixed.reshape(*x.shape[:2], -1))  # (B, T, D)


def _attend(query, key, value, mask):
    scores = torch.einsum("bqhd,bkhd->bhqk", query, key) / query.shape[-1] ** 0.5
    weights = torch.softmax(scores + 1e4 * (mask - 1)[:, None, None], dim=-1)  # exactly 0 on padding
    return torch.einsum("bhqk,bkhd->bqhd", weights, value)  # (B, T, heads, d)


def _norm(params, name, x, epsilon=1e-5):
    centred = x - x.mean(-1, keepdim=True)  # F.layer_norm's third derivatives are wrong: pytorch/pytorch#175754
    scale = (centred.square().mean(-1, keepdim=True) + epsilon).sqrt()
    return centred / scale * params[f"{name}.weight"] + params[f"{name}.bias"]


def _affine(params, name, x):
    return torch.tensordot(x, params[f"{name}.weight"], ([-1], [-1])) + params[f"{name}.bias"]


def _dense(params, name, x):
    return F.linear(x, params[f"{name}.weight"], params[f"{name}.bias"])


def shift(x, directions, coordinates):
    return x + torch.einsum("bm,m...->b...", coordinates, directions)  # (B, *S)
