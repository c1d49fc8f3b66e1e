"""PyTorch's own losses, of torch.nn.functional: which can be differentiated, and how often."""

from equivalence.atlas.entry import Entries, apart, between, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

EACH = "reduction='none'"
LABELS = "y = torch.tensor([0, 2, 1, 1])"
SOFT = "y = torch.tensor([[.7, .2, .1], [.1, .1, .8], [.2, .5, .3], [.3, .4, .3]])"
BY_HAND_SOFT = "np.array([[.7, .2, .1], [.1, .1, .8], [.2, .5, .3], [.3, .4, .3]])"
PICKED = "np.arange(4), [0, 2, 1, 1]"
LOGITS = normal(4, 3)
OF_LOGITS = {  # name: (call, setup, by hand, layer)
    "F.cross_entropy, class numbers": (
        f"F.cross_entropy(x, y, {EACH})",
        LABELS,
        f"-hand.log_softmax(x)[{PICKED}]",
        "CrossEntropyLoss",
    ),
    "F.cross_entropy, probabilities": (
        f"F.cross_entropy(x, y, {EACH})",
        SOFT,
        f"-(hand.log_softmax(x) * {BY_HAND_SOFT}).sum(-1)",
        "",
    ),
    "F.cross_entropy, label smoothing": (f"F.cross_entropy(x, y, label_smoothing=0.1, {EACH})", LABELS, "", ""),
    "F.nll_loss of log_softmax": (
        f"F.nll_loss(F.log_softmax(x, -1), y, {EACH})",
        LABELS,
        f"-hand.log_softmax(x)[{PICKED}]",
        "NLLLoss",
    ),
    "F.kl_div of log_softmax": (f"F.kl_div(F.log_softmax(x, -1), y, {EACH})", SOFT, "", "KLDivLoss"),
    "F.binary_cross_entropy_with_logits": (
        f"F.binary_cross_entropy_with_logits(x, y, {EACH})",
        SOFT,
        f"hand.softplus(x) - x * {BY_HAND_SOFT}",
        "BCEWithLogitsLoss",
    ),
    "F.binary_cross_entropy of sigmoid": (
        f"F.binary_cross_entropy(x.sigmoid(), y, {EACH})",
        SOFT,
        f"hand.softplus(x) - x * {BY_HAND_SOFT}",
        "BCELoss",
    ),
    "F.mse_loss": (f"F.mse_loss(x, y, {EACH})", SOFT, f"(x - {BY_HAND_SOFT}) ** 2", "MSELoss"),
    "F.multilabel_soft_margin_loss": (
        f"F.multilabel_soft_margin_loss(x, y, {EACH})",
        SOFT,
        "",
        "MultiLabelSoftMarginLoss",
    ),
    "F.poisson_nll_loss": (
        f"F.poisson_nll_loss(x, y, {EACH})",
        SOFT,
        f"np.exp(x) - x * {BY_HAND_SOFT}",
        "PoissonNLLLoss",
    ),
    "F.soft_margin_loss": (
        f"F.soft_margin_loss(x, torch.sign(y - 0.25), {EACH})",
        SOFT,
        f"hand.softplus(-x * np.sign({BY_HAND_SOFT} - 0.25))",
        "SoftMarginLoss",
    ),
}
for name, (call, setup, hand, layer) in OF_LOGITS.items():
    add(name, call, setup=setup, hand=hand, also=(f"nn.{layer}",) if layer else (), x=LOGITS)

APART = apart(4, 3)
OF_DISTANCES = {  # with a kink
    "F.l1_loss": (f"F.l1_loss(x, 0.1 * y, {EACH})", SOFT, "L1Loss"),
    "F.huber_loss": (f"F.huber_loss(x, 0.1 * y, delta=0.7, {EACH})", SOFT, "HuberLoss"),
    "F.smooth_l1_loss": (f"F.smooth_l1_loss(x, 0.1 * y, beta=0.7, {EACH})", SOFT, "SmoothL1Loss"),
    "F.multi_margin_loss": (f"F.multi_margin_loss(x, y, margin=0.5, {EACH})", LABELS, "MultiMarginLoss"),
    "F.multi_margin_loss, p=2": (f"F.multi_margin_loss(x, y, p=2, margin=0.5, {EACH})", LABELS, ""),
    "F.multilabel_margin_loss": (
        f"F.multilabel_margin_loss(x, y, {EACH})",
        "y = torch.tensor([[0, 2, -1], [1, -1, -1], [2, 0, -1], [1, 2, -1]])",
        "MultiLabelMarginLoss",
    ),
    "F.hinge_embedding_loss": (
        f"F.hinge_embedding_loss(x, torch.sign(y - 0.25), {EACH})",
        SOFT,
        "HingeEmbeddingLoss",
    ),
}
for name, (call, setup, layer) in OF_DISTANCES.items():
    add(name, call, setup=setup, also=(f"nn.{layer}",) if layer else (), x=APART)

add(
    "F.ctc_loss of log_softmax",
    f"F.ctc_loss(F.log_softmax(x, -1), y, n, m, {EACH})",
    setup="y, n, m = torch.tensor([[1, 2], [2, 1]]), torch.tensor([5, 5]), torch.tensor([2, 2])",
    also=("nn.CTCLoss",),
    x=normal(5, 2, 3),
)
add(
    "F.gaussian_nll_loss",
    f"F.gaussian_nll_loss(x, y, v, {EACH})",
    hand="(np.log(v) + (x - y) ** 2 / v) / 2",
    also=("nn.GaussianNLLLoss",),
    x=normal(3),
    y=normal(3),
    v=between(0.5, 2, 3),
)
add(
    "F.cosine_embedding_loss",
    f"F.cosine_embedding_loss(x, y, torch.tensor([1.0, 1.0]), {EACH})",
    also=("nn.CosineEmbeddingLoss",),
    x=normal(2, 3),
    y=normal(2, 3),
)
add(
    "F.margin_ranking_loss",
    f"F.margin_ranking_loss(x, y, torch.tensor([1.0, -1.0, 1.0]), 0.3, {EACH})",
    also=("nn.MarginRankingLoss",),
    x=apart(3, low=-1, high=1.1),
    y=apart(3, low=-1.2, high=1),
)
add(
    "F.triplet_margin_loss",
    f"F.triplet_margin_loss(x, y, z, 2.0, {EACH})",
    also=("nn.TripletMarginLoss", "nn.TripletMarginWithDistanceLoss"),
    x=normal(2, 3),
    y=normal(2, 3),
    z=normal(2, 3),
)
