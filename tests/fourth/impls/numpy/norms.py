import numpy as np
from impls.checks import checked


@checked
def l2_norm(x):
    rows = x.reshape(len(x), -1)
    largest = np.abs(rows).max(1)
    scale = np.where(largest == 0, 1, largest)
    return scale * np.sqrt(np.square(rows / scale[:, None]).sum(1))


@checked
def unit(x, *, scope="sample"):
    rows = x.reshape(len(x) if scope == "sample" else 1, -1)
    largest = np.abs(rows).max(1, keepdims=True)
    rows = rows / np.where(largest == 0, 1, largest)
    norm = np.sqrt(np.square(rows).sum(1, keepdims=True))
    return (rows / np.where(norm == 0, 1, norm)).reshape(x.shape)


@checked
def steepest(x, *, norm="l2", scope="sample"):
    if norm == "l2":
        return unit(x, scope=scope)
    if norm == "linf":
        return np.sign(x)
    if norm == "raw":
        return x
    rows = np.abs(x.reshape(len(x) if scope == "sample" else 1, -1))
    largest = (rows == rows.max(1, keepdims=True)).astype(x.dtype)
    return np.sign(x) * (largest / largest.sum(1, keepdims=True)).reshape(x.shape)
