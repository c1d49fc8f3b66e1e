"""foolbox in PyTorch: attacks, whose loss and start may be overridden, as its documentation says, and samplers."""

from equivalence.published.package import CONVENTION, LIMIT, RIGHT, Package, only

PACKAGE = Package("foolbox", "3.3.4", ("foolbox",))
FLOOR = "right but for gradients whose norm is below 1e-12, which are divided by 1e-12"
GRAPHS = ("computed arguments", "traced numbers")  # the second step raises where one of them carries a graph
TINY = ("tiny-gradients",)
EAGER = {"traced": False}  # it looks at numbers


def attacked(attack, loss, x, *, start=None, radius=1.0, **options):
    """What an attack makes of zeros, where the loss is that at x; from our start, projected, where one is given."""
    import eagerpy
    import foolbox
    import torch

    class Attack(attack):
        def get_loss_fn(self, model, labels):
            return lambda inputs: eagerpy.astensor(loss(x.detach() + inputs.raw).sum())

        def get_random_start(self, x0, epsilon):
            return self.project(x0 + eagerpy.astensor(start.detach()), x0, epsilon)

    model = foolbox.PyTorchModel(torch.nn.Identity().eval(), bounds=(-1e30, 1e30), device=x.device)
    unused = foolbox.Misclassification(torch.zeros(len(x), dtype=torch.long, device=x.device))
    return Attack(**options).run(model, torch.zeros_like(x), unused, epsilon=radius).detach()


@PACKAGE.adapts("L2FastGradientAttack", "fgm", LIMIT, FLOOR, compared="L2, a sample", shows=TINY, **EAGER)
def fast_gradient_l2(loss, x, *, radius, norm="l2", scope="sample"):
    import foolbox

    only(norm == "l2" and scope == "sample", "L2, a sample")
    return (radius * attacked(foolbox.attacks.L2FastGradientAttack, loss, x)).detach()


@PACKAGE.adapts("LinfFastGradientAttack", "fgm", RIGHT, "sign g, to rounding", compared="L∞", **EAGER)
def fast_gradient_linf(loss, x, *, radius, norm="l2", scope="sample"):
    import foolbox

    only(norm == "linf", "L∞")
    return (radius * attacked(foolbox.attacks.LinfFastGradientAttack, loss, x)).detach()


@PACKAGE.adapts(
    "L1FastGradientAttack",
    "fgm",
    CONVENTION,
    "divides the gradient by its L1 norm: ⟨g, r⟩ = ‖g‖₂²/‖g‖₁ ε, not the largest of the ball, ‖g‖_∞ ε",
    compared="L1, a sample",
    shows=("fgm l1",),
    **EAGER,
)
def fast_gradient_l1(loss, x, *, radius, norm="l2", scope="sample"):
    import foolbox

    only(norm == "l1" and scope == "sample", "L1, a sample")
    return (radius * attacked(foolbox.attacks.L1FastGradientAttack, loss, x)).detach()


@PACKAGE.adapts(
    "LinfProjectedGradientDescentAttack",
    "pgd",
    LIMIT,
    "right to rounding; the second step raises where parameters are computed, or a length carries a graph",
    compared="L∞, no box",
    shows=GRAPHS,
    **EAGER,
)
def projected_linf(loss, x, start, *, radius, step, steps, norm="l2", bounds=None):
    return projected("LinfProjectedGradientDescentAttack", "linf", loss, x, start, radius, step, steps, norm, bounds)


@PACKAGE.adapts(
    "L2ProjectedGradientDescentAttack",
    "pgd",
    LIMIT,
    f"{FLOOR}; the second step raises where parameters are computed, or a length carries a graph",
    compared="L2, no box",
    shows=TINY + GRAPHS,
    **EAGER,
)
def projected_l2(loss, x, start, *, radius, step, steps, norm="l2", bounds=None):
    return projected("L2ProjectedGradientDescentAttack", "l2", loss, x, start, radius, step, steps, norm, bounds)


@PACKAGE.adapts(
    "L1ProjectedGradientDescentAttack",
    "pgd",
    CONVENTION,
    "steps along g/‖g‖₁ and comes back to the ball by scaling, which is not the nearest point",
    compared="L1, no box",
    shows=("pgd l1",),
    **EAGER,
)
def projected_l1(loss, x, start, *, radius, step, steps, norm="l2", bounds=None):
    return projected("L1ProjectedGradientDescentAttack", "l1", loss, x, start, radius, step, steps, norm, bounds)


def projected(name, own, loss, x, start, radius, step, steps, norm, bounds):
    import foolbox

    only(norm == own and bounds is None, f"{own}, without a box")
    options = {"rel_stepsize": 1.0, "abs_stepsize": step, "steps": steps, "random_start": True}
    return attacked(getattr(foolbox.attacks, name), loss, x, start=start, radius=radius, **options)


@PACKAGE.adapts(
    "VirtualAdversarialAttack",
    "vat_perturbation",
    LIMIT,
    "right to rounding; where a sample's KL does not curve it raises for a norm below 1e-64, and in float32 gives NaN",
    compared="finite_difference, ξ given",
    shows=("nothing curves",),
    **EAGER,
)
def virtual_adversarial(f, x, start, *, radius, xi=None, steps=1, how="fisher"):
    from unittest import mock

    import eagerpy
    import foolbox
    import torch

    only(how == "finite_difference" and xi is not None, "finite_difference with a ξ")

    class Model(foolbox.PyTorchModel):
        def __call__(self, inputs):
            with torch.set_grad_enabled(inputs.raw.requires_grad):  # as its own does
                return inputs.__class__(f(inputs.raw))

    model = Model(torch.nn.Identity().eval(), bounds=(-1e3, 1e3), device=x.device)
    unused = foolbox.Misclassification(torch.zeros(len(x), dtype=torch.long, device=x.device))
    with mock.patch.object(eagerpy, "normal", return_value=eagerpy.astensor(start.detach())):
        attack = foolbox.attacks.VirtualAdversarialAttack(steps=steps, xi=xi)
        return (radius * (attack.run(model, x.detach(), unused, epsilon=1.0) - x)).detach()


@PACKAGE.adapts(
    "uniform_l1_n_balls, uniform_l2_n_balls", "uniform_ball", RIGHT, "uniform by every test", compared="L1, L2, L∞"
)
def balls(seed, shape, *, like, norm="l2"):
    import eagerpy
    import torch
    from foolbox.attacks import gradient_descent_base as own

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        zero = eagerpy.astensor(torch.zeros(shape, dtype=like.dtype, device=like.device))
        if norm == "linf":
            return own.LinfBaseGradientDescent.get_random_start(None, zero, 1.0).raw
        draw = {"l1": own.uniform_l1_n_balls, "l2": own.uniform_l2_n_balls}[norm]
        return draw(zero, shape[0], zero.raw[0].numel()).raw.reshape(shape)
