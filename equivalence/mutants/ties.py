"""Several largest components, zeros, and sizes at which squares are lost: the conventions, function by function."""

import functools

import numpy as np

from equivalence.mutant import Mutant, collect
from equivalence.parts.composed import each, sign, summed

MUTANTS: list[Mutant] = []
mistake = functools.partial(collect(MUTANTS, "ties and zeros"), called=True)


@mistake(
    "fgm: each of several largest components gets the whole radius", "g.abs() == g.abs().max(), not divided by how many"
)
def every_tie_in_full(m, bridge):
    def fgm(loss, x, *, radius, norm="l2", scope="sample"):
        found = m.fgm(loss, x, radius=radius, norm=norm, scope=scope)
        return radius * m.steepest(found, norm="linf") if norm == "l1" else found

    return {"fgm": fgm}


@mistake("steepest: the last of several largest components gets all", "a running maximum with ≥ in the place of >")
def last_of_ties(m, bridge):
    def steepest(x, *, norm="l2", scope="sample"):
        if norm != "l1":
            return m.steepest(x, norm=norm, scope=scope)
        places = 1 + 1e-9 * np.arange(int(np.prod(x.shape))).reshape(x.shape)
        return m.steepest(x * bridge.from_numpy(places), norm=norm, scope=scope)

    return {"steepest": steepest}


@mistake(
    "steepest: ties of the whole tensor are shared within a sample", "largest.sum(1), where all of it has one scope"
)
def shared_within_a_sample(m, bridge):
    def steepest(x, *, norm="l2", scope="sample"):
        found = m.steepest(x, norm=norm, scope=scope)
        if norm != "l1" or scope == "sample":
            return found
        signs = m.steepest(found, norm="linf")
        ties = summed(abs(signs))
        return signs / each(ties + (1 - sign(m, ties)), x)

    return {"steepest": steepest}


@mistake(
    "steepest: what is within 1e-8 of the largest is as large",
    "isclose, whose atol is 1e-8: small gradients are one tie",
)
def close_is_tied(m, bridge):
    def steepest(x, *, norm="l2", scope="sample"):
        if norm != "l1" or scope == "tensor":
            return m.steepest(x, norm=norm, scope=scope)
        largest = summed(x * m.steepest(x, norm="l1"))
        near = m.steepest(abs(x) - each(largest, x) + 1e-8, norm="linf")
        tied = m.steepest(x, norm="linf") * (1 + near) / 2
        return tied / each(summed(abs(tied)), x)

    return {"steepest": steepest}


@mistake("unit, steepest: √ of the sum of squares", "squares of 1e200 are infinite, of 1e-200 zero; 1e±30 in float32")
def squares_overflow(m, bridge):
    def unit(x, *, scope="sample"):
        squares = summed(x * x)
        norms = squares**0.5 if scope == "sample" else summed(squares[None]) ** 0.5
        return x / each(norms + (1 - sign(m, norms)), x)

    def steepest(x, *, norm="l2", scope="sample"):
        return unit(x, scope=scope) if norm == "l2" else m.steepest(x, norm=norm, scope=scope)

    return {"unit": unit, "steepest": steepest}


@mistake(
    "input_gradient_penalty: |g| has slope 1 at 0", "torch.where(g >= 0, g, -g), whose slope at 0 is one of the two"
)
def slope_at_zero(m, bridge):
    def input_gradient_penalty(loss, x, *, norm="l2_squared", how="double_backward", xi=None, with_loss=False):
        found = m.input_gradient_penalty(loss, x, norm=norm, how=how, xi=xi, with_loss=with_loss)
        if norm != "l1" or how != "double_backward":
            return found
        gradient = bridge.gradient(loss, x)
        signs = bridge.fixed(m.steepest(gradient, norm="linf"))
        penalty = summed(gradient * (signs + (1 - abs(signs))))
        return (penalty, found[1]) if with_loss else penalty

    return {"input_gradient_penalty": input_gradient_penalty}


@mistake("wgan_gradient_penalty: 0 for a sample without gradient", "masked out with the NaN that its slope would be")
def zero_gradients_go_free(m, bridge):
    def wgan_gradient_penalty(critic, real, fake, mix, **options):
        norms = m.wgan_gradient_penalty(critic, real, fake, mix, target=0.0)
        return m.wgan_gradient_penalty(critic, real, fake, mix, **options) * bridge.fixed(sign(m, norms))

    return {"wgan_gradient_penalty": wgan_gradient_penalty}


@mistake("vat_perturbation: a start of 0 is replaced by ones", "a guard against 0/0 that makes up a direction")
def made_up_start(m, bridge):
    def vat_perturbation(f, x, start, **options):
        return m.vat_perturbation(f, x, start + each(1 - sign(m, m.l2_norm(start)), x), **options)

    return {"vat_perturbation": vat_perturbation}


@mistake(
    "top_eigenpair: the vector stays where Hv is 0",
    "where(norm > 0, Hv/norm, v): the iteration has nothing to say there",
)
def vector_stays(m, bridge):
    def top_eigenpair(loss, x, start, *, steps, how="power"):
        value, vector = m.top_eigenpair(loss, x, start, steps=steps, how=how)
        return value, vector + each(1 - sign(m, m.l2_norm(vector)), x) * bridge.fixed(m.unit(start))

    return {"top_eigenpair": top_eigenpair}


@mistake("spectral_norm: u stays where the weight is 0", "where(norm > 0, Wv/norm, u): σ = 0 comes with no vector")
def singular_vector_stays(m, bridge):
    def spectral_norm(weight, u, **options):
        sigma, after = m.spectral_norm(weight, u, **options)
        return sigma, after + (1 - sign(m, m.l2_norm(after[None]))) * bridge.fixed(m.unit(u[None])[0])

    return {"spectral_norm": spectral_norm}


@mistake("flooding: slope 1 at the level", "where(L >= b, L, 2b - L), whose slope at the level is one of the two")
def slope_at_the_level(m, bridge):
    def flooding(loss, *, level):
        signs = bridge.fixed(m.steepest(loss - level, norm="linf"))
        return (loss - level) * (signs + (1 - abs(signs))) + level

    return {"flooding": flooding}


@mistake("normalize_embedding: a component that does not vary is left as it is", "where(std > 0, centred / std, table)")
def constant_left_alone(m, bridge):
    def normalize_embedding(table, frequencies):
        found = m.normalize_embedding(table, frequencies)
        varies = sum(found[token] ** 2 for token in range(found.shape[0]))  # (D,)
        return found + (1 - m.steepest(varies, norm="linf")) * table

    return {"normalize_embedding": normalize_embedding}


@mistake("pgd: the sign of zero is 1", "2 * (g >= 0) - 1")
def flat_steps_upwards(m, bridge):
    def pgd(loss, x, start, *, radius, step, steps, norm="l2", bounds=None):
        def inside(r):
            return m.pgd(loss, x, r, radius=radius, step=0.0, steps=1, norm=norm, bounds=bounds)

        if norm != "linf":
            return m.pgd(loss, x, start, radius=radius, step=step, steps=steps, norm=norm, bounds=bounds)
        r = inside(start)
        for _ in range(steps):
            signs = m.fgm(loss, x + r, radius=1.0, norm="linf")
            r = inside(r + step * (signs + (1 - abs(signs))))
        return r

    return {"pgd": pgd}


@mistake(
    "steepest: what is within 1e-5 of the largest, relatively, is as large",
    "isclose, whose rtol is 1e-5: components that are nearly the largest share with it",
)
def nearly_is_tied(m, bridge):
    def steepest(x, *, norm="l2", scope="sample"):
        if norm != "l1" or scope == "tensor":
            return m.steepest(x, norm=norm, scope=scope)
        largest = summed(x * m.steepest(x, norm="l1"))
        near = m.steepest(abs(x) - each(largest, x) * (1 - 1e-5), norm="linf")
        tied = m.steepest(x, norm="linf") * (1 + near) / 2
        count = summed(abs(tied))
        return tied / each(count + (1 - sign(m, count)), x)

    return {"steepest": steepest}


@mistake("fgm: what is within 0.1 % of the largest is as large", "g.abs() >= 0.999 * g.abs().max(), for rounding")
def nearly_is_tied_in_the_attack(m, bridge):
    def fgm(loss, x, *, radius, norm="l2", scope="sample"):
        if norm != "l1" or scope == "tensor":
            return m.fgm(loss, x, radius=radius, norm=norm, scope=scope)
        gradient = m.fgm(loss, x, radius=1.0, norm="raw")
        largest = summed(gradient * m.steepest(gradient, norm="l1"))
        near = m.steepest(abs(gradient) - each(largest, x) * 0.999, norm="linf")
        tied = m.steepest(gradient, norm="linf") * (1 + near) / 2
        count = summed(abs(tied))
        return radius * tied / each(count + (1 - sign(m, count)), x)

    return {"fgm": fgm}
