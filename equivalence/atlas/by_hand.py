"""Operations by hand, from elementary ones of NumPy, in whatever precision comes in."""

import numpy as np


def layer_norm(x, w=1, b=0, eps=1e-5, axes=(-1,)):
    mean = x.mean(axes, keepdims=True)
    variance = ((x - mean) ** 2).mean(axes, keepdims=True)
    return (x - mean) / np.sqrt(variance + eps) * w + b


def group_norm(x, groups, w=1, b=0, eps=1e-5):
    """Of (N, C, L)."""
    n, c, length = x.shape
    parts = layer_norm(x.reshape(n, groups, -1), eps=eps).reshape(n, c, length)
    return parts * np.reshape(w, (-1, 1)) + np.reshape(b, (-1, 1))


def rms_norm(x, w=1, eps=1e-5):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * w


def softplus(x):
    return np.log1p(np.exp(x))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x, axis=-1):
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


def log_softmax(x, axis=-1):
    return x - logsumexp(x, axis)[..., None] if axis == -1 else np.log(softmax(x, axis))


def logsumexp(x, axis=-1):
    return np.log(np.exp(x).sum(axis))


def attention(q, k, v, mask=0):
    scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.dtype.type(q.shape[-1])) + mask
    return softmax(scores) @ v


def gelu_tanh(x):
    return x / 2 * (1 + np.tanh(np.sqrt(2 / x.dtype.type(np.pi)) * (x + x.dtype.type("0.044715") * x**3)))


def causal(length):
    """What is added to scores so that none sees what comes after."""
    return np.where(np.tri(length, dtype=bool), 0, -1e30)


def determinant(x):
    """Of (..., n, n), along the first row."""
    if x.shape[-1] == 1:
        return x[..., 0, 0]
    rest = [np.delete(x[..., 1:, :], column, -1) for column in range(x.shape[-1])]
    return sum((-1) ** column * x[..., 0, column] * determinant(minor) for column, minor in enumerate(rest))


def solve(a, b):
    """A⁻¹b by Cramer's rule, b (n,)."""
    columns = [np.concatenate([a[:, :i], b[:, None], a[:, i + 1 :]], axis=1) for i in range(len(b))]
    return np.array([determinant(each) for each in columns]) / determinant(a)


def windows(x, size, axis, pad=False):
    """All runs of so many neighbours along an axis, as a new last axis; padded with zeros, as many runs as numbers."""
    if pad:
        before = size // 2
        x = np.pad(x, [(before, size - 1 - before) if each == axis else (0, 0) for each in range(x.ndim)])
    return np.lib.stride_tricks.sliding_window_view(x, size, axis)


def patches(x, size):
    """All windows of the last two axes: (..., rows, columns, size, size)."""
    return np.lib.stride_tricks.sliding_window_view(x, (size, size), (-2, -1))


def conv2d(x, kernel):
    """(N, C, H, W) with (O, C, k, k)."""
    return np.einsum("nchwij,ocij->nohw", patches(x, kernel.shape[-1]), kernel)


def conv1d(x, kernel):
    """(N, C, L) with (O, C, k)."""
    return np.einsum("nclk,ock->nol", windows(x, kernel.shape[-1], 2), kernel)
