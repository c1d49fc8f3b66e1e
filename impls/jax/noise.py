import jax

from impls.checks import checked


@checked
def noisy_loss(loss, x, noise):
    return jax.vmap(lambda z: loss(x + z))(noise).mean(0)  # (K, B) -> (B,)


@checked
def consistency_loss(divergence, f, x, noise):
    clean = f(x)  # (B, C)
    return jax.vmap(lambda z: divergence(clean, f(x + z)))(noise).mean(0)  # (K, B) -> (B,)
