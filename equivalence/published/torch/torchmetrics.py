"""torchmetrics: divergences."""

from equivalence.published.package import LIMIT, Package

PACKAGE = Package("torchmetrics", "1.9.0", ("torchmetrics.functional",))
SUM = "cancels where p is near q: Σ p (log p − log q) is known to a rounding unit of its terms, which may be larger"


@PACKAGE.adapts("kl_divergence, log_prob=True", "kl_divergence", LIMIT, SUM, shows=("near", "equal", "e-", ""))
def divergence(p_logits, q_logits):
    from torchmetrics.functional import kl_divergence

    return kl_divergence(p_logits.log_softmax(1), q_logits.log_softmax(1), log_prob=True, reduction="none")
