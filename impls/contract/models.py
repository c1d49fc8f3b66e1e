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


def embed(table: Array, tokens: Array, *, sparse: bool = False) -> Array:
    """Rows of an embedding's table (V, D); tokens (B, T) -> (B, T, D).

    `sparse` asks for the lookup whose gradient is sparse, a slice for each token, in a framework that has one: PyTorch.
    TensorFlow's gradient always is, JAX's never.
    """


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


def bert(params: Params, x: Array, mask: Array, *, heads: int) -> Array:
    """BERT (Devlin et al. 2019) without dropout: affine(tanh(affine(h))), h the first token's `bert_encoder`.

    Params as for `bert_encoder`; pooler.dense.weight (D, D), pooler.dense.bias (D,); classifier.weight (C, D),
    classifier.bias (C,); x (B, T, D) the output of the word embedding, mask (B, T) 1 for tokens and 0 for padding
    -> (B, C).
    """


def bert_encoder(params: Params, x: Array, mask: Array, *, heads: int) -> Array:
    """The hidden states after BERT's last encoder layer; what a sentence embedding is made of.

    x + positions + the first token type, normalised; then layers of norm(x + attention(x)), norm(x + MLP(x)), as many
    as params have. Layer norms have ε = 1e-12, the MLP the exact GELU x·Φ(x). No position attends to padding.

    Params, under the names of a Hugging Face checkpoint: embeddings.position_embeddings.weight (P, D), P ≥ T;
    embeddings.token_type_embeddings.weight (any, D); embeddings.LayerNorm.weight and .bias (D,); for each layer, behind
    encoder.layer.{i}: attention.self.{query,key,value} and attention.output.dense, each a .weight (D, D) and a .bias
    (D,); intermediate.dense.weight (H, D), .bias (H,); output.dense.weight (D, H), .bias (D,);
    attention.output.LayerNorm and output.LayerNorm, each a .weight and a .bias (D,). `heads` divides D.
    x (B, T, D) the output of the word embedding, mask (B, T) -> (B, T, D).
    """


def shift(x: Array, directions: Array, coordinates: Array) -> Array:
    """x + Σⱼ cⱼ pⱼ: moves samples within a few directions, so that n is small. (B, *S), (m, *S), (B, m) -> (B, *S)."""
