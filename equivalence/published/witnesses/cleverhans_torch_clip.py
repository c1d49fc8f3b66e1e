"""cleverhans: what clip_eta does to its argument."""

import torch
from cleverhans.torch.utils import clip_eta

eta = torch.tensor([[3.0, 4.0]])
clip_eta(eta, 2, 1.0)
print(f"eta was [3, 4], and is {eta[0].tolist()} after the call; a function leaves its argument: [3, 4]")
