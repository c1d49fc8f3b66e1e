"""Per-sample losses, all twice differentiable."""

from impls.contract.types import Labels, Logits, Outputs, PerSample


def cross_entropy(logits: Logits, labels: Labels) -> PerSample:
    """Cross-entropy of softmax(logits) against the labels.

    Σᵢ yᵢ (logsumexp(logits) - logitsᵢ), y one-hot or soft.

    Args:
        logits: (B, C), unnormalised log-probabilities of two classes or more.
        labels: (B,) integer class numbers in [0, C), or (B, C) floating-point probabilities that sum to 1.

    Returns:
        (B,), in nats.

    Raises:
        ValueError: labels have neither of the two shapes, or the dtype of the other one; one class, of which the
            softmax is constant.
    """


def squared_error(outputs: Outputs, targets: Outputs) -> PerSample:
    """Squared Euclidean distance, ‖outputs - targets‖² (a sum over the outputs, not a mean; no ½).

    Args:
        outputs: (B, C).
        targets: (B, C).

    Returns:
        (B,).
    """


def kl_divergence(p_logits: Logits, q_logits: Logits) -> PerSample:
    """Kullback–Leibler divergence KL(p‖q) = Σᵢ pᵢ (log pᵢ - log qᵢ), p and q the softmax of their logits.

    Computed as Σᵢ pᵢ (ρᵢ + e^-ρᵢ - 1), ρ = log p - log q, which is the same since p and q sum to 1: its terms are ≥ 0
    and small where p is close to q, while those of the usual sum cancel to the rounding unit, which in float32 is
    larger than many a consistency loss.

    Differentiable in both arguments; hold one fixed by stopping its gradient before the call.

    Args:
        p_logits: (B, C), of two classes or more. A single logit z, of a sigmoid, is the pair [z, 0].
        q_logits: (B, C).

    Returns:
        (B,), in nats; exactly 0 where the logits are equal.
    """


def entropy(logits: Logits) -> PerSample:
    """Entropy -Σᵢ pᵢ log pᵢ of p = softmax(logits).

    Args:
        logits: (B, C), of two classes or more.

    Returns:
        (B,), in nats.
    """
