"""The Laplacian by Hessian-vector products and by propagation forwards, against the trace of the oracle's Hessian."""

from equivalence.claim import Claim
from equivalence.parts import ways


def measure(problem, reference):
    """The sum over all unit vectors both ways, and the mean over probes the way in which it is not used elsewhere."""
    for number, probes, hows in (
        ("exact", lambda p: None, ("hvp", "forward")),
        ("estimate", lambda p: p.extra.probes, ("forward",)),
    ):

        def call(m, p, how="hvp", probes=probes):
            return m.laplacian(p.loss, p.x, how=how, probes=probes(p))

        found = {how: lambda p, call=call, how=how: call(problem.methods, p, how) for how in hows}
        yield from ways.agree(problem, reference, number, call, found)


CLAIM = Claim(
    id="E1",
    title="The Laplacian is the same by Hessian-vector products and propagated forwards",
    formula="Σᵢ eᵢᵀ(Heᵢ) = forward Laplacian = tr H; 1/K Σₖ vₖᵀ(Hvₖ) likewise; value and ∇θ",
    source="Pearlmutter 1994; Li et al. 2024",
    methods=("laplacian",),
    cases=("softmax",),
    measure=measure,
    wrong={
        "the second derivative lacks its 2": ways.scaled("laplacian", "forward", 0.5),
        "the forward way is 3 % off": ways.scaled("laplacian", "forward", 1.03),
        "the curvature is held fixed": lambda m, bridge: {
            "laplacian": lambda loss, x, **options: bridge.fixed(m.laplacian(loss, x, **options))
        },
    },
    control="softmax",
)
