"""Power iteration turns to the top eigenvector at the rate that the spectrum says, step by step."""

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.parts import divergence, power


def measure(problem, reference):
    """One step at a time, so that a single step is all that is compiled."""
    point, start = reference.low_dimensional(), reference.case.extra["start"]

    def of_loss(point, vector):
        return problem.methods.top_eigenpair(point.loss, point.x, vector, steps=1)

    def of_divergence(point, vector):  # radius 1 gives the direction itself
        return problem.methods.vat_perturbation(point.f, point.x, vector, radius=1.0, how="exact")

    yield "loss", power.iterated(problem.compile(of_loss), start, oracle.values.hessian(point.loss, point.x))
    if reference.case.loss != "value":
        turn = problem.compile(of_divergence)
        yield "divergence", power.iterated(lambda vector: (None, turn(vector)), start, divergence.metric(point))


CLAIM = Claim(
    id="D4",
    title="Power iteration turns to the top eigenvector at the rate of the spectrum; ties and negative values included",
    formula="tan∠(uₖ, top eigenspace) shrinks by |λ₂/λ₁| a step; the value found is the dominant λ, with its sign",
    source="Golub & Van Loan §7.3; Miyato et al. 2018, §3.3",
    methods=("top_eigenpair", "vat_perturbation"),
    cases=("quadratic-negative", "quadratic-tied", "tanh-mlp"),
    measure=measure,
    wrong={
        "the start is returned": lambda m, bridge: {
            "top_eigenpair": lambda loss, x, start, steps: (m.top_eigenpair(loss, x, start, steps=0)[0], m.unit(start))
        },
        "the eigenvalue loses its sign": lambda m, bridge: {
            "top_eigenpair": lambda loss, x, start, **options: (
                abs((found := m.top_eigenpair(loss, x, start, **options))[0]),
                found[1],
            )
        },
        "the start is mixed into a step": lambda m, bridge: {
            "vat_perturbation": lambda f, x, start, radius, **options: (
                radius * m.unit(m.vat_perturbation(f, x, start, radius=1.0, **options) + 0.05 * m.unit(start))
            )
        },
    },
    control="tanh-mlp",
)
