"""Right for a batch of vectors, wrong for other shapes: images, sequences, single numbers, one sample, n unlike B."""

import functools
import math

import numpy as np

from equivalence.mutant import Mutant, collect
from equivalence.parts.composed import summed

MUTANTS: list[Mutant] = []
mistake = functools.partial(collect(MUTANTS, "shapes"), called=True)
SQUEEZED = "x.squeeze() makes (B,) of (B, 1), and norm(dim=-1) is then the batch's"


def numbers(x):
    """Whether each sample is a single number."""
    return math.prod(x.shape[1:]) == 1


def along_axis(x, axis):
    """√Σx² along one axis, which stays with size 1."""
    place = (slice(None),) * axis
    return sum(x[(*place, slice(k, k + 1))] ** 2 for k in range(x.shape[axis])) ** 0.5


@mistake(
    "unit: over the second axis alone",
    "torch.nn.functional.normalize's dim=1: right for vectors, by channels for images",
)
def unit_by_channels(m, bridge):
    def unit(x, *, scope="sample"):
        if len(x.shape) < 3 or scope == "tensor":
            return m.unit(x, scope=scope)
        return x / along_axis(x, 1)

    return {"unit": unit}


@mistake("l2_norm: norms of the last axis, added up", "norm(dim=-1).sum(…) for more than two axes")
def norms_added_up(m, bridge):
    return {"l2_norm": lambda x: m.l2_norm(x) if len(x.shape) < 3 else summed(along_axis(x, len(x.shape) - 1))}


@mistake("steepest: numbers have one norm for the batch", SQUEEZED)
def steepest_of_numbers(m, bridge):
    def steepest(x, *, norm="l2", scope="sample"):
        return m.steepest(x, norm=norm, scope="tensor" if numbers(x) else scope)

    return {"steepest": steepest}


@mistake("project: each vector of a sequence by itself", "renorm over the last axis, as torch.renorm does for tables")
def projected_by_position(m, bridge):
    def project(x, *, radius, norm="l2"):
        if norm != "l2" or len(x.shape) != 3:
            return m.project(x, radius=radius, norm=norm)
        return x * (m.project(along_axis(x, 2), radius=radius, norm="linf") / along_axis(x, 2))

    return {"project": project}


@mistake("fgm: numbers have one norm for the batch", SQUEEZED)
def attack_on_numbers(m, bridge):
    def fgm(loss, x, *, norm="l2", scope="sample", **options):
        return m.fgm(loss, x, norm=norm, scope="tensor" if numbers(x) else scope, **options)

    return {"fgm": fgm}


@mistake(
    "fgm: the axes 1 to 3 have the norm",
    "(1, 2, 3) written out for images, as Chainer's VAT does: volumes have one more",
)
def attack_on_four_axes(m, bridge):
    def fgm(loss, x, *, radius, norm="l2", scope="sample"):
        if norm != "l2" or scope == "tensor" or len(x.shape) < 5:
            return m.fgm(loss, x, radius=radius, norm=norm, scope=scope)
        gradient = m.fgm(loss, x, radius=1.0, norm="raw")
        squares = along_axis(along_axis(along_axis(gradient, 1), 2), 3)
        return radius * gradient / squares

    return {"fgm": fgm}


@mistake("pgd: steps on images are a unit long in each channel", "a norm over (2, 3), the picture's axes")
def steps_by_channel(m, bridge):
    def pgd(loss, x, start, *, radius, step, steps, norm="l2", bounds=None):
        def inside(r):
            return m.pgd(loss, x, r, radius=radius, step=0.0, steps=1, norm=norm, bounds=bounds)

        if norm != "l2" or len(x.shape) != 4:
            return m.pgd(loss, x, start, radius=radius, step=step, steps=steps, norm=norm, bounds=bounds)
        r = inside(start)
        for _ in range(steps):
            gradient = m.fgm(loss, x + r, radius=1.0, norm="raw")
            r = inside(r + step * gradient / along_axis(along_axis(gradient, 2), 3))
        return r

    return {"pgd": pgd}


@mistake("freelb_loss: numbers are perturbed as one sample", SQUEEZED)
def numbers_as_one(m, bridge):
    def freelb_loss(loss, x, start, **options):
        if not numbers(x):
            return m.freelb_loss(loss, x, start, **options)
        losses, r = m.freelb_loss(lambda row: loss(row[0])[None], x[None], start[None], **options)
        return losses[0], r[0]

    return {"freelb_loss": freelb_loss}


@mistake(
    "vat_perturbation: every position of a sequence is as long", "a norm over the last axis, as for one hidden vector"
)
def positions_alike(m, bridge):
    def vat_perturbation(f, x, start, *, radius, **options):
        direction = m.vat_perturbation(f, x, start, radius=1.0, **options)
        return radius * (direction if len(x.shape) != 3 else direction / along_axis(direction, 2))

    return {"vat_perturbation": vat_perturbation}


@mistake("vat_loss: numbers have one direction", SQUEEZED)
def one_direction_of_numbers(m, bridge):
    def vat_loss(f, x, start, *, radius, entropy_weight=0.0, logits=None, **options):
        if not numbers(x):
            return m.vat_loss(f, x, start, radius=radius, entropy_weight=entropy_weight, logits=logits, **options)
        direction = m.vat_perturbation(f, x, start, radius=1.0, **options)
        clean = bridge.fixed(f(x))
        return m.kl_divergence(clean, f(x + radius * m.unit(direction[None])[0]))

    return {"vat_loss": vat_loss}


@mistake("input_gradient_penalty: norms of an image's channels, added up", "a norm over (2, 3), the picture's axes")
def penalty_by_channel(m, bridge):
    def input_gradient_penalty(loss, x, *, norm="l2_squared", with_loss=False, **options):
        if norm != "l2" or len(x.shape) != 4:
            return m.input_gradient_penalty(loss, x, norm=norm, with_loss=with_loss, **options)
        norms = along_axis(along_axis(bridge.gradient(loss, x), 2), 3)
        return (summed(norms), loss(x)) if with_loss else summed(norms)

    return {"input_gradient_penalty": input_gradient_penalty}


@mistake("jacobian_penalty: as many rows as there are samples", "range(len(outputs)), whose length is the batch's")
def rows_of_the_batch(m, bridge):
    def jacobian_penalty(f, x, *, weights=None, probes=None, with_outputs=False):
        if probes is None:
            outputs = f(x)
            first = bridge.from_numpy(1.0 * (np.arange(outputs.shape[1]) < outputs.shape[0]))
            weights = (0 * bridge.fixed(outputs) + 1 if weights is None else weights) * first
        return m.jacobian_penalty(f, x, weights=weights, probes=probes, with_outputs=with_outputs)

    return {"jacobian_penalty": jacobian_penalty}


@mistake(
    "laplacian: as many unit vectors as there are samples", "eye(len(x)), where a sample's numbers are to be counted"
)
def vectors_of_the_batch(m, bridge):
    def laplacian(loss, x, *, how="hvp", probes=None, with_loss=False):
        n, batch = int(np.prod(x.shape[1:])), x.shape[0]
        if probes is not None or n <= batch:
            return m.laplacian(loss, x, how=how, probes=probes, with_loss=with_loss)
        units = bridge.from_numpy(np.eye(n)[:batch].reshape(batch, 1, *x.shape[1:])) + 0 * bridge.fixed(x)
        found = m.laplacian(loss, x, how=how, probes=units, with_loss=with_loss)
        return (batch * found[0], found[1]) if with_loss else batch * found

    return {"laplacian": laplacian}


@mistake("top_eigenpair: an image's channels are normalised apart", "a norm over (2, 3), the picture's axes")
def channels_apart(m, bridge):
    def top_eigenpair(loss, x, start, *, steps, how="power"):
        if how == "lanczos" or len(x.shape) != 4:
            return m.top_eigenpair(loss, x, start, steps=steps, how=how)
        vector = start
        for _ in range(steps):
            vector = bridge.fixed(m.hvp(loss, x, vector))
            vector = vector / along_axis(along_axis(vector, 2), 3)
        return m.top_eigenpair(loss, x, vector, steps=0)

    return {"top_eigenpair": top_eigenpair}


@mistake(
    "hvp: a sequence's positions are taken for samples", "reshape(-1, D) before the product: H's blocks between them go"
)
def positions_for_samples(m, bridge):
    def hvp(loss, x, vector):
        if len(x.shape) != 3:
            return m.hvp(loss, x, vector)
        found = 0 * x
        for t in range(x.shape[1]):
            here = bridge.from_numpy((np.arange(x.shape[1]) == t).astype(float)[:, None])
            found = found + here * m.hvp(loss, x, here * vector)
        return found

    return {"hvp": hvp}


@mistake("dropout_loss: an image's channels are dropped whole", "Dropout2d for Dropout, as soon as there are four axes")
def channels_dropped(m, bridge):
    def dropout_loss(loss, x, masks):
        return m.dropout_loss(loss, x, masks if len(x.shape) != 4 else 0 * masks + masks[..., :1, :1])

    return {"dropout_loss": dropout_loss}


@mistake("consistency_loss: a sequence's positions share their noise", "noise of shape (K, B, 1, D), broadcast")
def positions_share_noise(m, bridge):
    def consistency_loss(divergence, f, x, noise, **options):
        shared = noise if len(x.shape) != 3 else 0 * noise + noise[:, :, :1]
        return m.consistency_loss(divergence, f, x, shared, **options)

    return {"consistency_loss": consistency_loss}


@mistake("noisy_loss: an image's channels share their noise", "noise of shape (K, B, 1, H, W), broadcast")
def channels_share_noise(m, bridge):
    def noisy_loss(loss, x, noise):
        return m.noisy_loss(loss, x, noise if len(x.shape) != 4 else 0 * noise + noise[:, :, :1])

    return {"noisy_loss": noisy_loss}


@mistake("cross_entropy: two classes are told by the second logit", "binary_cross_entropy_with_logits of logits[:, 1]")
def second_logit_alone(m, bridge):
    def cross_entropy(logits, labels):
        if logits.shape[-1] != 2:
            return m.cross_entropy(logits, labels)
        return m.cross_entropy(logits * bridge.from_numpy(np.array([0.0, 1.0])), labels)

    return {"cross_entropy": cross_entropy}


@mistake("entropy: two classes are told by the second logit", "Bernoulli(logits=logits[:, 1]).entropy()")
def entropy_of_the_second_logit(m, bridge):
    def entropy(logits):
        return m.entropy(logits if logits.shape[-1] != 2 else logits * bridge.from_numpy(np.array([0.0, 1.0])))

    return {"entropy": entropy}


@mistake(
    "smooth_labels: two classes are smoothed half as much",
    "s/2 for each of two classes, and halved once more for C = 2",
)
def two_classes_smoothed_less(m, bridge):
    def smooth_labels(labels, *, smoothing, like):
        return m.smooth_labels(labels, smoothing=smoothing / (2 if like.shape[-1] == 2 else 1), like=like)

    return {"smooth_labels": smooth_labels}


@mistake("spectral_norm: a kernel is added up over its window", "W.sum(-1): the response to what does not change")
def kernel_added_up(m, bridge):
    def spectral_norm(weight, u, **options):
        while len(weight.shape) > 2:
            weight = sum(weight[..., k] for k in range(weight.shape[-1]))
        return m.spectral_norm(weight, u, **options)

    return {"spectral_norm": spectral_norm}


@mistake("parameter_gradient_penalty: kernels left out", "weights.ndim <= 2, as for weight decay")
def kernels_left_out(m, bridge):
    def parameter_gradient_penalty(loss, params, *, rate):
        some = {name: value for name, value in params.items() if len(value.shape) < 3}
        return m.parameter_gradient_penalty(lambda own: loss({**params, **own}), some, rate=rate)

    return {"parameter_gradient_penalty": parameter_gradient_penalty}


@mistake("weight_noise: a kernel's windows share their noise", "noise of shape (K, O, I, 1), broadcast")
def windows_share_noise(m, bridge):
    def weight_noise(loss, params, noise):
        shared = {name: draws if len(draws.shape) < 4 else 0 * draws + draws[..., :1] for name, draws in noise.items()}
        return m.weight_noise(loss, params, shared)

    return {"weight_noise": weight_noise}


@mistake(
    "smooth_labels: as many class numbers as classes are soft labels",
    "labels.shape[-1] == C in the place of two axes: right but for a batch of C samples",
)
def numbers_taken_for_probabilities(m, bridge):
    def smooth_labels(labels, *, smoothing, like):
        classes = like.shape[-1]
        if len(labels.shape) == 2 or labels.shape[0] != classes:
            return m.smooth_labels(labels, smoothing=smoothing, like=like)
        one_hot = m.smooth_labels(labels, smoothing=0.0, like=like)
        numbers = sum(c * one_hot[:, c] for c in range(classes))
        return 0 * like + (1 - smoothing) * numbers + smoothing / classes

    return {"smooth_labels": smooth_labels}
