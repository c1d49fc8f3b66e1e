"""Conventions of the oracle at zero gradients, and what it holds fixed."""

import numpy as np

from equivalence import oracle
from equivalence.oracle import derivative, pullbacks, values
from tests.oracle.exact import SIZES, OfTable, all_zero
from tests.oracle.forward import problem


def zero_gradient():
    """A network that ignores x: every gradient in x is 0."""
    p = problem("mlp")
    f = oracle.Model("mlp", p.params | {"0.weight": np.zeros((4, 3))})
    return p, f, oracle.Loss(f, "cross_entropy", p.labels)


def test_zero_gradients_give_zero_perturbations_and_finite_penalties():
    p, f, loss = zero_gradient()
    for norm in ("l2", "linf", "l1", "raw"):
        assert (values.fgm(loss, p.x, radius=1.0, norm=norm) == 0).all()
    for norm in SIZES:
        assert (values.pgd(loss, p.x, 0 * p.x, radius=1.0, step=0.5, steps=2, norm=norm) == 0).all()
    for how in ("fisher", "finite_difference", "exact"):
        assert (values.vat_perturbation(f, p.x, p.x, radius=1.0, how=how) == 0).all()
        assert (values.vat_loss(f, p.x, p.x, radius=1.0, how=how) == 0).all()
    for norm in ("l2_squared", "l2", "l1"):
        assert (values.input_gradient_penalty(loss, p.x, norm=norm) == 0).all()
        for how in ("double_backward", "finite_difference"):
            pulled = pullbacks.input_gradient_penalty(loss, p.x, norm=norm, how=how)(np.ones(2))
            assert all_zero(pulled, p.x, p.params)
    critic, mix = oracle.Loss(f, "value", p.labels), np.full(2, 0.5)
    assert (values.wgan_gradient_penalty(critic, p.x, -p.x, mix, target=2.0) == 4).all()
    assert all_zero(pullbacks.wgan_gradient_penalty(critic, p.x, -p.x, mix, target=2.0)(np.ones(2)), p.x, p.params)


def test_the_slope_of_a_norm_whose_square_underflows_is_lost_and_no_other():
    p = problem("mlp")
    last = max(name for name in p.params if name.endswith("weight"))
    for size, kept in ((1.0, 1.0), (1e-30, 0.0)):
        f = oracle.Model("mlp", p.params | {last: size * p.params[last]})
        critic, mix = oracle.Loss(f, "cross_entropy", p.labels), np.full(2, 0.5)
        penalties = {
            "wgan": lambda m, c=critic, mix=mix: m.wgan_gradient_penalty(c, p.x, -p.x, mix),
            "l2": lambda m, c=critic: m.input_gradient_penalty(c, p.x, norm="l2"),
        }
        for name, penalty in penalties.items():
            exact = penalty(pullbacks)(np.ones(2))[1][last]
            with oracle.underflowed(1e-38):  # float32's
                value, found = penalty(values), penalty(pullbacks)(np.ones(2))[1][last]
            np.testing.assert_allclose(value, penalty(values), atol=1e-18)
            np.testing.assert_allclose(found, kept * exact, atol=1e-10 * abs(exact).max(), err_msg=name)


def test_perturbations_are_held_fixed():
    p, sequences = problem("mlp"), problem("linear")
    loss = oracle.Loss(p.f, "cross_entropy", p.labels)
    ascents = {"radius": 0.5, "step": 0.3, "steps": 2}
    for pullback in (
        pullbacks.fgm(loss, p.x, radius=0.5),
        pullbacks.pgd(loss, p.x, p.x, **ascents),
        pullbacks.freelb_loss(loss, p.x, p.x, **ascents)[1],
        pullbacks.vat_perturbation(p.f, p.x, p.x, radius=0.5),
        pullbacks.top_eigenpair(loss, p.x, p.x, steps=2)[1],
        pullbacks.top_eigenpair(loss, p.x, p.x, steps=2, how="lanczos")[1],
    ):
        assert all_zero(pullback(np.ones_like(p.x)), p.x, p.params)
    of_outputs = oracle.Loss(sequences.f, "cross_entropy", sequences.labels)
    pulled = pullbacks.perturb_output(of_outputs, sequences.x, np.ones((2, 3)), radius=0.5)(sequences.x)
    assert all_zero(pulled, sequences.x, sequences.params)
    closure = OfTable()
    pulled = pullbacks.perturb_table(closure, closure.table, radius=0.5)(closure.table)
    assert all_zero(pulled, closure.table, closure.problem.params)


def test_closed_forms_can_be_differentiated_from_outside():
    """What claims do: derivatives of the oracle's own values and gradients, in the size of the noise or in x."""
    p, rng = problem("mlp"), np.random.default_rng(12)
    loss, z = oracle.Loss(p.f, "cross_entropy", p.labels), rng.standard_normal((1, *p.x.shape))
    c = np.array([0.7, -1.3])
    bent_once = derivative(lambda t: pullbacks.noisy_loss(loss, p.x, t * z)(c), order=2)
    by_curvature = pullbacks.laplacian(loss, p.x, probes=z)(c)
    for name, bar in bent_once[1].items():
        np.testing.assert_allclose(bar, by_curvature[1][name], rtol=0, atol=1e-12)
    for norm in ("l2_squared", "l2", "l1"):
        slope = derivative(lambda t, n=norm: values.input_gradient_penalty(loss, p.x + t * z[0], norm=n))
        x_bar = pullbacks.input_gradient_penalty(loss, p.x, norm=norm)(np.ones(2))[0]
        np.testing.assert_allclose(slope, (x_bar * z[0]).sum(1), rtol=1e-12)
    probes, cases = (
        rng.standard_normal((2, 2, 3)),
        {
            "dropout": lambda m, x: m.dropout_loss(loss, x, z + 1),
            "adversarial": lambda m, x: m.adversarial_loss(loss, x, z[0], clean_weight=0.3),
            "wgan": lambda m, x: m.wgan_gradient_penalty(loss, x, z[0], np.array([0.3, 0.9])),
            "tikhonov": lambda m, x: m.tikhonov_penalty("kl_divergence", p.f, x),
            "tikhonov probes": lambda m, x: m.tikhonov_penalty("kl_divergence", p.f, x, probes=probes),
        },
    )
    for name, of in cases.items():
        slope, x_bar = derivative(lambda t, of=of: of(values, p.x + t * z[0])), of(pullbacks, p.x)(np.ones(2))[0]
        np.testing.assert_allclose(slope, (x_bar * z[0]).sum(1), rtol=1e-12, err_msg=name)
