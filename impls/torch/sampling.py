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
    return _drawn(torch.randn, seed, shape, like).to(like.dtype)


@checked
def uniform(seed, shape, *, like):  # what half precision would round to 1 stays below it
    return _uniform(seed, shape, like).to(like.dtype).clamp(max=1 - torch.finfo(like.dtype).eps / 2)


def _uniform(seed, shape, like):
    return _drawn(torch.rand, seed, shape, like)


def _drawn(draw, seed, shape, like):  # half precision has too few numbers between 0 and 1 to draw from
    generator = torch.Generator(like.device).manual_seed(seed)
    dtype = torch.promote_types(like.dtype, torch.float32)
    return draw(shape, generator=generator, dtype=dtype, device=like.device)


@checked
def uniform_sphere(seed, shape, *, like):
    return unit(_drawn(torch.randn, seed, shape, like)).to(like.dtype)


@checked
def uniform_ball(seed, shape, *, like, norm="l2"):
    return _ball(seed, shape, like, norm).to(like.dtype)


def _ball(seed, shape, like, norm):
    batch, n = shape[0], math.prod(shape[1:])
    if norm == "l2":  # the sphere of n + 2 dimensions, seen in n of them
        return unit(_drawn(torch.randn, seed, (batch, n + 2), like))[:, :n].reshape(shape)
    if norm == "linf":
        return 2 * _uniform(seed, shape, like) - 1
    draws = _uniform(seed, (batch, 2 * n + 1), like)
    exponential = -torch.log1p(-draws[:, n:])  # (B, n + 1)
    signs = torch.where(draws[:, :n] < 0.5, -1, 1)
    return (signs * exponential[:, :n] / exponential.sum(1, keepdim=True)).reshape(shape)


@checked
def dropout_mask(seed, shape, *, rate, like):
    return (_uniform(seed, shape, like) >= rate).to(like.dtype) / (1 - rate)
