"""JAX's global state: its configuration. It has no generator of random numbers."""

import jax

from equivalence.state import Setting


def update(values):
    """Set what differs; setting the rest would have functions compiled anew."""
    for name, value in values.items():
        if jax.config.values[name] != value:
            jax.config.update(name, value)


SETTINGS = {"JAX's configuration": Setting(lambda: jax.config.values, update, {"jax_enable_x64": False})}
GENERATORS = {}
