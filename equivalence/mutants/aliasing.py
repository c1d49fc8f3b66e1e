"""One memory under two names: changed in place before it is used, or never changed back."""

from equivalence.mutant import Mutant, collect
from equivalence.parts.composed import Array

MUTANTS: list[Mutant] = []
mistake = collect(MUTANTS, "aliasing")


def running_sums(draws: Array) -> list[Array]:
    """The first draw, the first two together, ..."""
    return [sum((draws[k] for k in range(1, last + 1)), start=draws[0]) for last in range(draws.shape[0])]


@mistake("pgd: the gradient is zeroed before it is used", "MadryLab/robustness attacker.py")
def zeroed_before_use(m, bridge):
    def pgd(loss, x, start, *, step, **options):
        return m.pgd(loss, x, start, step=0.0 * step, **options)

    return {"pgd": pgd}


@mistake("pgd: gradients accumulate from step to step", "cleverhans fast_gradient_method.py: .grad is never zeroed")
def accumulated_gradients(m, bridge):
    def pgd(loss, x, start, *, radius, step, steps, norm="l2", bounds=None):
        def inside(r):
            return m.pgd(loss, x, r, radius=radius, step=0.0, steps=1, norm=norm, bounds=bounds)

        r, gradient = inside(start), 0 * x
        for _ in range(steps):
            gradient = gradient + m.fgm(loss, x + r, radius=1.0, norm="raw")
            r = inside(r + step * m.steepest(gradient, norm=norm))
        return r

    return {"pgd": pgd}


@mistake("freelb_loss: every stored point is the last", "one array updated in place while the points are collected")
def every_point_is_the_last(m, bridge):
    def freelb_loss(loss, x, start, **options):
        last = m.freelb_loss(loss, x, start, **options)[1]
        return loss(x + last), last

    return {"freelb_loss": freelb_loss}


@mistake("noisy_loss: noise adds up over the copies", "x += noise changes the caller's x")
def noise_adds_up(m, bridge):
    def noisy_loss(loss, x, noise):
        return sum(loss(x + moved) for moved in running_sums(noise)) / noise.shape[0]

    return {"noisy_loss": noisy_loss}


@mistake("weight_noise: noise adds up over the copies", "parameters += noise, never taken off")
def weights_drift(m, bridge):
    def weight_noise(loss, params, noise):
        sums = {name: running_sums(draws) for name, draws in noise.items()}
        copies = len(next(iter(sums.values())))
        return sum(loss({name: params[name] + sums[name][k] for name in params}) for k in range(copies)) / copies

    return {"weight_noise": weight_noise}


@mistake("dropout_loss: masks pile up over the copies", "x *= mask changes the caller's x")
def masks_pile_up(m, bridge):
    def dropout_loss(loss, x, masks):
        losses = []
        for k in range(masks.shape[0]):
            x = x * masks[k]
            losses.append(loss(x))
        return sum(losses) / len(losses)

    return {"dropout_loss": dropout_loss}


@mistake("vat_loss: the perturbed logits overwrite the clean ones", "one output buffer for two passes")
def clean_logits_overwritten(m, bridge):
    def vat_loss(f, x, start, *, entropy_weight=0.0, **options):
        moved = m.vat_perturbation(f, x, start, **options)
        return m.kl_divergence(bridge.fixed(f(x + moved)), f(x + moved)) + entropy_weight * m.entropy(f(x))

    return {"vat_loss": vat_loss}
