import jax
import jax.numpy as jnp

from impls.checks import checked
from impls.jax.norms import _wide


@checked
def cross_entropy(logits, labels):
    log_p = jax.nn.log_softmax(_wide(logits), axis=-1)  # (B, C)
    if labels.ndim == 1:
        labels = (labels[:, None] == jnp.arange(logits.shape[-1])[None]).astype(log_p.dtype)
    return -(labels * log_p).sum(-1)  # (B,)


@checked
def squared_error(outputs, targets):
    return jnp.square(_wide(outputs) - _wide(targets)).sum(-1)  # (B,)


@checked
def kl_divergence(p_logits, q_logits):
    log_p = jax.nn.log_softmax(_wide(p_logits), axis=-1)  # (B, C)
    log_q = jax.nn.log_softmax(_wide(q_logits), axis=-1)
    ratio = log_p - log_q
    near = jnp.abs(ratio) < 1
    small = jnp.where(near, ratio, 0)
    close = jnp.exp(log_p) * (small + jnp.expm1(-small))  # ≥ 0: does not cancel where p is close to q
    far = jnp.exp(log_p) * ratio + jnp.exp(log_q) - jnp.exp(log_p)  # the same term, where expm1 could overflow
    return jnp.where(near, close, far).sum(-1)  # (B,)


@checked
def entropy(logits):
    log_p = jax.nn.log_softmax(_wide(logits), axis=-1)  # (B, C)
    return -(jnp.exp(log_p) * log_p).sum(-1)  # (B,)
