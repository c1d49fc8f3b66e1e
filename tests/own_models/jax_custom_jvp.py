"""A custom rule whose first derivative is right, and is held fixed."""

import jax
import jax.numpy as jnp
import optax


@jax.custom_jvp
def cube(x):
    return x**3


@cube.defjvp
def along(points, directions):
    return cube(*points), jax.lax.stop_gradient(3 * points[0] ** 2) * directions[0]


keys = jax.random.split(jax.random.key(0), 3)
params = {"first": jax.random.normal(keys[0], (4, 6)) / 2, "second": jax.random.normal(keys[1], (6, 3)) / 2}


def model(params, x):
    return cube(jnp.tanh(x @ params["first"])) @ params["second"]


loss = optax.softmax_cross_entropy_with_integer_labels
batch = jax.random.normal(keys[2], (5, 4)), jnp.asarray([0, 1, 2, 1, 0])
