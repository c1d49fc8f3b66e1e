import torch

from impls.checks import checked
from impls.torch.adversarial import _gradient, _scale
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
    with torch.no_grad():
        value, vjp = torch.func.vjp(loss, table)
        scale = _scale(value.amax())  # one for all: samples share tokens
        gradient = vjp(torch.ones_like(value) * scale)[0]  # (V, D)
    if gradient.is_sparse:
        gradient = gradient.to_dense()  # adds up what repeated tokens get
    return (radius * steepest(_wide(gradient) / scale, norm=norm, scope="tensor")).to(table.dtype).detach()


@checked
def perturb_output(loss, x, mask, *, radius, norm="l2", scope="sample"):
    gradient = _gradient(loss, x) * mask[:, :, None]  # (B, T, D)
    return (radius * steepest(gradient, norm=norm, scope=scope)).to(x.dtype).detach()
