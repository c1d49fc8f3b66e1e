"""cleverhans: the L1 step for gradients with ties, and with a gradient of 0."""

import torch
from cleverhans.torch.utils import optimize_linear


def step(g):
    try:
        return f"‖r‖₁ = {optimize_linear(g, 1.0, 1).abs().sum():g}"
    except AssertionError:
        return "AssertionError"


for n in range(2, 100):
    if step(torch.ones(1, n)) == "AssertionError":
        print(f"g = 1, {n} times: AssertionError, the steepest has ‖r‖₁ = 1")
print(f"g = 0, twice: {step(torch.zeros(1, 2))}, the steepest has ‖r‖₁ = 0")
