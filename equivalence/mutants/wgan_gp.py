"""WGAN-GP: interpolates off the segment, and other penalties by the same name."""

from equivalence.mutant import Mutant, collect
from equivalence.parts.composed import each

MUTANTS: list[Mutant] = []
mistake = collect(MUTANTS, "WGAN-GP")


def at(m, between):
    """The replacement that penalises at a point of one's own."""

    def wgan_gradient_penalty(critic, real, fake, mix, *, target=1.0):
        point = between(real, fake, mix)
        return m.wgan_gradient_penalty(critic, point, point, mix, target=target)

    return {"wgan_gradient_penalty": wgan_gradient_penalty}


@mistake("wgan_gradient_penalty: a weight a pixel", "keras-team/keras-io issue 624")
def weight_a_pixel(m, bridge):
    def between(real, fake, mix):
        signs = m.steepest(real - fake, norm="linf")  # stand for draws, which nothing that is traced can make
        weight = 0.5 + (each(mix, real) - 0.5) * signs
        return weight * real + (1 - weight) * fake

    return at(m, between)


@mistake("wgan_gradient_penalty: a weight of variance 1", "keras-team/keras-io issue 624: normal, off the segment")
def weight_of_variance_one(m, bridge):
    def between(real, fake, mix):
        weight = 12**0.5 * (each(mix, real) - 0.5)
        return weight * real + (1 - weight) * fake

    return at(m, between)


@mistake("wgan_gradient_penalty: one weight for the whole batch", "a scalar drawn in the place of (B, 1, 1, 1)")
def one_weight(m, bridge):
    return at(m, lambda real, fake, mix: mix[0] * real + (1 - mix[0]) * fake)


@mistake("wgan_gradient_penalty: at the real samples", "R1 in the place of WGAN-GP")
def at_the_real(m, bridge):
    return at(m, lambda real, fake, mix: real)


@mistake("wgan_gradient_penalty: real and fake exchanged", "another point of the segment for the same weight")
def exchanged(m, bridge):
    return at(m, lambda real, fake, mix: each(mix, real) * fake + (1 - each(mix, real)) * real)


@mistake("wgan_gradient_penalty: one-sided", "max(0, ‖g‖ - 1)², WGAN-LP: gradients below 1 go free")
def one_sided(m, bridge):
    def wgan_gradient_penalty(critic, real, fake, mix, *, target=1.0):
        weight = each(mix, real)
        excess = m.l2_norm(bridge.gradient(critic, weight * real + (1 - weight) * fake)) - target
        return ((excess + abs(excess)) / 2) ** 2

    return {"wgan_gradient_penalty": wgan_gradient_penalty}


@mistake("wgan_gradient_penalty: the target is always 1", "an option that is not passed on")
def target_ignored(m, bridge):
    def wgan_gradient_penalty(critic, real, fake, mix, *, target=1.0):
        return m.wgan_gradient_penalty(critic, real, fake, mix)

    return {"wgan_gradient_penalty": wgan_gradient_penalty}


@mistake("wgan_gradient_penalty: of the critic's mean", "foolbox issue 439: the norm is 1/B of what it should be")
def mean_reduced_critic(m, bridge):
    def wgan_gradient_penalty(critic, real, fake, mix, **options):
        return m.wgan_gradient_penalty(lambda x: critic(x) / x.shape[0], real, fake, mix, **options)

    return {"wgan_gradient_penalty": wgan_gradient_penalty}
