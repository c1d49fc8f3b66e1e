import math

import torch

from impls.checks import checked
from impls.torch.norms import unit


@checked
def rademacher(seed, shape, *, like):
    generator = torch.Generator(like.device).manual_seed(seed)
    bits = torch.randint(0, 2, shape, generator=generator, dtype=like.dtype, device=like.device)
    return 2 * bits - 1


@checked
def gaussian(seed, shape, *, like):
    generator = torch.Generator(like.device).manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=like.dtype, device=like.device)


@checked
def uniform(seed, shape, *, like):
    generator = torch.Generator(like.device).manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=like.dtype, device=like.device)


@checked
def uniform_sphere(seed, shape, *, like):
    return unit(gaussian(seed, shape, like=like))


@checked
def uniform_ball(seed, shape, *, like, norm="l2"):
    batch, n = shape[0], math.prod(shape[1:])
    if norm == "l2":  # the sphere of n + 2 dimensions, seen in n of them
        return unit(gaussian(seed, (batch, n + 2), like=like))[:, :n].reshape(shape)
    if norm == "linf":
        return 2 * uniform(seed, shape, like=like) - 1
    draws = uniform(seed, (batch, 2 * n + 1), like=like)
    exponential = -torch.log1p(-draws[:, n:])  # (B, n + 1)
    signs = torch.where(draws[:, :n] < 0.5, -1, 1)
    return (signs * exponential[:, :n] / exponential.sum(1, keepdim=True)).reshape(shape)


@checked
def dropout_mask(seed, shape, *, rate, like):
    return (uniform(seed, shape, like=like) >= rate).to(like.dtype) / (1 - rate)
