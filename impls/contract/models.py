"""The models, as functions of one flat {name: array} dict whose names and shapes are the same in the three frameworks.

Smooth throughout (tanh, mean pooling), because the theorems that they are used for are about smooth losses; but for
`relu_mlp`, which shows what they lose on a kink.
"""

from impls.contract.types import Array, Params


def quadratic(params: Params, x: Array) -> Array:
    """½ xᵀAx + bᵀx. Params A (n, n), b (n,); x (B, n) -> (B, 1)."""


def cubic(params: Params, x: Array) -> Array:
    """The quadratic + (1/6) T[x, x, x]: a Taylor series that ends. Params A, b, T (n, n, n); x (B, n) -> (B, 1)."""


def linear(params: Params, x: Array) -> Array:
    """Affine map of the flattened input. Params weight (C, n), bias (C,); x (B, *S) -> (B, C)."""


def mlp(params: Params, x: Array) -> Array:
    """Layers of `{i}.weight` (out, in), `{i}.bias` (out,) with tanh between; x (B, *S) -> (B, C)."""


def softplus_mlp(params: Params, x: Array) -> Array:
    """As `mlp`, with softplus log(1 + eˣ) between."""


def relu_mlp(params: Params, x: Array) -> Array:
    """As `mlp`, with max(x, 0) between; its derivative at 0 is 0."""


def cnn(params: Params, x: Array) -> Array:
    """Two 3 x 3 convolutions of stride 2 with tanh, then an affine map of all features.

    Params conv0.weight (O, 1, 3, 3), conv0.bias (O,), conv1.weight (P, O, 3, 3), conv1.bias (P,), output.weight
    (C, P, h, w), output.bias (C,); x (B, H, W) -> (B, C).
    """


def embed(params: Params, tokens: Array) -> Array:
    """Rows of embedding.weight (V, D); tokens (B, T) -> (B, T, D)."""


def text(params: Params, x: Array, mask: Array) -> Array:
    """Convolutions over 3 and 5 characters with tanh, the mean of each over real positions, then an affine map.

    Params conv3.weight (O, D, 3), conv5.weight (O, D, 5), their biases (O,), output.weight (C, 2O), output.bias (C,);
    x (B, T, D) an embedding's output, mask (B, T) 1 for characters and 0 for padding -> (B, C).
    """


def transformer(params: Params, x: Array, mask: Array) -> Array:
    """A pre-norm encoder block, the mean over real positions, then an affine map.

    The block is x + attention(norm(x)), then x + MLP(norm(x)). Layer norms have ε = 1e-5, the MLP the tanh form of
    GELU. No position attends to padding.

    Params norm0.weight, norm0.bias (D,) and norm1 alike; attention.{query,key,value}.weight (heads, d, D), their biases
    (heads, d), attention.output.weight (D, heads·d), attention.output.bias (D,); mlp0.weight (H, D), mlp0.bias (H,),
    mlp1.weight (D, H), mlp1.bias (D,); output.weight (C, D), output.bias (C,); x (B, T, D) an embedding's output, mask
    (B, T) 1 for tokens and 0 for padding -> (B, C).
    """


def shift(x: Array, directions: Array, coordinates: Array) -> Array:
    """x + Σⱼ cⱼ pⱼ: moves samples within a few directions, so that n is small. (B, *S), (m, *S), (B, m) -> (B, *S)."""
