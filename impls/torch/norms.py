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
