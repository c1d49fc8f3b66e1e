"""Virtual adversarial training: another Hessian's direction, or the right one with gradients through p(x)."""

from equivalence.mutant import Mutant, collect
from equivalence.parts.composed import each, summed

MUTANTS: list[Mutant] = []
mistake = collect(MUTANTS, "VAT")


@mistake("vat_perturbation: ξ = 1e-6", "the defaults of foolbox, neural-structured-learning and vat_tf")
def tiny_step(m, bridge):
    def vat_perturbation(f, x, start, *, xi=None, **options):
        return m.vat_perturbation(f, x, start, xi=1e-6, **options)

    return {"vat_perturbation": vat_perturbation}


@mistake("vat_perturbation: base point at ‖d‖ = 1", "adversarial-robustness-toolbox virtual_adversarial.py")
def base_at_one(m, bridge):
    def vat_perturbation(f, x, start, *, xi=None, **options):
        return m.vat_perturbation(f, x, start, xi=1.0, **options)

    return {"vat_perturbation": vat_perturbation}


@mistake("vat_perturbation, vat_loss: d/ξ for ξ·d", "lyakaap/VAT-pytorch commit c949665")
def divided_by_xi(m, bridge):
    def vat_perturbation(f, x, start, *, xi=None, **options):
        return m.vat_perturbation(f, x, start, xi=xi if xi is None else 1 / xi, **options)

    def vat_loss(f, x, start, *, xi=None, **options):
        return m.vat_loss(f, x, start, xi=xi if xi is None else 1 / xi, **options)

    return {"vat_perturbation": vat_perturbation, "vat_loss": vat_loss}


@mistake("vat_perturbation: ξ times the start, of any length", "the start is normalised after the first step only")
def start_not_normalised(m, bridge):
    def vat_perturbation(f, x, start, *, radius, xi=None, steps=1, how="fisher"):
        if how != "finite_difference" or xi is None:
            return m.vat_perturbation(f, x, start, radius=radius, xi=xi, steps=steps, how=how)
        clean = bridge.fixed(f(x))
        first = m.fgm(lambda r: m.kl_divergence(clean, f(x + r)), xi * start, radius=1.0)
        if steps == 1:
            return radius * first
        return m.vat_perturbation(f, x, first, radius=radius, xi=xi, steps=steps - 1, how=how)

    return {"vat_perturbation": vat_perturbation}


@mistake("vat_perturbation: the start is returned", "cleverhans v3.1 tests only ‖r‖ = ε: any direction passes")
def random_direction(m, bridge):
    def vat_perturbation(f, x, start, *, radius, **options):
        return radius * m.unit(start)

    return {"vat_perturbation": vat_perturbation}


@mistake("vat_perturbation: the start is of one sign", "lyakaap/VAT-pytorch commit c949665: rand in place of randn")
def biased_start(m, bridge):
    return {"vat_perturbation": lambda f, x, start, **options: m.vat_perturbation(f, x, abs(start), **options)}


@mistake("vat_perturbation: one norm for the whole batch", "adversarial-attacks-pytorch issue 12")
def one_norm_for_all(m, bridge):
    def vat_perturbation(f, x, start, *, radius, **options):
        return radius * m.unit(m.vat_perturbation(f, x, start, radius=1.0, **options), scope="tensor")

    return {"vat_perturbation": vat_perturbation}


@mistake("vat_perturbation: the gradient of the squared error of logits", "a consistency loss in the place of the KL")
def another_divergence(m, bridge):
    def vat_perturbation(f, x, start, *, radius, xi=None, steps=1, how="fisher"):
        clean, direction = bridge.fixed(f(x)), m.unit(start)
        step = 0.01 if xi is None else xi
        for _ in range(steps):
            direction = m.fgm(lambda r: m.squared_error(clean, f(x + r)), step * direction, radius=1.0)
        return radius * direction

    return {"vat_perturbation": vat_perturbation}


@mistake("vat_perturbation: the KL reversed", "kl_div(input, target): the same Hessian at 0, another gradient at ξd")
def reversed_in_the_search(m, bridge):
    def vat_perturbation(f, x, start, *, radius, xi=None, steps=1, how="fisher"):
        if how != "finite_difference" or xi is None:
            return m.vat_perturbation(f, x, start, radius=radius, xi=xi, steps=steps, how=how)
        clean, direction = bridge.fixed(f(x)), m.unit(start)
        for _ in range(steps):
            direction = m.fgm(lambda r: m.kl_divergence(f(x + r), clean), xi * direction, radius=1.0)
        return radius * direction

    return {"vat_perturbation": vat_perturbation}


@mistake("vat_perturbation: not normalised at the end", "radius·Hd: as long as the curvature says")
def not_normalised(m, bridge):
    def vat_perturbation(f, x, start, *, radius, xi=None, steps=1, how="fisher"):
        direction = m.vat_perturbation(f, x, start, radius=1.0, xi=xi, steps=steps, how=how)
        clean, step = bridge.fixed(f(x)), 0.01 if xi is None else xi
        return radius * m.fgm(lambda r: m.kl_divergence(clean, f(x + r)), step * direction, radius=1 / step, norm="raw")

    return {"vat_perturbation": vat_perturbation}


@mistake("vat_loss: p(x) is not held fixed", "a missing detach")
def target_not_fixed(m, bridge):
    def vat_loss(f, x, start, *, entropy_weight=0.0, **options):
        moved = f(x + m.vat_perturbation(f, x, start, **options))
        return m.kl_divergence(f(x), moved) + entropy_weight * m.entropy(f(x))

    return {"vat_loss": vat_loss}


@mistake("vat_loss: the KL reversed", "kl_div(input, target) is KL(target‖input)")
def reversed_loss(m, bridge):
    def vat_loss(f, x, start, *, entropy_weight=0.0, **options):
        moved = f(x + m.vat_perturbation(f, x, start, **options))
        return m.kl_divergence(moved, bridge.fixed(f(x))) + entropy_weight * m.entropy(f(x))

    return {"vat_loss": vat_loss}


@mistake("vat_loss: counted twice", "cleverhans v3.1 utils_tf.py")
def counted_twice(m, bridge):
    return {"vat_loss": lambda f, x, start, **options: 2 * m.vat_loss(f, x, start, **options)}


@mistake("vat_loss: the entropy is subtracted", "Miyato et al. minimise it; a bonus for entropy maximises it")
def entropy_subtracted(m, bridge):
    def vat_loss(f, x, start, *, entropy_weight=0.0, **options):
        return m.vat_loss(f, x, start, **options) - entropy_weight * m.entropy(f(x))

    return {"vat_loss": vat_loss}


@mistake("vat_loss: the entropy's p(x) is held fixed", "the logits that were detached for the KL are used again")
def entropy_fixed(m, bridge):
    def vat_loss(f, x, start, *, entropy_weight=0.0, **options):
        return m.vat_loss(f, x, start, **options) + entropy_weight * bridge.fixed(m.entropy(f(x)))

    return {"vat_loss": vat_loss}


@mistake(
    "vat_perturbation: exact products are normalised in the end alone",
    "K products and one norm: in float32 a few small eigenvalues to the K-th power are 0",
    called=True,
)
def normalised_in_the_end(m, bridge):
    def vat_perturbation(f, x, start, *, radius, xi=None, steps=1, how="fisher"):
        if how != "exact":
            return m.vat_perturbation(f, x, start, radius=radius, xi=xi, steps=steps, how=how)
        clean, direction = bridge.fixed(f(x)), start
        for _ in range(steps):
            direction = bridge.fixed(m.hvp(lambda r: m.kl_divergence(clean, f(x + r)), 0 * x, direction))
        return radius * m.unit(direction)

    return {"vat_perturbation": vat_perturbation}


@mistake(
    "vat_perturbation: 1e-12 is added to the gradient's square",
    "tf.math.l2_normalize, whose epsilon is 1e-12: the divergence's gradient is as small as ξ and the curvature are",
    called=True,
)
def epsilon_beside_the_gradient(m, bridge):
    def vat_perturbation(f, x, start, *, radius, xi=None, steps=1, how="fisher"):
        if how != "finite_difference":
            return m.vat_perturbation(f, x, start, radius=radius, xi=xi, steps=steps, how=how)
        clean, direction = bridge.fixed(f(x)), m.unit(start)
        for _ in range(steps):
            moved = (0.01 if xi is None else xi) * direction
            gradient = m.fgm(lambda r: m.kl_divergence(clean, f(x + r)), moved, radius=1.0, norm="raw")
            direction = gradient / each((summed(gradient * gradient) + 1e-12) ** 0.5, x)
        return bridge.fixed(radius * direction)

    return {"vat_perturbation": vat_perturbation}
