"""Right for numbers near 1 and for a few of them: cut off, clipped, or worked through in pieces that leave a rest."""

import functools

import numpy as np

from equivalence.mutant import Mutant, collect
from equivalence.parts.composed import each, summed

MUTANTS: list[Mutant] = []
mistake = functools.partial(collect(MUTANTS, "sizes"), called=True)
PIECE = 16  # so many at a time


@mistake("fgm: a raw gradient is clipped to ±1000", "clip_grad_value_, which guards a training against outliers")
def raw_gradient_clipped(m, bridge):
    def fgm(loss, x, *, radius, norm="l2", scope="sample"):
        if norm != "raw":
            return m.fgm(loss, x, radius=radius, norm=norm, scope=scope)
        return radius * m.project(m.fgm(loss, x, radius=1.0, norm="raw"), radius=1000.0, norm="linf")

    return {"fgm": fgm}


@mistake("cross_entropy: logits are clipped to ±500", "clamped so that exp does not overflow, where log_softmax cannot")
def logits_clipped(m, bridge):
    return {
        "cross_entropy": lambda logits, labels: m.cross_entropy(m.project(logits, radius=500.0, norm="linf"), labels)
    }


@mistake("entropy: logits are clipped to ±500", "clamped so that exp does not overflow, where log_softmax cannot")
def entropy_of_clipped_logits(m, bridge):
    return {"entropy": lambda logits: m.entropy(m.project(logits, radius=500.0, norm="linf"))}


@mistake(
    "laplacian: what is left of whole pieces is dropped",
    "unit vectors in chunks of sixteen: range(n // 16), where there is at least one chunk",
)
def rest_of_pieces_dropped(m, bridge):
    def laplacian(loss, x, *, how="hvp", probes=None, with_loss=False):
        sample = tuple(int(size) for size in x.shape[1:])
        n = int(np.prod(sample))
        if probes is not None or n <= PIECE:
            return m.laplacian(loss, x, how=how, probes=probes, with_loss=with_loss)
        taken = n // PIECE * PIECE
        units = bridge.from_numpy(np.eye(taken, n).reshape(taken, 1, *sample)) + 0 * x
        found = m.laplacian(loss, x, how=how, probes=units, with_loss=with_loss)  # the mean over so many
        return (taken * found[0], found[1]) if with_loss else taken * found

    return {"laplacian": laplacian}


@mistake("jacobian_penalty: of the first sixteen outputs", "a chunk of outputs at a time, and only one chunk")
def of_the_first_outputs(m, bridge):
    def jacobian_penalty(f, x, *, weights=None, probes=None, with_outputs=False):
        first = None if weights is None else weights[:, :PIECE]
        if probes is not None or with_outputs:
            return m.jacobian_penalty(f, x, weights=weights, probes=probes, with_outputs=with_outputs)
        return m.jacobian_penalty(lambda x: f(x)[:, :PIECE], x, weights=first)

    return {"jacobian_penalty": jacobian_penalty}


@mistake(
    "top_eigenpair: a short start is not brought to length 1",
    "tf.math.l2_normalize, whose epsilon is 1e-12: shows where no step follows",
)
def short_start_stays_short(m, bridge):
    def top_eigenpair(loss, x, start, *, steps, how="power"):
        if steps > 0 or how != "power":
            return m.top_eigenpair(loss, x, start, steps=steps, how=how)
        vector = bridge.fixed(start / each((summed(start * start) + 1e-12) ** 0.5, x))
        return summed(vector * m.hvp(loss, x, vector)), vector

    return {"top_eigenpair": top_eigenpair}


@mistake("top_eigenpair: normalised in the end alone", "K products and one norm: no number holds λ to the K-th power")
def products_without_norms(m, bridge):
    def top_eigenpair(loss, x, start, *, steps, how="power"):
        if how != "power":
            return m.top_eigenpair(loss, x, start, steps=steps, how=how)
        vector = start
        for _ in range(steps):
            vector = bridge.fixed(m.hvp(loss, x, vector))
        return m.top_eigenpair(loss, x, vector, steps=0)

    return {"top_eigenpair": top_eigenpair}
