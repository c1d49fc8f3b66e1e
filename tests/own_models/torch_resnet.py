"""Hugging Face's ResNet-18 on small images, randomly initialised: batch statistics, ReLU, pooling, sums in place.

It is not torchvision's: that package's build must fit PyTorch's, which the default builds do not on every machine, and
where it does not load, transformers and Lightning fail with it.
"""

import torch
from torch.nn import functional
from transformers import ResNetConfig, ResNetForImageClassification

torch.manual_seed(0)
config = ResNetConfig(
    embedding_size=64,
    hidden_sizes=[64, 128, 256, 512],
    depths=[2, 2, 2, 2],
    layer_type="basic",
    num_labels=10,
)
model = ResNetForImageClassification(config).train()


def loss(outputs, labels):
    return functional.cross_entropy(outputs.logits, labels, reduction="none")


batch = torch.rand(4, 3, 32, 32), torch.tensor([1, 3, 5, 7])
