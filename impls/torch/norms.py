import torch

from impls.checks import check_step, checked


@checked
def l2_norm(x):
    scaled, largest = _scaled(_wide(x).reshape(x.shape[0], -1))
    return (largest * _root(scaled, largest))[:, 0].to(x.dtype)  # (B,)


@checked
def unit(x, *, scope="sample"):
    scaled, largest = _scaled(_wide(x).reshape(x.shape[0] if scope == "sample" else 1, -1))
    return (scaled / _root(scaled, largest)).reshape(x.shape).to(x.dtype)


@checked
def steepest(x, *, norm="l2", scope="sample"):
    if norm == "l2":
        return unit(x, scope=scope)
    if norm == "linf":
        return torch.sign(x)
    if norm == "raw":
        return x
    rows = _wide(x).reshape(x.shape[0] if scope == "sample" else 1, -1).abs()
    largest = (rows == rows.amax(1, keepdim=True)).to(rows.dtype)
    return torch.sign(x) * (largest / largest.sum(1, keepdim=True)).reshape(x.shape).to(x.dtype)


@checked
def project(x, *, radius, norm="l2"):
    rows = _wide(x).reshape(x.shape[0], -1)  # (B, n)
    if norm == "linf":
        nearest = torch.clamp(rows, -radius, radius)
    elif norm == "l2":
        inside = l2_norm(rows)[:, None] <= radius
        nearest = torch.where(inside, rows, radius * unit(torch.where(inside, 1, rows)))
    else:
        sizes = rows.abs()
        gaps = sizes.amax(1, keepdim=True) - sizes  # to the largest: keeps its digits where x is far outside
        count = torch.arange(1, rows.shape[1] + 1, dtype=rows.dtype, device=x.device)
        level = ((gaps.sort(1).values.cumsum(1) + radius) / count).amin(1, keepdim=True)  # what is left of the largest
        inside = sizes.sum(1, keepdim=True) <= radius
        nearest = torch.where(inside, rows, torch.sign(rows) * (level - gaps).clamp(min=0))
    return nearest.reshape(x.shape).to(x.dtype)


def _wide(x):  # half precision is computed with in float32
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _scaled(rows):  # divided by their largest entries, which are held fixed; by ∞ where all are 0: 0, and so its slope
    largest = rows.detach().abs().amax(1, keepdim=True)  # (B, 1)
    return rows / torch.where(largest == 0, torch.inf, largest), largest


def _root(scaled, largest):  # of the sum of squares; 1 where all are 0: there is no slope of a root of 0
    return (scaled.square().sum(1, keepdim=True) + (largest == 0)).sqrt()


def _step(xi, x, values, order):  # None: where an error of (ξ/size)^order is as large as rounding's u·size/ξ
    u = max(torch.finfo(array.dtype).eps / 2 for array in (x, values))
    info = torch.finfo(x.dtype)
    check_step(xi, info.tiny * info.eps, x.dtype)
    size = l2_norm(_wide(x)).clamp(min=1).reshape(-1, *[1] * (x.dim() - 1))
    return u ** (1 / (order + 1)) * size if xi is None else xi * torch.ones_like(size)  # (B, 1, ..., 1)
