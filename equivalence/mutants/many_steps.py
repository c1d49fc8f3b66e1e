"""Right for a step or two, wrong for many: caps, early stops, gradients used twice, orthogonality that is lost."""

import functools

import numpy as np

from equivalence.mutant import Mutant, collect
from equivalence.parts.composed import each, sign, summed

MUTANTS: list[Mutant] = []
mistake = functools.partial(collect(MUTANTS, "many steps"), called=True)


def moving(m, change, tolerance):
    """1 for each sample whose change (B, *S) is larger than the tolerance, else 0: (B,)."""
    return (1 + sign(m, m.l2_norm(change) - tolerance)) / 2


@mistake("pgd: every third step takes the gradient of the one before", "a gradient a step saved, once the loss is high")
def stale_gradient(m, bridge):
    def pgd(loss, x, start, *, radius, step, steps, norm="l2", bounds=None):
        def inside(r):
            return m.pgd(loss, x, r, radius=radius, step=0.0, steps=1, norm=norm, bounds=bounds)

        r, direction = inside(start), 0 * x
        for k in range(steps):
            direction = m.fgm(loss, x + r, radius=step, norm=norm) if k % 3 < 2 else direction
            r = inside(r + direction)
        return r

    return {"pgd": pgd}


@mistake("pgd: steps are halved after ten", "a schedule, as AutoPGD has one, where none is asked for")
def halved_steps(m, bridge):
    def pgd(loss, x, start, *, step, steps, **options):
        r = m.pgd(loss, x, start, step=step, steps=min(steps, 10), **options)
        return r if steps <= 10 else m.pgd(loss, x, r, step=step / 2, steps=steps - 10, **options)

    return {"pgd": pgd}


@mistake(
    "pgd: stops where a step moves nothing but a hundredth of the radius", "early stopping, batch by batch or sample"
)
def stopped_ascent(m, bridge):
    def pgd(loss, x, start, *, radius, step, steps, **options):
        r, left = m.pgd(loss, x, start, radius=radius, step=0.0, steps=1, **options), 1.0
        for _ in range(steps):
            further = m.pgd(loss, x, r, radius=radius, step=step, steps=1, **options)
            left = left * moving(m, further - r, 0.01 * radius)
            r = r + each(left, x) * (further - r)
        return r

    return {"pgd": pgd}


@mistake("laplacian: the sum over the first eight probes", "one chunk of a loop over chunks")
def first_probes(m, bridge):
    def laplacian(loss, x, *, probes=None, **options):
        return m.laplacian(loss, x, probes=probes if probes is None else probes[:8], **options)

    return {"laplacian": laplacian}


@mistake("jacobian_penalty: the mean of chunks of eight probes, of unequal size", "a mean of means")
def mean_of_unequal_means(m, bridge):
    def jacobian_penalty(f, x, *, probes=None, with_outputs=False, **options):
        if probes is None or len(probes) <= 8:
            return m.jacobian_penalty(f, x, probes=probes, with_outputs=with_outputs, **options)
        first, rest = (m.jacobian_penalty(f, x, probes=each, **options) for each in (probes[:8], probes[8:]))
        return ((first + rest) / 2, f(x)) if with_outputs else (first + rest) / 2

    return {"jacobian_penalty": jacobian_penalty}


@mistake("noisy_loss: at most ten draws", "a limit on memory, silently")
def few_draws(m, bridge):
    return {"noisy_loss": lambda loss, x, noise: m.noisy_loss(loss, x, noise[:10])}


@mistake("freelb_loss: at most ten steps", "max_steps of a configuration, silently")
def few_points(m, bridge):
    def freelb_loss(loss, x, start, *, steps, **options):
        return m.freelb_loss(loss, x, start, steps=min(steps, 10), **options)

    return {"freelb_loss": freelb_loss}


@mistake("freelb_loss: the mean of the last ten losses", "a deque of a fixed length")
def last_losses(m, bridge):
    def freelb_loss(loss, x, start, *, steps, **options):
        mean, r = m.freelb_loss(loss, x, start, steps=steps, **options)
        if steps <= 10:
            return mean, r
        first, _ = m.freelb_loss(loss, x, start, steps=steps - 10, **options)
        return (steps * mean - (steps - 10) * first) / 10, r

    return {"freelb_loss": freelb_loss}


@mistake("vat_perturbation: at most ten iterations", "num_iter clipped: more, so they say, change nothing")
def few_iterations(m, bridge):
    def vat_perturbation(f, x, start, *, steps=1, **options):
        return m.vat_perturbation(f, x, start, steps=min(steps, 10), **options)

    return {"vat_perturbation": vat_perturbation}


@mistake("vat_perturbation: ξ is halved at every step", "xi decayed in the loop, as step sizes are")
def decayed_difference(m, bridge):
    def vat_perturbation(f, x, start, *, radius, xi=None, steps=1, how="fisher"):
        if steps < 3 or how != "finite_difference" or xi is None:
            return m.vat_perturbation(f, x, start, radius=radius, xi=xi, steps=steps, how=how)
        for _ in range(steps):
            start = m.vat_perturbation(f, x, start, radius=1.0, xi=xi, how=how)
            xi = xi / 2
        return radius * start

    return {"vat_perturbation": vat_perturbation}


@mistake("vat_loss: at most two iterations", "the paper's K = 1, with one to spare")
def two_iterations(m, bridge):
    def vat_loss(f, x, start, *, steps=1, **options):
        return m.vat_loss(f, x, start, steps=min(steps, 2), **options)

    return {"vat_loss": vat_loss}


@mistake("top_eigenpair: at most 20 power steps", "PyHessian's maxIter, a default that is not overridden")
def few_power_steps(m, bridge):
    def top_eigenpair(loss, x, start, *, steps, how="power"):
        return m.top_eigenpair(loss, x, start, steps=min(steps, 20) if how == "power" else steps, how=how)

    return {"top_eigenpair": top_eigenpair}


@mistake(
    "top_eigenpair: stops where the vector turns by less than 1e-2", "a stop rule on change, where steps are asked for"
)
def stopped_iteration(m, bridge):
    def top_eigenpair(loss, x, start, *, steps, how="power"):
        if how == "lanczos":
            return m.top_eigenpair(loss, x, start, steps=steps, how=how)
        vector, left = m.unit(start), 1.0
        for _ in range(steps):
            further = m.top_eigenpair(loss, x, vector, steps=1)[1]
            left = left * moving(m, further - vector, 1e-2) * moving(m, further + vector, 1e-2)
            vector = bridge.fixed(vector + each(left, x) * (further - vector))
        return m.top_eigenpair(loss, x, vector, steps=0)

    return {"top_eigenpair": top_eigenpair}


@mistake(
    "top_eigenpair: Lanczos vectors are orthogonal to the last two alone", "the three-term recurrence, as in textbooks"
)
def orthogonality_lost(m, bridge):
    def top_eigenpair(loss, x, start, *, steps, how="power"):
        if how == "power":
            return m.top_eigenpair(loss, x, start, steps=steps)
        basis, products = [bridge.fixed(m.unit(start))], []
        for _ in range(steps + 1):
            products.append(bridge.fixed(m.hvp(loss, x, basis[-1])))
            rest = products[-1] - sum(each(summed(vector * products[-1]), x) * vector for vector in basis[-2:])
            basis.append(m.unit(rest))
        vector = largest_ritz_vector(basis[:-1], products)
        return summed(vector * m.hvp(loss, x, vector)), vector

    def largest_ritz_vector(basis, products):
        """Find the eigenpair of ½cᵀ(QᵀHQ)c by Lanczos again, which is exact in so few dimensions."""
        entries = [[summed(vector * product) for product in products] for vector in basis]

        def form(c):  # (B, K)
            pairs = [(i, j) for i in range(len(basis)) for j in range(len(basis))]
            return sum((entries[i][j] + entries[j][i]) * c[:, i] * c[:, j] for i, j in pairs) / 4

        first = 0 * summed(basis[0])[:, None] + bridge.from_numpy(np.eye(1, len(basis)))
        c = m.top_eigenpair(form, first, first, steps=len(basis) - 1, how="lanczos")[1]
        return bridge.fixed(m.unit(sum(each(c[:, k], vector) * vector for k, vector in enumerate(basis))))

    return {"top_eigenpair": top_eigenpair}


@mistake("spectral_norm: at most 20 steps", "n_power_iterations clipped to what a paper needed")
def few_singular_steps(m, bridge):
    return {"spectral_norm": lambda weight, u, *, steps=1: m.spectral_norm(weight, u, steps=min(steps, 20))}


@mistake("spectral_norm: stops where u turns by less than 1e-2", "a stop rule on change, where steps are asked for")
def stopped_singular_iteration(m, bridge):
    def spectral_norm(weight, u, *, steps=1):
        u, left = m.unit(u[None]), 1.0
        for _ in range(steps - 1):
            further = m.spectral_norm(weight, u[0])[1][None]
            left = left * moving(m, further - u, 1e-2)
            u = u + left[:, None] * (further - u)
        return m.spectral_norm(weight, u[0])

    return {"spectral_norm": spectral_norm}


@mistake(
    "lipschitz_bound: at most five steps a layer", "the layers' own iterations, carried on from call to call elsewhere"
)
def few_steps_a_layer(m, bridge):
    return {"lipschitz_bound": lambda weights, us, *, steps=1: m.lipschitz_bound(weights, us, steps=min(steps, 5))}
