"""Sums for means, means for sums, and norms over the wrong axes."""

import itertools
import math

from equivalence.mutant import Mutant, collect
from equivalence.parts.composed import each

MUTANTS: list[Mutant] = []
mistake = collect(MUTANTS, "reduction")


@mistake("fgm: the loss in the attack is a batch mean", "foolbox issue 439")
def mean_reduced_attack(m, bridge):
    return {"fgm": lambda loss, x, **options: m.fgm(lambda x: loss(x) / x.shape[0], x, **options)}


@mistake("fgm: one norm for the whole batch", "adversarial-attacks-pytorch issue 12")
def one_norm_for_all_attacks(m, bridge):
    def fgm(loss, x, *, scope="sample", **options):
        return m.fgm(loss, x, scope="tensor", **options)

    return {"fgm": fgm}


@mistake("unit, steepest: one norm for the whole batch", "adversarial-attacks-pytorch issue 12")
def one_norm_for_all(m, bridge):
    def unit(x, *, scope="sample"):
        return m.unit(x, scope="tensor")

    def steepest(x, *, norm="l2", scope="sample"):
        return m.steepest(x, norm=norm, scope="tensor")

    return {"unit": unit, "steepest": steepest}


@mistake("l2_norm: root of the mean square", "a mean in the place of a sum: off by √n")
def root_mean_square(m, bridge):
    return {"l2_norm": lambda x: m.l2_norm(x) / math.prod(x.shape[1:]) ** 0.5}


@mistake("fgm: normed by the root of the mean square", "a mean in the place of a sum: off by √n")
def attack_normed_by_root_mean_square(m, bridge):
    def fgm(loss, x, *, radius, norm="l2", **options):
        longer = math.prod(x.shape[1:]) ** 0.5 if norm == "l2" else 1
        return m.fgm(loss, x, radius=longer * radius, norm=norm, **options)

    return {"fgm": fgm}


@mistake("wgan_gradient_penalty: norm over one axis only", "caogang/wgan-gp issue 27", case="one-sample")
def norm_over_one_axis(m, bridge):
    def wgan_gradient_penalty(critic, real, fake, mix, *, target=1.0):
        weight = each(mix, real)
        gradient = bridge.gradient(critic, weight * real + (1 - weight) * fake)
        places = list(itertools.product(*map(range, real.shape[2:])))
        return sum((m.l2_norm(gradient[(slice(None), slice(None), *at)]) - target) ** 2 for at in places) / len(places)

    return {"wgan_gradient_penalty": wgan_gradient_penalty}


@mistake("kl_divergence: averaged over the classes", "lyakaap/VAT-pytorch commit 075f7e3")
def mean_divergence(m, bridge):
    def kl_divergence(p_logits, q_logits):
        return m.kl_divergence(p_logits, q_logits) / p_logits.shape[-1]

    return {"kl_divergence": kl_divergence}


@mistake("squared_error: averaged over the outputs", "PyTorch's mse_loss and Keras's mse are means")
def mean_squared_error(m, bridge):
    return {"squared_error": lambda outputs, targets: m.squared_error(outputs, targets) / outputs.shape[-1]}


@mistake("entropy: averaged over the classes", "(p * log_p).mean() is a mean over classes too")
def mean_entropy(m, bridge):
    return {"entropy": lambda logits: m.entropy(logits) / logits.shape[-1]}


@mistake("input_gradient_penalty: of the batch's mean loss", "foolbox issue 439, in a penalty")
def mean_reduced_penalty(m, bridge):
    def input_gradient_penalty(loss, x, **options):
        return m.input_gradient_penalty(lambda x: loss(x) / x.shape[0], x, **options)

    return {"input_gradient_penalty": input_gradient_penalty}


@mistake("jacobian_penalty: averaged over the classes", "a mean over the rows in the place of a sum")
def mean_over_rows(m, bridge):
    return {"jacobian_penalty": lambda f, x, **options: m.jacobian_penalty(f, x, **options) / f(x).shape[-1]}


@mistake("jacobian_penalty: rows are added before they are squared", "outputs.sum().backward() gives ∇Σfᵢ")
def added_before_squared(m, bridge):
    def jacobian_penalty(f, x, *, weights=None, probes=None):
        ones = (0 * f(x) + 1)[None] if probes is None else 0 * probes + 1
        return m.jacobian_penalty(f, x, weights=weights, probes=ones)

    return {"jacobian_penalty": jacobian_penalty}


@mistake("laplacian: averaged over the probes twice", "a mean of what was a mean already")
def laplacian_averaged_twice(m, bridge):
    def laplacian(loss, x, *, how="hvp", probes=None):
        return m.laplacian(loss, x, how=how, probes=probes) / (1 if probes is None else probes.shape[0])

    return {"laplacian": laplacian}


@mistake("jacobian_penalty: averaged over the probes twice", "a mean of what was a mean already")
def jacobian_averaged_twice(m, bridge):
    def jacobian_penalty(f, x, *, weights=None, probes=None):
        found = m.jacobian_penalty(f, x, weights=weights, probes=probes)
        return found / (1 if probes is None else probes.shape[0])

    return {"jacobian_penalty": jacobian_penalty}


@mistake("noisy_loss: summed over the copies", "gradients of K copies accumulate where nothing divides them")
def sum_of_noisy_losses(m, bridge):
    return {"noisy_loss": lambda loss, x, noise: noise.shape[0] * m.noisy_loss(loss, x, noise)}


@mistake("freelb_loss: summed over the steps", "gradients of K steps accumulate where nothing divides them")
def sum_over_steps(m, bridge):
    def freelb_loss(loss, x, start, *, steps, **options):
        mean, perturbation = m.freelb_loss(loss, x, start, steps=steps, **options)
        return steps * mean, perturbation

    return {"freelb_loss": freelb_loss}


@mistake("parameter_gradient_penalty: of the total loss", "foolbox issue 439, in θ")
def total_in_place_of_mean(m, bridge):
    def parameter_gradient_penalty(loss, params, *, rate):
        return m.parameter_gradient_penalty(lambda params: loss(params) * loss(params).shape[0], params, rate=rate)

    return {"parameter_gradient_penalty": parameter_gradient_penalty}


@mistake("weight_noise: summed over the copies", "gradients of K copies accumulate where nothing divides them")
def sum_of_noisy_weights(m, bridge):
    def weight_noise(loss, params, noise):
        return next(iter(noise.values())).shape[0] * m.weight_noise(loss, params, noise)

    return {"weight_noise": weight_noise}
