"""torchmetrics: divergences."""

from equivalence.published.package import LIMIT, Package

PACKAGE = Package("torchmetrics", "1.9.0", ("torchmetrics.functional",))
SUM = "right to a rounding unit of Σ p |log p|: off by 4 % of itself between logits 1e-7 apart"


@PACKAGE.adapts("kl_divergence, log_prob=True", "kl_divergence", LIMIT, SUM, shows=("D1",))
def divergence(p_logits, q_logits):
    from torchmetrics.functional import kl_divergence

    return kl_divergence(p_logits.log_softmax(1), q_logits.log_softmax(1), log_prob=True, reduction="none")
