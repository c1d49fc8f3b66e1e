import torch

from impls.checks import checked


@checked
def rademacher(seed, shape, *, like):
    generator = torch.Generator(like.device).manual_seed(seed)
    bits = torch.randint(0, 2, shape, generator=generator, dtype=like.dtype, device=like.device)
    return 2 * bits - 1


@checked
def gaussian(seed, shape, *, like):
    generator = torch.Generator(like.device).manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=like.dtype, device=like.device)
