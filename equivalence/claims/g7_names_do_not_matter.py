"""What else an array is called does not matter to a method: derivatives are by argument, and nothing moves in place."""

from equivalence.claim import Claim
from equivalence.parts.names import METHODS, OF_TOKENS, as_one, differences

CALLED = ("kl_divergence", "l2_norm")  # by the others
OF_BATCHES = tuple(method for method in METHODS if method not in OF_TOKENS)  # these do with less


def measure(problem, reference):
    yield from differences(problem, OF_BATCHES if problem.case.tokens is None else OF_TOKENS)


def by_name(method, still=False):
    """A wrong variant: what the closure holds of x moves with x; `still`, without being differentiated."""

    def wrong(m, bridge):
        moved = bridge.fixed if still else lambda z: z
        return {method: lambda closure, x, *rest, **o: getattr(m, method)(as_one(closure, x, moved), x, *rest, **o)}

    return wrong


def start_in_place(m, bridge):
    return {"vat_loss": lambda f, x, start, **o: m.vat_loss(f, m.unit(x) if start is x else x, start, **o)}


WATCHED = ("hvp", "laplacian", "input_gradient_penalty", "jacobian_penalty", "parameter_gradient_penalty")
CLAIM = Claim(
    id="G7",
    title="A method's result does not depend on which other names its arguments have",
    formula="m(z ↦ ℓ(z; x), x, x) = m(z ↦ ℓ(z; c), x, c), c a copy of x, value and ∇θ",
    source="the contract; TensorFlow's GradientTape.watch, PyTorch's requires_grad_ and x += r go by the tensor",
    methods=(*METHODS, *CALLED),
    cases=("softmax", "reviews-text"),
    measure=measure,
    wrong={
        **{f"{method} differentiates in what the closure holds of x": by_name(method) for method in WATCHED},
        "PGD moves x in place and puts it back": by_name("pgd", still=True),
        "noise is added in place and taken off": by_name("noisy_loss"),
        "weights are moved in place and put back": by_name("weight_noise"),
        "VAT normalises its start in place, which x is as well": start_in_place,
    },
    control="softmax",
    quick=("reviews-text",),
    by_case={"softmax": (*OF_BATCHES, *CALLED), "reviews-text": OF_TOKENS},
    itself=True,
)
