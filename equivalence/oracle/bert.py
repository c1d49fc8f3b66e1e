"""BERT (Devlin et al. 2019), derived by hand: post-norm encoder layers, a pooler and a classifier, without dropout."""

from types import SimpleNamespace

import numpy as np

from equivalence.oracle.layers import Array, Params, Pulled, affine, affine_vjp, attend, attend_vjp, norm, norm_vjp

EPSILON = 1e-12  # of every layer normalisation
POSITIONS, TYPES = "embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight"
PROJECTIONS = ("query", "key", "value")


def bert(params: Params, x: Array, mask: Array, *, heads: int) -> Array:
    first = bert_encoder(params, x, mask, heads=heads)[:, 0]
    return affine(params, "classifier", np.tanh(affine(params, "pooler.dense", first)))  # (B, C)


def bert_encoder(params: Params, x: Array, mask: Array, *, heads: int) -> Array:
    layers = _layers(params, x, mask, heads)
    return layers[-1].x if layers else _embedded(params, x)  # (B, T, D)


def bert_vjp(params: Params, x: Array, mask: Array, cotangent: Array, *, heads: int) -> Pulled:
    layers = _layers(params, x, mask, heads)
    hidden = layers[-1].x if layers else _embedded(params, x)
    pooled = np.tanh(affine(params, "pooler.dense", hidden[:, 0]))
    pooled_bar, params_bar = affine_vjp(params, "classifier", pooled, cotangent)
    first_bar, pooler_bar = affine_vjp(params, "pooler.dense", hidden[:, 0], pooled_bar * (1 - pooled**2))
    bar = np.zeros(x.shape, first_bar.dtype)
    bar[:, 0] = first_bar
    params_bar |= pooler_bar
    for layer in reversed(layers):
        bar, layer_bar = _layer_vjp(params, layer, bar)
        params_bar |= layer_bar
    bar, norm_bar = norm_vjp(params, "embeddings.LayerNorm", _summed(params, x), bar, EPSILON)
    return bar, params_bar | norm_bar | _tables_bar(params, bar)


def _summed(params: Params, x: Array) -> Array:
    """Words, positions, and the first of the two token types."""
    return x + params[POSITIONS][: x.shape[1]] + params[TYPES][0]


def _embedded(params: Params, x: Array) -> Array:
    return norm(params, "embeddings.LayerNorm", _summed(params, x), EPSILON)


def _tables_bar(params: Params, bar: Array) -> Params:
    """Gradients of positions and token types, in which every sample has a share."""
    positions_bar, types_bar = (np.zeros(params[name].shape, bar.dtype) for name in (POSITIONS, TYPES))
    positions_bar[: bar.shape[1]], types_bar[0] = bar.sum(0), bar.sum((0, 1))
    return {POSITIONS: positions_bar, TYPES: types_bar}


def _layers(params: Params, x: Array, mask: Array, heads: int) -> list[SimpleNamespace]:
    """Every encoder layer's output and what its gradient needs."""
    depth = sum(name.endswith("attention.self.query.weight") for name in params)
    layers, hidden = [], _embedded(params, x)
    for number in range(depth):
        layers.append(_layer(params, f"encoder.layer.{number}", hidden, mask, heads))
        hidden = layers[-1].x
    return layers


def _layer(params: Params, name: str, x: Array, mask: Array, heads: int) -> SimpleNamespace:
    """Attention, then an MLP, each added to its input and normalised; `middle` is between the two."""
    parted = (*x.shape[:2], heads, -1)
    query, key, value = (affine(params, f"{name}.attention.self.{part}", x).reshape(parted) for part in PROJECTIONS)
    weights, mixed = attend(query, key, value, mask)
    mixed = mixed.reshape(x.shape)
    attended = x + affine(params, f"{name}.attention.output.dense", mixed)
    middle = norm(params, f"{name}.attention.output.LayerNorm", attended, EPSILON)
    activated, slope = _gelu(affine(params, f"{name}.intermediate.dense", middle))
    added = middle + affine(params, f"{name}.output.dense", activated)
    return SimpleNamespace(
        name=name,
        input=x,
        query=query,
        key=key,
        value=value,
        weights=weights,
        mixed=mixed,
        attended=attended,
        middle=middle,
        activated=activated,
        slope=slope,
        added=added,
        x=norm(params, f"{name}.output.LayerNorm", added, EPSILON),
    )


def _layer_vjp(params: Params, done: SimpleNamespace, cotangent: Array) -> Pulled:
    name = done.name
    added_bar, params_bar = norm_vjp(params, f"{name}.output.LayerNorm", done.added, cotangent, EPSILON)
    activated_bar, outer_bar = affine_vjp(params, f"{name}.output.dense", done.activated, added_bar)
    through, inner_bar = affine_vjp(params, f"{name}.intermediate.dense", done.middle, activated_bar * done.slope)
    middle_bar = added_bar + through
    bar, norm_bar = norm_vjp(params, f"{name}.attention.output.LayerNorm", done.attended, middle_bar, EPSILON)
    mixed_bar, output_bar = affine_vjp(params, f"{name}.attention.output.dense", done.mixed, bar)
    params_bar |= outer_bar | inner_bar | norm_bar | output_bar
    mixed_bar = mixed_bar.reshape(done.value.shape)
    bars = attend_vjp(done.query, done.key, done.value, done.weights, mixed_bar)
    for part, part_bar in zip(PROJECTIONS, bars, strict=True):
        flat_bar = part_bar.reshape(done.input.shape)
        through, more = affine_vjp(params, f"{name}.attention.self.{part}", done.input, flat_bar)
        bar, params_bar = bar + through, params_bar | more
    return bar, params_bar


def _gelu(x: Array) -> tuple[Array, Array]:
    """½x(1 + erf(x/√2)), x times the normal distribution's Φ, and its derivative."""
    from scipy.special import erf  # only now: a process that times a step imports this module and never calls it

    share = (1 + erf(x / 2**0.5)) / 2
    return x * share, share + x * np.exp(-(x**2) / 2) / (2 * np.pi) ** 0.5
