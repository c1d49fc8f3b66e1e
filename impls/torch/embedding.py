import torch

from impls.checks import checked
from impls.torch.adversarial import _gradient, _scale
from impls.torch.derivatives import fixed_gradient
from impls.torch.norms import _wide, steepest


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
    def scales(values):
        return torch.ones_like(values) * _scale(values.amax())  # one for all: samples share tokens

    gradient, weights = fixed_gradient(loss, table, scales, copy=False)  # (V, D)
    if gradient.is_sparse:
        gradient = gradient.to_dense()  # adds up what repeated tokens get
    return (radius * steepest(_wide(gradient) / weights[0], norm=norm, scope="tensor")).to(table.dtype).detach()


@checked
def perturb_output(loss, x, mask, *, radius, norm="l2", scope="sample"):
    gradient = _gradient(loss, x) * mask[:, :, None]  # (B, T, D)
    return (radius * steepest(gradient, norm=norm, scope=scope)).to(x.dtype).detach()
