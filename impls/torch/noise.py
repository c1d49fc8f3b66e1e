import torch

from impls.checks import checked


@checked
def noisy_loss(loss, x, noise):
    return torch.func.vmap(lambda z: loss(x + z))(noise).mean(0)  # (K, B) -> (B,)


@checked
def consistency_loss(divergence, f, x, noise):
    clean = f(x)  # (B, C)
    return torch.func.vmap(lambda z: divergence(clean, f(x + z)))(noise).mean(0)  # (K, B) -> (B,)
