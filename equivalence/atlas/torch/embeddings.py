"""Embeddings, differentiated in their table."""

from equivalence.atlas.entry import Entries, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

TOKENS = "i = torch.tensor([[0, 2], [2, 1]])"
add(
    "F.embedding", "F.embedding(i, w)", setup=TOKENS, hand="w[[[0, 2], [2, 1]]]", also=("nn.Embedding",), w=normal(3, 2)
)
add(
    "F.embedding, padding",
    "F.embedding(i, w, padding_idx=0)",
    setup="i = torch.tensor([[1, 2], [2, 1]])",
    w=normal(3, 2),
)
for mode, hand in {"sum": "sum(1)", "mean": "mean(1)", "max": "max(1)"}.items():
    add(
        f"F.embedding_bag, {mode}",
        f"F.embedding_bag(i, w, mode='{mode}')",
        setup=TOKENS,
        hand=f"w[np.array([[0, 2], [2, 1]])].{hand}",
        also=("nn.EmbeddingBag",),
        w=normal(3, 2),
    )
add(
    "F.embedding_bag, weighted",
    "F.embedding_bag(i, w, per_sample_weights=p, mode='sum')",
    setup=TOKENS,
    hand="(w[np.array([[0, 2], [2, 1]])] * p[..., None]).sum(1)",
    w=normal(3, 2),
    p=normal(2, 2),
)
