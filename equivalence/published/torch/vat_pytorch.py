"""vat-pytorch: divergences, and an adversarial loss that starts from noise of its own."""

from equivalence.published.package import LIMIT, Package

PACKAGE = Package("vat-pytorch", "0.0.8", ("vat_pytorch",))


@PACKAGE.adapts(
    "kl_loss",
    "kl_divergence",
    LIMIT,
    "right to a rounding unit of Σ p |log p|; the gradient is NaN where a probability underflows to 0",
    shows=("D1", "saturated", "logits times 200", "logits times 3000"),
)
def divergence(p_logits, q_logits):
    from vat_pytorch import kl_loss

    return kl_loss(q_logits, p_logits, reduction="none").sum(1)
