"""torchvision's ResNet-18 on small images, randomly initialised: batch statistics, ReLU, pooling."""

import torch
import torchvision
from torch.nn import functional

torch.manual_seed(0)
model = torchvision.models.resnet18(num_classes=10)


def loss(outputs, labels):
    return functional.cross_entropy(outputs, labels, reduction="none")


batch = torch.rand(4, 3, 32, 32), torch.tensor([1, 3, 5, 7])
