"""A case as PyTorch's packages take it: a module with parameters, images with a channel, class numbers."""

from typing import Any

import torch

from equivalence.cases import Case
from impls.torch import models


class Network(torch.nn.Module):
    """The case's model, in evaluation mode; its parameters want gradients, as a trained module's do."""

    def __init__(self, case: Case):
        super().__init__()
        self.model = getattr(models, case.model)
        self.names = {name: name.replace(".", "_") for name in sorted(case.params)}  # a dot means a submodule
        for name, attribute in self.names.items():
            value = torch.tensor(case.params[name], dtype=torch.float32)
            self.register_parameter(attribute, torch.nn.Parameter(value))
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        params = {name: getattr(self, attribute) for name, attribute in self.names.items()}
        return self.model(params, images[:, 0])  # (B, C)


def network(case: Case, device: str) -> tuple[Network, Any, Any]:
    """The module, its images (B, 1, H, W) and their labels (B,)."""
    images = torch.tensor(case.x, dtype=torch.float32, device=device)[:, None]
    return Network(case).to(device), images, torch.tensor(case.labels, dtype=torch.int64, device=device)
