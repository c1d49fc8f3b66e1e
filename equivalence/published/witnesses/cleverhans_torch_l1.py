"""cleverhans: the L1 step for gradients with ties, and with a gradient of 0."""

import torch
from cleverhans.torch.utils import optimize_linear

for g in (torch.ones(1, 49), torch.zeros(1, 2)):
    try:
        came = optimize_linear(g, 1.0, 1).abs().sum()
    except AssertionError:
        came = "AssertionError"
    size = g.shape[1]
    print(f"g = {size} times {g[0, 0]:g}: {came}, the steepest has ‖r‖₁ = {float(g.any()):g}")
