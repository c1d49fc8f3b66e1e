import torch

from impls.checks import checked


@checked
def l2_norm(x):
    rows = x.reshape(x.shape[0], -1)  # (B, n)
    largest = rows.detach().abs().amax(1, keepdim=True)  # (B, 1)
    safe = torch.where(largest > 0, rows / torch.where(largest > 0, largest, 1), 1)  # no sqrt at 0: its slope is inf
    norm = largest[:, 0] * safe.square().sum(1).sqrt()
    return torch.where(largest[:, 0] == 0, 0, norm)  # (B,)


@checked
def unit(x, *, scope="sample"):
    rows = x.reshape(x.shape[0] if scope == "sample" else 1, -1)
    largest = rows.abs().amax(1, keepdim=True)
    rows = rows / torch.where(largest == 0, 1, largest)  # squares of 1e-30 would vanish in float32
    norm = rows.square().sum(1, keepdim=True).sqrt()
    return (rows / torch.where(norm == 0, 1, norm)).reshape(x.shape)


@checked
def steepest(x, *, norm="l2", scope="sample"):
    if norm == "l2":
        return unit(x, scope=scope)
    if norm == "linf":
        return torch.sign(x)
    if norm == "raw":
        return x
    rows = x.reshape(x.shape[0] if scope == "sample" else 1, -1).abs()
    largest = (rows == rows.amax(1, keepdim=True)).to(x.dtype)
    return torch.sign(x) * (largest / largest.sum(1, keepdim=True)).reshape(x.shape)


@checked
def project(x, *, radius, norm="l2"):
    rows = x.reshape(x.shape[0], -1)  # (B, n)
    if norm == "linf":
        return torch.clamp(x, -radius, radius)
    if norm == "l2":
        length = l2_norm(x)[:, None]
        inside = length <= radius
        return (rows * torch.where(inside, 1, radius / torch.where(inside, 1, length))).reshape(x.shape)
    gaps = rows.abs().amax(1, keepdim=True) - rows.abs()  # to the largest: keeps its digits where x is far outside
    count = torch.arange(1, rows.shape[1] + 1, dtype=x.dtype, device=x.device)
    level = ((gaps.sort(1).values.cumsum(1) + radius) / count).amin(1, keepdim=True)  # what is left of the largest
    inside = rows.abs().sum(1, keepdim=True) <= radius
    return torch.where(inside, rows, torch.sign(rows) * (level - gaps).clamp(min=0)).reshape(x.shape)
