"""Every method of the oracle and its gradient against 50 digits."""

import inspect
import itertools

import mpmath
import numpy as np
import pytest

from equivalence import oracle
from equivalence.oracle import pullbacks, values
from tests.oracle.exact import (
    LOSSES,
    bent,
    close,
    cross_entropy,
    entropy,
    gradients,
    kl,
    lengths,
    log_p,
    pointed,
    wrong_blocks,
)
from tests.oracle.forward import exp, precise, problem

# Methods: each value against differences with 50 digits, each gradient against differences of that value.


def methods(p):
    """name -> (namespace -> the oracle's result, exact (params, x) -> (B,))."""
    rng = np.random.default_rng(9)
    y, loss = np.eye(p.classes)[p.labels], oracle.Loss(p.f, "cross_entropy", p.labels)
    noise, probes = 0.3 * rng.standard_normal((2, *p.x.shape)), rng.standard_normal((2, *p.x.shape))
    critic, mix = oracle.Loss(p.f, "value", p.labels), np.array([0.3, 0.9])
    weights, class_probes = rng.uniform(0.5, 2, (2, p.classes)), rng.standard_normal((2, 2, p.classes))
    ones, start = np.ones_like(weights), rng.standard_normal(p.x.shape)
    clean = precise(p.f(p.x))
    found = {}

    def method(name, ours):
        return lambda exact: found.update({name: (ours, exact)})

    def losses(params):
        return lambda x: cross_entropy(p.forward(params, x), y)

    def squares(params, x, outputs, weights, probes):
        rows = gradients(lambda x: outputs(p.forward(params, x)), x)  # (B, n, C)
        if probes is None:
            return ((rows**2).sum(1) * weights).sum(1)
        return sum(((rows * (eta * weights**0.5)[:, None]).sum(2) ** 2).sum(1) for eta in probes) / len(probes)

    norms = {
        "l2_squared": lambda g: (g**2).sum(1),
        "l2": lambda g: (g**2).sum(1) ** mpmath.mpf("0.5"),
        "l1": lambda g: abs(g).sum(1),
    }
    for norm, of in norms.items():
        method(f"input_gradient_penalty {norm}", lambda m, norm=norm: m.input_gradient_penalty(loss, p.x, norm=norm))(
            lambda params, x, of=of: of(gradients(losses(params), x))
        )
        method(
            f"input_gradient_penalty {norm} forward",
            lambda m, norm=norm: m.input_gradient_penalty(loss, p.x, norm=norm, how="forward_over_reverse"),
        )(found[f"input_gradient_penalty {norm}"][1])
    for w, e in itertools.product((None, weights), (None, class_probes)):
        name = f"jacobian_penalty{' weights' if w is not None else ''}{' probes' if e is not None else ''}"
        method(name, lambda m, w=w, e=e: m.jacobian_penalty(p.f, p.x, weights=w, probes=e))(
            lambda params, x, w=w, e=e: squares(params, x, lambda f: f, ones if w is None else w, e)
        )
    for e in (None, class_probes):
        end = "" if e is None else " probes"
        method(
            f"tikhonov_penalty squared{end}", lambda m, e=e: m.tikhonov_penalty("squared_error", p.f, p.x, probes=e)
        )(lambda params, x, e=e: 2 * squares(params, x, lambda f: f, ones, e))
        method(f"tikhonov_penalty kl{end}", lambda m, e=e: m.tikhonov_penalty("kl_divergence", p.f, p.x, probes=e))(
            lambda params, x, e=e: squares(params, x, log_p, exp(log_p(p.forward(params, x))), e)
        )
    for name, weight, target in (("", mix, 0.2), (" R1", np.ones(2), 0.0)):
        method(
            f"wgan_gradient_penalty{name}",
            lambda m, w=weight, t=target: m.wgan_gradient_penalty(critic, p.x, start, w, target=t),
        )(
            lambda params, x, w=weight[:, None], t=target: (
                (lengths(gradients(lambda x: p.forward(params, x)[:, 0], w * x + (1 - w) * start))[:, 0] - t) ** 2
            )
        )
    method("noisy_loss", lambda m: m.noisy_loss(loss, p.x, noise))(
        lambda params, x: sum(losses(params)(x + z) for z in noise) / 2
    )
    method("dropout_loss", lambda m: m.dropout_loss(loss, p.x, 1 + noise))(
        lambda params, x: sum(losses(params)(x * mask) for mask in 1 + noise) / 2
    )
    for weight in (0.5, 0.0):
        method(f"adversarial_loss {weight}", lambda m, w=weight: m.adversarial_loss(loss, p.x, start, clean_weight=w))(
            lambda params, x, w=weight: w * losses(params)(x) + (1 - w) * losses(params)(x + start)
        )
    for name in ("squared_error", "kl_divergence", "reverse_kl_divergence"):
        exact = LOSSES[name][0]
        method(f"consistency_loss {name}", lambda m, name=name: m.consistency_loss(getattr(m, name), p.f, p.x, noise))(
            lambda params, x, exact=exact: sum(exact(p.forward(params, x), p.forward(params, x + z)) for z in noise) / 2
        )
    method("laplacian", lambda m: m.laplacian(loss, p.x))(
        lambda params, x: sum(bent(losses(params), x, unit) for unit in np.eye(3, dtype=int))
    )
    method("laplacian forward", lambda m: m.laplacian(loss, p.x, how="forward"))(found["laplacian"][1])
    method("laplacian probes", lambda m: m.laplacian(loss, p.x, probes=probes))(
        lambda params, x: sum(bent(losses(params), x, v) for v in probes) / 2
    )
    for how in ("power", "lanczos"):
        vector = values.top_eigenpair(loss, p.x, start, steps=1, how=how)[1]  # held fixed; it has tests of its own
        method(f"top_eigenpair {how}", lambda m, how=how: m.top_eigenpair(loss, p.x, start, steps=1, how=how)[0])(
            lambda params, x, vector=vector: bent(losses(params), x, vector)
        )
    for how in ("fisher", "finite_difference", "exact"):
        r = values.vat_perturbation(p.f, p.x, start, radius=0.5, how=how)
        method(f"vat_loss {how}", lambda m, how=how: m.vat_loss(p.f, p.x, start, radius=0.5, how=how))(
            lambda params, x, r=r: kl(clean, p.forward(params, x + r))
        )
    method("vat_loss entropy", lambda m: m.vat_loss(p.f, p.x, start, radius=0.5, how="exact", entropy_weight=0.7))(
        lambda params, x, r=r: kl(clean, p.forward(params, x + r)) + 0.7 * entropy(p.forward(params, x))
    )
    return found


METHODS = tuple(methods(problem("mlp")))


@pytest.mark.parametrize("name", METHODS)
def test_methods_and_their_gradients(name):
    p = problem("mlp")
    ours, exact = methods(p)[name]
    c = np.array([0.7, -1.3])
    assert close(ours(values), exact(precise(p.params), precise(p.x)))
    assert wrong_blocks(ours(pullbacks)(c), lambda *point: (c * exact(*point)).sum(), p.params, p.x) == []


VALUES_ONLY = {
    "log_softmax",
    "softmax",
    "l2_norm",
    "unit",
    "steepest",
    "project",
    "smooth_labels",
    "jacobian",
    "hessian",
}


SHARING = {"with_loss", "with_outputs"}  # save a forward pass, and change no number


def test_pullbacks_have_the_parameters_of_the_values():
    assert vars(values).keys() - vars(pullbacks).keys() == VALUES_ONLY
    for name in vars(values).keys() - VALUES_ONLY - LOSSES.keys() - {"entropy"}:  # those are of arrays, all in one form
        got, wanted = (inspect.signature(getattr(space, name)).parameters for space in (pullbacks, values))
        named = {key: value.default for key, value in got.items() if value.kind is not value.VAR_KEYWORD}
        assert named.items() <= {key: value.default for key, value in wanted.items()}.items(), name
        assert len(named) < len(got) or named.keys() == wanted.keys() - SHARING, name


@pytest.mark.parametrize("norm", ["l2_squared", "l2", "l1"])
def test_gradient_of_a_gradient_penalty_by_a_difference(norm):
    """It is that of the loss's difference along ∂N/∂g, which is held fixed."""
    p, xi, c = problem("mlp"), 0.02, np.array([0.7, -1.3])
    losses = lambda params, x: cross_entropy(p.forward(params, x), np.eye(3)[p.labels])  # noqa: E731
    g = gradients(lambda x: losses(precise(p.params), x), precise(p.x))
    d = {"l2_squared": 2 * g, "l2": g / lengths(g), "l1": pointed(g, "linf")}[norm]
    length = lengths(d)
    step, weight = xi * d / length, c * length[:, 0] / (2 * xi)
    total = lambda params, x: (weight * (losses(params, x + step) - losses(params, x - step))).sum()  # noqa: E731
    loss = oracle.Loss(p.f, "cross_entropy", p.labels)

    def ours(**options):
        return pullbacks.input_gradient_penalty(loss, p.x, norm=norm, **options)(c)[1]["0.weight"]

    found = pullbacks.input_gradient_penalty(loss, p.x, norm=norm, how="finite_difference", xi=xi)(c)
    assert wrong_blocks(found, total, p.params, p.x) == []
    coarse, fine = (np.abs(ours(how="finite_difference", xi=xi) - ours()).max() for xi in (1e-2, 5e-3))
    assert coarse / fine == pytest.approx(4, rel=0.01)  # its error is O(ξ²)
