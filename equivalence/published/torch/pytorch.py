"""PyTorch's own: losses, normalisations, derivatives by torch.autograd.functional, spectral norms, dropout."""

from equivalence.published.package import CONVENTION, LIMIT, RIGHT, Package, only

PACKAGE = Package("torch", "2.13.0", ("torch",))


@PACKAGE.adapts("F.cross_entropy", "cross_entropy", RIGHT, "to rounding, of classes and of soft labels")
def cross_entropy(logits, labels):
    import torch

    labels = labels if labels.is_floating_point() else labels.long()
    return torch.nn.functional.cross_entropy(logits, labels, reduction="none")


@PACKAGE.adapts(
    "F.kl_div",
    "kl_divergence",
    LIMIT,
    "right to a rounding unit of Σ p |log p|: off by 4 % of itself between logits 1e-7 apart",
    shows=("D1",),
)
def divergence(p_logits, q_logits):
    import torch.nn.functional as F

    return F.kl_div(q_logits.log_softmax(1), p_logits.log_softmax(1), log_target=True, reduction="none").sum(1)


@PACKAGE.adapts("distributions.Categorical.entropy", "entropy", RIGHT, "to rounding")
def entropy(logits):
    import torch

    return torch.distributions.Categorical(logits=logits, validate_args=False).entropy()


@PACKAGE.adapts("F.mse_loss", "squared_error", RIGHT, "to rounding, summed over the outputs")
def squared_error(outputs, targets):
    import torch.nn.functional as F

    return F.mse_loss(outputs, targets, reduction="none").sum(1)


@PACKAGE.adapts(
    "linalg.vector_norm",
    "l2_norm",
    LIMIT,
    "squares as they are: below 1e-162 the sum is 0 (float32: 1e-23)",
    shows=("C6",),
)
def l2_norm(x):
    import torch

    return torch.linalg.vector_norm(x.flatten(1), dim=1)


@PACKAGE.adapts(
    "F.normalize",
    "unit",
    LIMIT,
    "a norm is not taken below 1e-12, so that a smaller one gives less than 1",
    compared="a sample",
    shows=("C6", "numbers of 1e-15"),
)
def unit(x, *, scope="sample"):
    import torch.nn.functional as F

    only(scope == "sample", "a norm a sample")
    return F.normalize(x.flatten(1), dim=1).reshape(x.shape)


@PACKAGE.adapts(
    "renorm",
    "project",
    CONVENTION,
    "divides by ‖x‖ + 1e-7: at radius 1 a sample comes back 1e-7 inside the ball",
    compared="L2",
)
def renorm(x, *, radius, norm="l2"):
    import torch

    only(norm == "l2", "L2")
    return torch.renorm(x, 2, 0, radius)


@PACKAGE.adapts(
    "nn.utils.clip_grad_norm_",
    "project",
    CONVENTION,
    "divides by ‖g‖ + 1e-6: at radius 1 a gradient comes back 1e-6 inside",
    compared="L2",
    gradients=False,
)
def clip_grad_norm(x, *, radius, norm="l2"):
    import torch

    only(norm == "l2", "L2")
    rows = [torch.zeros_like(row).requires_grad_() for row in x]
    for row, own in zip(rows, x, strict=True):
        row.grad = own.detach().clone()
        torch.nn.utils.clip_grad_norm_([row], radius)
    return torch.stack([row.grad for row in rows])


@PACKAGE.adapts("autograd.functional.hvp", "hvp", RIGHT, "by double backward, to rounding")
def hvp(loss, x, vector):
    from torch.autograd import functional

    return functional.hvp(lambda x: loss(x).sum(), x, vector, create_graph=True)[1]


@PACKAGE.adapts("autograd.functional.vhp", "hvp", RIGHT, "vᵀH, which is Hv, to rounding")
def vhp(loss, x, vector):
    from torch.autograd import functional

    return functional.vhp(lambda x: loss(x).sum(), x, vector, create_graph=True)[1]


@PACKAGE.adapts("autograd.functional.hessian", "laplacian", RIGHT, "its trace, to rounding", compared="hvp, exact")
def laplacian(loss, x, *, how="hvp", probes=None, with_loss=False):
    import torch
    from torch.autograd import functional

    only(how == "hvp" and probes is None and not with_loss, "the exact trace")

    def trace(b):
        alone = lambda row: loss(torch.cat([x[:b], row[None], x[b + 1 :]])).sum()  # noqa: E731
        return functional.hessian(alone, x[b], create_graph=True).reshape(x[b].numel(), -1).diagonal().sum()

    return torch.stack([trace(b) for b in range(len(x))])


@PACKAGE.adapts(
    "autograd.functional.jacobian",
    "jacobian_penalty",
    RIGHT,
    "its squared norm, to rounding",
    compared="exact, unweighted",
)
def jacobian(f, x, *, weights=None, probes=None, with_outputs=False):
    from torch.autograd import functional

    only(weights is None and probes is None and not with_outputs, "the exact norm")
    return functional.jacobian(lambda x: f(x).sum(0), x, create_graph=True).square().transpose(0, 1).flatten(1).sum(1)


@PACKAGE.adapts(
    "nn.utils.parametrizations.spectral_norm",
    "spectral_norm",
    LIMIT,
    "to rounding; W/σ is no number where σ = 0, of a weight or a start of 0",
    shows=("a start of 0", "a weight of 0"),
)
def parametrized(weight, u, *, steps=1):
    import torch
    from torch.nn.utils import parametrizations

    matrix = weight.flatten(1)
    with torch.random.fork_rng():
        own = parametrizations._SpectralNorm(matrix.detach().T, steps)
    own._v = torch.nn.functional.normalize(u.detach(), dim=0)
    normed = own(matrix.T).T
    return (matrix * matrix).sum() / (matrix * normed).sum(), own._v.clone()


@PACKAGE.adapts("F.dropout", "dropout_mask", RIGHT, "0 and 1/(1 − q) at their rates")
def dropout(seed, shape, *, rate, like):
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return torch.nn.functional.dropout(torch.ones(shape, dtype=like.dtype, device=like.device), rate)
