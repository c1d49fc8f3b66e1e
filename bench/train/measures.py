"""What a model is worth, from its logits: NumPy alone."""

import numpy as np
from scipy.special import log_softmax

BINS = 15


def measures(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracy, negative log-likelihood, expected calibration error and mean confidence.

    Args:
        logits: (N, C).
        labels: (N,), class numbers.
    """
    log_p = log_softmax(logits.astype(np.float64), axis=1)
    right = logits.argmax(1) == labels
    confidence = np.exp(log_p.max(1))
    return {
        "accuracy": float(right.mean()),
        "nll": float(-log_p[np.arange(len(labels)), labels].mean()),
        "calibration_error": calibration_error(confidence, right),
        "confidence": float(confidence.mean()),
    }


def calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """Mean distance of confidence and accuracy in bins of equal width, by their samples (Guo et al. 2017, eq. 3).

    Args:
        confidence: (N,), in [0, 1]; a bin holds what is above its lower edge, up to its upper one.
        right: (N,), bool.
    """
    which = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(which, confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))
