import jax
import jax.numpy as jnp

from impls.checks import checked
from impls.jax.replicas import _sharing


@checked
def parameter_gradient_penalty(loss, params, *, rate):
    gradient = jax.grad(lambda params: _mean(loss(params), params))(params)
    return 0.25 * rate * sum(jnp.square(part).sum() for part in gradient.values())


def _mean(values, params):  # over all replicas that share the parameters: their gradient is summed over these
    axes = _sharing(values, *params.values())
    return jax.lax.pmean(values.mean(), axes) if axes else values.mean()


@checked
def flooding(loss, *, level):
    above = loss - level
    return jnp.sign(above) * above + level  # |L - b|, of slope 0 at 0, where jnp.abs has 1


@checked
def weight_noise(loss, params, noise):
    def noisy(z):
        return loss({name: params[name] + z[name] for name in params})  # (B,)

    return jax.vmap(noisy)(noise).mean(0)  # (K, B) -> (B,)
