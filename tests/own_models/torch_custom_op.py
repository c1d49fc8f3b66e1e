"""A registered operator whose backward is right, and whose double backward forgets what it was multiplied with."""

import torch
from torch import nn


@torch.library.custom_op("own_models::cube", mutates_args=())
def cube(x: torch.Tensor) -> torch.Tensor:
    return x**3


@torch.library.custom_op("own_models::cube_slope", mutates_args=())
def cube_slope(slope: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return slope * 3 * x**2


def keep_x(ctx, inputs, output):
    ctx.save_for_backward(inputs[-1])


def backward(ctx, slope):
    return cube_slope(slope, ctx.saved_tensors[0])


def backward_of_slope(ctx, slope):
    return slope * 3 * ctx.saved_tensors[0] ** 2, None  # the fault: cube_slope depends on x as well


cube.register_autograd(backward, setup_context=keep_x)
cube_slope.register_autograd(backward_of_slope, setup_context=keep_x)


class Act(nn.Module):
    def forward(self, x):
        return cube(x)


torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), Act(), nn.Linear(6, 3))
loss = nn.CrossEntropyLoss(reduction="none")
batch = torch.randn(5, 4), torch.tensor([0, 1, 2, 1, 0])
