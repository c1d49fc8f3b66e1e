"""cleverhans: the length of the L2 fast gradient step, radius 0.5, beside other samples."""

import torch
from cleverhans.torch.attacks.fast_gradient_method import fast_gradient_method

slope = 1e-5 * torch.tensor([[3.0, -3.0], [4.0, -4.0]])
for B in (1, 128, 1024):
    x = torch.zeros(B, 2)
    r = fast_gradient_method(lambda x: x @ slope, x, 0.5, 2, y=torch.zeros(B, dtype=torch.long)) - x
    print(f"B = {B}: ‖r‖ {r[0].norm():.3f}, asked for 0.5")
