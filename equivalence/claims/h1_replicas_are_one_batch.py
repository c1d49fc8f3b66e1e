"""Replicas that each have a part of a batch train as one does on all of it: values, gradients, random starts."""

from equivalence.claim import Claim
from equivalence.divided import TABLE
from equivalence.parts.divided import ASCENT, CASES, FGM, FREELB, METHODS, PENALTY, PGD, VAT, Training

KINDS = {
    "raw, half clean": (FGM, {"radius": 0.5, "norm": "raw", "clean_weight": 0.5}),
    "one norm for the samples": (FGM, {"radius": 0.5, "norm": "l1", "scope": "tensor"}),
    "one norm for the table": (FGM, {"radius": 0.5, "target": TABLE}),
    "steps from a random start": (FGM, {**PGD, "start": "random"}),
    "steps on a table": (FREELB, {**ASCENT, "target": TABLE}),
    "the norm of the table's gradient": (PENALTY, {"weight": 0.5, "target": TABLE}),
    "and entropy": (VAT, {"radius": 0.5, "entropy_weight": 0.5}),
}


def measure(problem, reference):
    training = Training(problem)
    replicas = training.whole.among()
    for words, (method, options) in KINDS.items():
        yield f"{method}: {words}", training.compared(replicas, method, options)


def summed(m):
    def adversarial_training(batch, **options):
        found = m.adversarial_training(batch, **options)
        found[:, 1:] *= len(batch.parts)
        return found

    return adversarial_training


CLAIM = Claim(
    id="H1",
    title="Data-parallel training is whole-batch training: objective and gradient on every replica",
    formula="1/n Σₖ ∇θ objective(part k) = ∇θ objective(batch), one norm for the batch and random starts included",
    source="the contract of training; Li et al. 2020 (DistributedDataParallel), §3",
    methods=METHODS,
    cases=CASES,
    measure=measure,
    wrong={
        "gradients are added up where their mean is meant": lambda m, bridge: {FGM: summed(m)},
        "the entropy counts on one replica": lambda m, bridge: {
            VAT: lambda batch, entropy_weight, **options: m.virtual_adversarial_training(
                batch, entropy_weight=entropy_weight / len(batch.parts), **options
            )
        },
    },
    control=CASES[0],
    itself=True,
)
