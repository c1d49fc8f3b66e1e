"""Traces and eigenvalues: estimates that stop too soon, signs that are lost."""

from equivalence.mutant import Mutant, collect
from equivalence.parts.composed import inner, sign

MUTANTS: list[Mutant] = []
mistake = collect(MUTANTS, "trace")


@mistake("laplacian: stops at the first probe", "PyHessian hessian.py: a stop rule on the change of a running mean")
def stops_at_once(m, bridge):
    def laplacian(loss, x, *, how="hvp", probes=None):
        return m.laplacian(loss, x, how=how, probes=None if probes is None else probes[:1])

    return {"laplacian": laplacian}


@mistake("laplacian: stops at once where negative", "PyHessian commit 1a42737: the stop rule divides by a signed trace")
def stops_where_negative(m, bridge):
    def laplacian(loss, x, *, how="hvp", probes=None):
        mean = m.laplacian(loss, x, how=how, probes=probes)
        if probes is None:
            return mean
        first = m.laplacian(loss, x, how=how, probes=probes[:1])
        positive = (1 + sign(m, bridge.fixed(first))) / 2
        return positive * mean + (1 - positive) * first

    return {"laplacian": laplacian}


@mistake("laplacian: the sum over all of H", "1ᵀH1: one product with ones in the place of n unit vectors")
def sum_of_the_hessian(m, bridge):
    def laplacian(loss, x, *, how="hvp", probes=None):
        return m.laplacian(loss, x, how=how, probes=(0 * x + 1)[None] if probes is None else probes)

    return {"laplacian": laplacian}


@mistake("top_eigenpair: the eigenvalue loses its sign", "the norm of Hv in the place of uᵀHu")
def sign_lost(m, bridge):
    def top_eigenpair(loss, x, start, **options):
        vector = m.top_eigenpair(loss, x, start, **options)[1]
        return m.l2_norm(m.hvp(loss, x, vector)), vector

    return {"top_eigenpair": top_eigenpair}


@mistake("top_eigenpair: value and vector are one step apart", "the quotient is taken before the last step")
def one_step_apart(m, bridge):
    def top_eigenpair(loss, x, start, *, steps, **options):
        vector = m.top_eigenpair(loss, x, start, steps=steps, **options)[1]
        before = m.top_eigenpair(loss, x, start, steps=max(steps - 1, 0), **options)[1]
        return inner(m, vector, m.hvp(loss, x, before)), vector

    return {"top_eigenpair": top_eigenpair}


@mistake("top_eigenpair: power iteration where Lanczos was asked for", "an option that is not passed on")
def lanczos_ignored(m, bridge):
    def top_eigenpair(loss, x, start, *, steps, how="power"):
        return m.top_eigenpair(loss, x, start, steps=steps)

    return {"top_eigenpair": top_eigenpair}


@mistake("top_eigenpair: the eigenvalue is held fixed", "under no_grad: no penalty on sharpness")
def eigenvalue_fixed(m, bridge):
    def top_eigenpair(loss, x, start, **options):
        value, vector = m.top_eigenpair(loss, x, start, **options)
        return bridge.fixed(value), vector

    return {"top_eigenpair": top_eigenpair}


@mistake("top_eigenpair: the vector keeps its length", "Hu in the place of Hu/‖Hu‖ at the last step")
def vector_not_normalised(m, bridge):
    def top_eigenpair(loss, x, start, **options):
        value, vector = m.top_eigenpair(loss, x, start, **options)
        return value, bridge.fixed(m.hvp(loss, x, vector))

    return {"top_eigenpair": top_eigenpair}
