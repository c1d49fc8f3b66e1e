"""JAX's Laplacian by folx starts from a diagonal Jacobian: right through any first layer, and a layer's work shared."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest

import impls

if (os.environ.get("EQUIREG_FRAMEWORK") or next(iter(impls.installed()), "")) != "jax":
    pytest.skip("another framework is tested in this process", allow_module_level=True)

import jax
import jax.numpy as jnp

from bench.places import ROOT
from impls.jax.curvature import laplacian
from tests.quick import mostly_slow

pytestmark = pytest.mark.usefixtures("bridge")  # configures JAX before an array is made
BATCH, STEPS, WIDTH = 3, 4, 6
SHAPES = {
    "x": (BATCH, STEPS, WIDTH),
    "mask": (BATCH, STEPS),
    "dense": (STEPS * WIDTH, 5),
    "shared": (WIDTH, 5),
    "square": (WIDTH, WIDTH),
    "kernel": (2, STEPS, 3),
    "layers": (2, WIDTH, WIDTH),
}


@pytest.fixture(scope="module")
def a(bridge):
    rng = np.random.default_rng(0)
    return {name: jnp.asarray(rng.standard_normal(shape)) for name, shape in SHAPES.items()}


def dense(x, a):
    return jnp.tanh(x.reshape(BATCH, -1) @ a["dense"])


def shared(x, a):
    return jnp.tanh(x @ a["shared"])


def convolved(x, a):
    return jnp.tanh(jax.lax.conv(x, a["kernel"], (1,), "SAME"))


def looped(x, a):
    return jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), x, a["layers"])[0]


FIRST = {"dense": dense, "shared": shared, "convolved": convolved}
MODELS = FIRST | {
    "looped": looped,
    "looped later": lambda x, a: looped(jnp.tanh(x @ a["square"]), a),
    "masked": lambda x, a: dense(x * a["mask"][:, :, None], a),
    "standardised": lambda x, a: convolved((x - 0.3) / 0.7, a),
    "not linear before": lambda x, a: dense(jnp.sin(x), a),
    "in another order": lambda x, a: dense(x.transpose(0, 2, 1)[:, ::-1], a),
    "weights on the left": lambda x, a: jnp.tanh(a["dense"].T @ x.reshape(BATCH, -1).T).T,
    "twice in a row": lambda x, a: dense(jnp.concatenate([x[:, :2], x[:, :2]], 1), a),
    "in part": lambda x, a: shared(x[:, 1:3], a),
    "padded": lambda x, a: shared(jnp.pad(x, ((0, 0), (1, 1), (0, 0))), a),
    "normalised": lambda x, a: shared((x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True), a),
    "attention": lambda x, a: jax.nn.softmax(x @ a["square"] @ x.transpose(0, 2, 1)) @ x,
    "past the layer": lambda x, a: x + jnp.tanh(x @ a["square"]),
}


@pytest.mark.parametrize("model", mostly_slow(MODELS, [*FIRST, "looped", "in part"]))
def test_both_ways_agree_whatever_the_first_layer_is(a, model):
    def loss(x):
        return jnp.square(MODELS[model](x, a)).reshape(BATCH, -1).sum(1)

    forwards = jax.jit(lambda x: laplacian(loss, x, how="forward"))(a["x"])
    np.testing.assert_allclose(forwards, laplacian(loss, a["x"]), rtol=1e-10)


@pytest.mark.parametrize("model", FIRST.values(), ids=FIRST)
def test_the_first_layer_maps_unit_vectors_once_for_all_samples(a, model):
    def loss(x):
        return model(x, a).reshape(BATCH, -1).sum(1)

    inputs = math.prod(SHAPES["x"][1:])
    steps = jax.make_jaxpr(lambda x: laplacian(loss, x, how="forward"))(a["x"]).eqns
    layers = [step for step in steps if step.primitive.name in ("dot_general", "conv_general_dilated")]
    assert max(step.invars[0].aval.size for step in layers) == inputs * inputs  # not inputs * BATCH * inputs


# folx is not needed by what does not use it.


def test_everything_else_does_without_folx():
    code = (
        "import sys; sys.modules['folx'] = None  # as if it were not installed\n"
        "import impls, jax.numpy as jnp\n"
        "methods, x = impls.methods('jax'), jnp.ones((2, 3))\n"
        "loss = lambda x: (x**2).sum(1)\n"
        "assert methods.fgm(loss, x, radius=1.0).shape == (2, 3)\n"
        "assert methods.laplacian(loss, x).tolist() == [6, 6]\n"
        "try:\n"
        "    methods.laplacian(loss, x, how='forward')\n"
        "except ModuleNotFoundError as error:\n"
        "    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.startswith("how: got 'forward' without probes, which needs folx: pip install folx"), done.stderr


def test_versions_are_of_what_is_installed(bridge, monkeypatch):
    assert set(bridge.versions()) == {"jax", "jaxlib", "folx"}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert set(bridge.versions()) == {"jax", "jaxlib"}
