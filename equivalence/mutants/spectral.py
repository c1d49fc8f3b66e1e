"""Spectral norms: gradients through the power iteration, other norms, and products with a factor missing."""

import math

from equivalence.mutant import Mutant, collect
from equivalence.parts.composed import each, inner, total

MUTANTS: list[Mutant] = []
mistake = collect(MUTANTS, "spectral norm")
KERNELS = "digits-cnn"


@mistake("spectral_norm: u and v are not held fixed", "keras-team/keras issue 20309")
def iteration_differentiated(m, bridge):
    def spectral_norm(weight, u, *, steps=1):
        for _ in range(steps):
            v = total(each(u, weight) * weight)[None]  # Wᵀu, (1, *I)
            product = inner(m, weight, 0 * weight + v / m.l2_norm(v))  # Wv, (O,)
            u = product / m.l2_norm(product[None])
        return inner(m, u[None], product[None])[0], u

    return {"spectral_norm": spectral_norm}


@mistake("spectral_norm: assigned into the weight at each call", "tensorflow/addons issue 2414: two calls change W")
def already_normalised(m, bridge):
    def spectral_norm(weight, u, **options):
        first, u = m.spectral_norm(weight, u, **options)
        return m.spectral_norm(weight / bridge.fixed(first), u, **options)

    return {"spectral_norm": spectral_norm}


@mistake("spectral_norm: u is not carried on", "the buffer is never written: each call starts anew")
def u_not_carried(m, bridge):
    def spectral_norm(weight, u, **options):
        return m.spectral_norm(weight, u, **options)[0], bridge.fixed(m.unit(u[None])[0])

    return {"spectral_norm": spectral_norm}


@mistake("spectral_norm: σ² for σ", "the largest eigenvalue of WᵀW")
def squared(m, bridge):
    def spectral_norm(weight, u, **options):
        sigma, u = m.spectral_norm(weight, u, **options)
        return sigma**2, u

    return {"spectral_norm": spectral_norm}


@mistake("spectral_norm: Frobenius norm", "an upper bound, from norm() without its order")
def frobenius(m, bridge):
    def spectral_norm(weight, u, **options):
        return m.l2_norm(weight[None])[0], m.spectral_norm(weight, u, **options)[1]

    return {"spectral_norm": spectral_norm}


@mistake("spectral_norm: σ is held fixed", "no gradient through the normalisation")
def sigma_fixed(m, bridge):
    def spectral_norm(weight, u, **options):
        sigma, u = m.spectral_norm(weight, u, **options)
        return bridge.fixed(sigma), u

    return {"spectral_norm": spectral_norm}


@mistake("lipschitz_bound: sum of the norms", "what a penalty adds up, in the place of what a bound multiplies")
def sum_of_norms(m, bridge):
    def lipschitz_bound(weights, us, **options):
        return sum(m.lipschitz_bound([weight], [u], **options) for weight, u in zip(weights, us, strict=True))

    return {"lipschitz_bound": lipschitz_bound}


@mistake("lipschitz_bound: the last layer is left out", "the head is not normalised")
def without_the_head(m, bridge):
    def lipschitz_bound(weights, us, **options):
        last = max(1, len(weights) - 1)
        return m.lipschitz_bound(weights[:last], us[:last], **options)

    return {"lipschitz_bound": lipschitz_bound}


@mistake("lipschitz_bound: a kernel counts as a matrix", "Miyato's σ of the flattened kernel is no bound", case=KERNELS)
def kernel_as_matrix(m, bridge):
    def lipschitz_bound(weights, us, *, steps=1):
        return math.prod(m.spectral_norm(weight, u, steps=steps)[0] for weight, u in zip(weights, us, strict=True))

    return {"lipschitz_bound": lipschitz_bound}


@mistake("lipschitz_bound: a kernel counts its last axis only", "√k for a k × k kernel", case=KERNELS)
def kernel_by_its_side(m, bridge):
    def lipschitz_bound(weights, us, *, steps=1):
        bound = m.lipschitz_bound(weights, us, steps=steps)
        return bound / math.prod(math.prod(weight.shape[3:]) ** 0.5 for weight in weights)

    return {"lipschitz_bound": lipschitz_bound}


@mistake("lipschitz_bound: Frobenius norms", "an upper bound too, though looser")
def frobenius_bound(m, bridge):
    def lipschitz_bound(weights, us, **options):
        return math.prod(m.l2_norm(weight[None])[0] * math.prod(weight.shape[2:]) ** 0.5 for weight in weights)

    return {"lipschitz_bound": lipschitz_bound}
