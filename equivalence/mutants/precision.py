"""Digits that are lost without a word, and labels taken for something else."""

import numpy as np

from equivalence.mutant import Mutant, collect
from equivalence.parts.composed import rounded, softmax

MUTANTS: list[Mutant] = []
mistake = collect(MUTANTS, "precision")


@mistake("cross_entropy: softmax fed in as logits", "foolbox issue 108")
def softmax_twice(m, bridge):
    return {"cross_entropy": lambda logits, labels: m.cross_entropy(softmax(m, bridge, logits), labels)}


@mistake("cross_entropy: integer labels taken as one-hot", "adversarial-robustness-toolbox issue 279")
def integers_as_one_hot(m, bridge):
    def cross_entropy(logits, labels):  # the largest entry of a row of one is the first
        return m.cross_entropy(logits, 0 * labels if len(labels.shape) == 1 else labels)

    return {"cross_entropy": cross_entropy}


@mistake("entropy: of softmax taken for logits", "foolbox issue 108")
def entropy_of_softmax(m, bridge):
    return {"entropy": lambda logits: m.entropy(softmax(m, bridge, logits))}


@mistake("fgm: the input is cast to float32", "cleverhans issue 1224")
def attack_in_float32(m, bridge):
    return {"fgm": lambda loss, x, **options: rounded(m.fgm(loss, rounded(x), **options))}


@mistake("pgd: the perturbation is cast to float32", "cleverhans issue 1224")
def ascent_in_float32(m, bridge):
    return {"pgd": lambda loss, x, start, **options: rounded(m.pgd(loss, x, start, **options))}


@mistake("input_gradient_penalty: cast to float32", "cleverhans issue 1224; autocast in the backward pass")
def penalty_in_float32(m, bridge):
    return {"input_gradient_penalty": lambda loss, x, **options: rounded(m.input_gradient_penalty(loss, x, **options))}


@mistake("laplacian: cast to float32", "cleverhans issue 1224")
def laplacian_in_float32(m, bridge):
    return {"laplacian": lambda loss, x, **options: rounded(m.laplacian(loss, x, **options))}


def single(number):
    """What float32 keeps of a number."""
    return float(np.float32(number))


FLOAT32 = "tf.cast(0.1, tf.float64) goes by way of float32, torch.tensor(0.1) and jnp.float32(0.1) are it"


@mistake("fgm: the radius is rounded to float32", FLOAT32, called=True)
def radius_in_float32(m, bridge):
    return {"fgm": lambda loss, x, *, radius, **options: m.fgm(loss, x, radius=single(radius), **options)}


@mistake("adversarial_loss: the weight is rounded to float32", FLOAT32, called=True)
def weight_in_float32(m, bridge):
    def adversarial_loss(loss, x, perturbation, *, clean_weight=0.5):
        return m.adversarial_loss(loss, x, perturbation, clean_weight=single(clean_weight))

    return {"adversarial_loss": adversarial_loss}


@mistake("parameter_gradient_penalty: the rate is rounded to float32", FLOAT32, called=True)
def rate_in_float32(m, bridge):
    def parameter_gradient_penalty(loss, params, *, rate):
        return m.parameter_gradient_penalty(loss, params, rate=single(rate))

    return {"parameter_gradient_penalty": parameter_gradient_penalty}


@mistake("smooth_labels: soft labels keep their dtype", "a cast in the branch for class numbers alone")
def labels_keep_their_dtype(m, bridge):
    def smooth_labels(labels, *, smoothing, like):
        kept = like if len(labels.shape) == 1 else labels
        return m.smooth_labels(labels, smoothing=smoothing, like=kept)

    return {"smooth_labels": smooth_labels}


@mistake("cross_entropy: float64 whatever the dtype is", "jax.nn.one_hot has the default dtype", claims=("G1",))
def widened_by_labels(m, bridge):
    return {"cross_entropy": lambda logits, labels: m.cross_entropy(logits, labels) + bridge.from_numpy(np.zeros(1))}
