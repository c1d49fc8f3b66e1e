"""cleverhans in JAX: the length of the L2 fast gradient step."""

import sys
import types

import jax

stax = sys.modules["jax.experimental.stax"] = types.ModuleType("stax")  # what JAX has moved since
stax.logsoftmax = jax.nn.log_softmax
from cleverhans.jax.attacks.fast_gradient_method import fast_gradient_method

x = jax.numpy.ones((1, 4))
for eps in (0.1, 0.5, 2.0):
    r = fast_gradient_method(lambda x: jax.numpy.pad(x, ((0, 0), (0, 6))), x, eps, 2) - x
    print(f"eps = {eps}: ‖r‖ {jax.numpy.linalg.norm(r):.3f}, asked for {eps}")
