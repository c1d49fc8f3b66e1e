"""torchattacks: PGDL2 starts at “a uniformly random point” of a ball of n dimensions."""

import torch
import torchattacks

torch.manual_seed(0)
for n in (2, 8, 32):
    images = torch.full((20000, 1, 1, n), 0.5)
    attack = torchattacks.PGDL2(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(n, 2)), eps=0.25, steps=0)
    lengths = (attack(images, torch.zeros(20000, dtype=torch.long)) - images).flatten(1).norm(dim=1)
    print(f"n = {n}: P(‖r‖ ≤ ε/2) {(lengths <= 0.125).float().mean():.3f}, of a uniform point {2.0**-n:.2g}")
