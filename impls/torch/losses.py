import torch

from impls.checks import checked
from impls.torch.norms import _wide


@checked
def cross_entropy(logits, labels):
    log_p = torch.log_softmax(_wide(logits), dim=-1)  # (B, C)
    if labels.dim() == 1:  # a comparison, not one_hot: that one reads values and cannot be traced
        labels = (labels[:, None] == torch.arange(logits.shape[-1], device=labels.device)).to(log_p.dtype)
    return -(labels * log_p).sum(-1)  # (B,)


@checked
def squared_error(outputs, targets):
    return (_wide(outputs) - _wide(targets)).square().sum(-1)  # (B,)


@checked
def kl_divergence(p_logits, q_logits):
    log_p = torch.log_softmax(_wide(p_logits), dim=-1)  # (B, C)
    log_q = torch.log_softmax(_wide(q_logits), dim=-1)
    ratio = log_p - log_q
    near = ratio.abs() < 1
    small = torch.where(near, ratio, 0)
    close = log_p.exp() * (small + torch.expm1(-small))  # ≥ 0: does not cancel where p is close to q
    far = log_p.exp() * ratio + log_q.exp() - log_p.exp()  # the same term, where expm1 could overflow
    return torch.where(near, close, far).sum(-1)  # (B,)


@checked
def entropy(logits):
    log_p = torch.log_softmax(_wide(logits), dim=-1)  # (B, C)
    return -(log_p.exp() * log_p).sum(-1)  # (B,)
