"""What a framework cannot do, and what was done instead. Each line is proven: when it stops being true, it fails.

Every method of the contract is there in every framework, so the lines are about ways and modes, not about holes.
"""

import importlib
import platform

import numpy as np
import pytest


def torch_compiles_no_double_backward():
    """So the bridge's "compiled" traces the whole step first, and one-liners refuse a compiled model's penalty."""
    torch = importlib.import_module("torch")
    model = torch.compile(torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Tanh()), backend="aot_eager")
    x = torch.ones(2, 3, requires_grad=True)
    gradient = torch.autograd.grad(model(x).sum(), x, create_graph=True)[0]
    with pytest.raises(RuntimeError, match="double backward"):
        gradient.square().sum().backward()


def torch_differentiates_layer_norm_and_determinants_wrongly():
    """So closures compute these by formulas in forward mode, and where second derivatives are differentiated."""
    torch = importlib.import_module("torch")
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((4, 4))) + 2 * torch.eye(4)
    layer_norm = torch.nn.functional.layer_norm

    def by_hand(h, shape):
        centred = h - h.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()

    def along(function, x):  # the second derivative along x itself, forward over forward
        return torch.func.jvp(lambda z: torch.func.jvp(function, (z,), (x,))[1], (x,), (x,))[1]

    def third(norm):  # reverse mode alone, along x
        leaf, value = x.clone().requires_grad_(), None
        value = norm(leaf, (4,)).sin().sum()
        for _ in range(3):
            value = (torch.autograd.grad(value, leaf, create_graph=True)[0] * x).sum()
        return value.detach()

    def second(norm):
        return along(lambda h: norm(h + h.flip(0) * h, (4,)).sin().sum(), x)

    assert abs(second(layer_norm) / second(by_hand) - 1) > 0.01
    assert abs(third(lambda h, shape: layer_norm(h * h, shape)) / third(lambda h, s: by_hand(h * h, s)) - 1) > 0.01
    log_det = along(lambda h: torch.linalg.slogdet(h)[1], x)  # n log t along x itself: -n in truth
    assert abs(log_det + 4) > 0.1


def torch_loses_a_part_behind_sparse_tensors_of_values():
    """So closures make them by two functions of ours, each of which is the other's derivative."""
    torch = importlib.import_module("torch")

    def second(made):  # of t⁶, at 1: 30
        leaf = torch.ones(1, dtype=torch.float64, requires_grad=True)
        value = made(leaf**2).sum() ** 3
        first = torch.autograd.grad(value, leaf, create_graph=True)[0]
        return float(torch.autograd.grad(first.sum(), leaf)[0])

    place = torch.tensor([[0]])
    assert second(lambda values: values) == 30
    assert second(lambda values: torch.sparse_coo_tensor(place, values, (2,), check_invariants=True).to_dense()) != 30


def tensorflow_tapes_misread_nested_accumulators():
    """So the forward Laplacian runs in a tf.function of its own, which is one operation to the tapes around it."""
    tf = importlib.import_module("tensorflow")
    x, weight = tf.constant(np.linspace(-1, 1, 12).reshape(4, 3)), tf.constant(np.linspace(-1, 2, 6).reshape(3, 2))

    def second(weight):  # along ones, forward over forward
        with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as outer:
            with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as inner:
                values = tf.tanh(x @ weight)
            along = inner.jvp(values)
        return outer.jvp(along)

    def written_out(weight):
        t = tf.tanh(x @ weight)
        return -2 * t * (1 - t * t) * tf.reduce_sum(weight, 0) ** 2

    def slope(function):
        @tf.function(autograph=False)
        def of(weight):
            with tf.GradientTape() as tape:
                tape.watch(weight)
                total = tf.reduce_sum(function(weight))
            return tape.gradient(total, weight)

        return of(weight).numpy()

    np.testing.assert_allclose(second(weight).numpy(), written_out(weight).numpy(), atol=1e-13)
    assert np.abs(slope(second) - slope(written_out)).max() > 0.1 * np.abs(slope(written_out)).max()
    with tf.GradientTape() as tape:
        tape.watch(weight)
        values = second(weight)
    with pytest.raises(tf.errors.InternalError, match="too few gradients"):
        tape.gradient(values, weight)


def xla_fuses_some_reductions_wrongly_on_a_cpu():
    """So every step is held against the oracle at the size at which it is timed: at smaller ones this is right."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        pytest.skip("seen on this kind of machine alone")
    jax, jnp = importlib.import_module("jax"), importlib.import_module("jax.numpy")
    rng, n, batch = np.random.default_rng(0), 784, 64
    x, weight = rng.standard_normal((batch, n)).astype("float32"), rng.standard_normal((n, 10)).astype("float32") / 28
    units = jnp.broadcast_to(jnp.eye(n, dtype=x.dtype)[:, None], (n, batch, n))

    def loss(x):
        return jnp.log(jnp.exp(x @ weight).sum(1))

    def laplacian(x):
        second = lambda v: jax.jvp(lambda x: jax.jvp(loss, (x,), (v,))[1], (x,), (v,))[1]  # noqa: E731
        return jax.vmap(second)(units).mean(0) * n

    p = np.exp(x.astype(float) @ weight)
    p /= p.sum(1, keepdims=True)
    exact = p @ (weight.astype(float) ** 2).sum(0) - ((p @ weight.T) ** 2).sum(1)
    assert np.abs(jax.jit(laplacian)(x) - exact).max() > 0.01 * np.abs(exact).max()


def folx_knows_functions_by_their_names():
    """So a loss may not jit a function of its own under the name of a well-known one, where how="forward"."""
    jax, folx = importlib.import_module("jax"), importlib.import_module("folx")

    @jax.jit
    def sigmoid(x):
        return x**3

    x = jax.numpy.array([1.0, 2.0])
    found = folx.forward_laplacian(lambda x: sigmoid(x).sum())(x).laplacian
    assert abs(found - 18) > 1  # Σ 6x


LEDGER = {
    "torch": [
        torch_compiles_no_double_backward,
        torch_differentiates_layer_norm_and_determinants_wrongly,
        torch_loses_a_part_behind_sparse_tensors_of_values,
    ],
    "jax": [folx_knows_functions_by_their_names, xla_fuses_some_reductions_wrongly_on_a_cpu],
    "tensorflow": [tensorflow_tapes_misread_nested_accumulators],
}


@pytest.mark.slow
def test_the_ledger_is_still_true(framework, bridge):
    for line in LEDGER[framework]:
        line()
