import torch

from impls.checks import checked
from impls.torch.derivatives import fixed_gradient
from impls.torch.norms import steepest


@checked
def normalize_embedding(table, frequencies):
    share = frequencies / frequencies.sum()
    shifted = table - table[share.argmax(keepdim=True)]  # a component that does not vary is then exactly 0
    centred = shifted - share @ shifted  # (V, D)
    variance = share @ centred.square()  # (D,)
    varies = variance > 0
    return torch.where(varies, centred / torch.where(varies, variance, 1).sqrt(), 0)


@checked
def perturb_table(loss, table, *, radius, norm="l2"):
    gradient = fixed_gradient(loss, table, copy=False)  # (V, D)
    if gradient.is_sparse:
        gradient = gradient.to_dense()  # adds up what repeated tokens get
    return (radius * steepest(gradient, norm=norm, scope="tensor")).detach()


@checked
def perturb_output(loss, x, mask, *, radius, norm="l2", scope="sample"):
    gradient = fixed_gradient(loss, x)  # (B, T, D)
    return (radius * steepest(gradient * mask[:, :, None], norm=norm, scope=scope)).detach()
