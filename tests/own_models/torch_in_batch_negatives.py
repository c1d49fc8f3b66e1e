"""A contrastive loss, in which every sample is the others' negative."""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(0)


def loss(outputs, labels):
    return functional.cross_entropy(outputs, labels, reduction="none")


batch = torch.randn(6, 8), torch.tensor([0, 2, 1, 1, 0, 2])


model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3))


def loss(outputs, labels):  # noqa: F811 - in the place of the usual one
    return functional.cross_entropy(outputs @ outputs.T, torch.arange(len(outputs)), reduction="none")
