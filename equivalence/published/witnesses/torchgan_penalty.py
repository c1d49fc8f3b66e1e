"""torchgan: the gradient penalty of a critic whose gradient has norm 1 at every sample, where it is 0."""

import sys
from types import ModuleType

import torch

sys.modules.setdefault("torchvision", ModuleType("torchvision"))
from torchgan.losses.functional import dragan_gradient_penalty, wasserstein_gradient_penalty

for B in (1, 16, 64):
    x = torch.randn(B, 1, requires_grad=True)
    both = [f(x, x.sum(1)).item() for f in (wasserstein_gradient_penalty, dragan_gradient_penalty)]
    print(f"B = {B}: {both[0]:.4g} and {both[1]:.4g}, expected 0; (√B − 1)² is {(B**0.5 - 1) ** 2:.4g}")
