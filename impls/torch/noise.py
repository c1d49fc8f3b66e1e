import torch

from impls.checks import checked


@checked
def noisy_loss(loss, x, noise):
    return torch.stack([loss(x + z) for z in noise]).mean(0)  # (K, B) -> (B,)


@checked
def consistency_loss(divergence, f, x, noise, *, outputs=None):
    clean = f(x) if outputs is None else outputs  # (B, C)
    return torch.stack([divergence(clean, f(x + z)) for z in noise]).mean(0)  # (K, B) -> (B,)


@checked
def dropout_loss(loss, x, masks):
    return torch.stack([loss(x * mask) for mask in masks]).mean(0)  # (K, B) -> (B,)


@checked
def smooth_labels(labels, *, smoothing, like):
    if labels.dim() == 1:
        labels = labels[:, None] == torch.arange(like.shape[-1], device=labels.device)
    return (1 - smoothing) * labels.to(like.dtype) + smoothing / like.shape[-1]  # (B, C)
