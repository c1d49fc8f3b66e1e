"""Gradients accumulated over micro-batches of unequal sizes are the batch's; of one norm for all each has its own."""

from equivalence.claim import Claim
from equivalence.divided import TABLE
from equivalence.measure import differs
from equivalence.parts.divided import ASCENT, CASES, FGM, FREELB, PENALTY, SIZES, Training, mean

KINDS = {
    "raw, half clean": (FGM, {"radius": 0.5, "norm": "raw", "clean_weight": 0.5}),
    "the mean over an ascent": (FREELB, {**ASCENT, "start": "zero"}),
    "the norm of a sample's gradient": (PENALTY, {"weight": 0.5}),
}
ONE = (FGM, {"radius": 0.5, "target": TABLE})


def measure(problem, reference):
    training = Training(problem)
    batches = training.whole.into(*SIZES)
    for words, (method, options) in KINDS.items():
        yield f"{method}: {words}", training.compared(batches, method, options)
    method, options = ONE
    whole = training.step(training.whole, method, options)
    own = mean(lambda part, **options: training.step(part, method, options), batches, **options)
    yield "one norm for the table differs", differs(training.step(batches, method, options) - whole, own - whole)


CLAIM = Claim(
    id="H2",
    title="Accumulation is whole-batch training where each sample has its own norm; else micro-batches have one each",
    formula="Σₖ bₖ/B ∇θ objective(micro-batch k) = ∇θ objective(batch), sizes b₁ ≠ b₂",
    source="the contract of training; the loops of Hugging Face Trainer and Accelerate",
    methods=(FGM, FREELB, PENALTY),
    cases=CASES,
    measure=measure,
    wrong={
        "each micro-batch counts alike": lambda m, bridge: {
            FGM: lambda batch, **options: mean(m.adversarial_training, batch, weighted=False, **options)
        },
        "a sample's penalty is divided by the samples of a micro-batch": lambda m, bridge: {
            PENALTY: lambda batch, weight, **options: m.gradient_penalty_training(
                batch, weight=weight / (batch.parts[0].stop - batch.parts[0].start), **options
            )
        },
    },
    control=CASES[0],
    itself=True,
)
