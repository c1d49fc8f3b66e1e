import jax
import jax.numpy as jnp

from impls.checks import checked


@checked
def noisy_loss(loss, x, noise):
    return jax.vmap(lambda z: loss(x + z))(noise).mean(0)  # (K, B) -> (B,)


@checked
def consistency_loss(divergence, f, x, noise, *, outputs=None):
    clean = f(x) if outputs is None else outputs  # (B, C)
    return jax.vmap(lambda z: divergence(clean, f(x + z)))(noise).mean(0)  # (K, B) -> (B,)


@checked
def dropout_loss(loss, x, masks):
    return jax.vmap(lambda mask: loss(x * mask))(masks).mean(0)  # (K, B) -> (B,)


@checked
def smooth_labels(labels, *, smoothing, like):
    if labels.ndim == 1:
        labels = labels[:, None] == jnp.arange(like.shape[-1])[None]
    return (1 - smoothing) * labels.astype(like.dtype) + smoothing / like.shape[-1]  # (B, C)
