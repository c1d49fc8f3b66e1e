import torch

from impls.checks import checked
from impls.torch.derivatives import gradient_of_mean


@checked
def parameter_gradient_penalty(loss, params, *, rate):
    gradient = gradient_of_mean(loss, params)
    return 0.25 * rate * sum(part.square().sum() for part in gradient.values())


@checked
def flooding(loss, *, level):
    return (loss - level).abs() + level


@checked
def weight_noise(loss, params, noise):
    copies = len(next(iter(noise.values())))
    moved = ({name: params[name] + z[k] for name, z in noise.items()} for k in range(copies))
    return torch.stack([loss(params) for params in moved]).mean(0)  # (K, B) -> (B,)
