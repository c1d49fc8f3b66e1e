"""Computed, and then never used; or used where no gradient passes."""

from equivalence.mutant import Mutant, collect

MUTANTS: list[Mutant] = []
mistake = collect(MUTANTS, "no-op")


@mistake("fgm: the perturbation is never applied", "DSXiangLi/SimpleClassification model/fgm.py")
def never_applied(m, bridge):
    return {"fgm": lambda loss, x, **options: 0 * m.fgm(loss, x, **options)}


@mistake("adversarial_loss: the perturbation is never applied", "PaddlePaddle/PaddleNLP issue 723")
def both_losses_are_clean(m, bridge):
    def adversarial_loss(loss, x, perturbation, **options):
        return m.adversarial_loss(loss, x, 0 * perturbation, **options)

    return {"adversarial_loss": adversarial_loss}


@mistake("pgd: the random start is never added", "adversarial-attacks-pytorch commit 7121441")
def start_ignored(m, bridge):
    return {"pgd": lambda loss, x, start, **options: m.pgd(loss, x, 0 * start, **options)}


@mistake("freelb_loss: the start is never added", "adversarial-attacks-pytorch commit 7121441")
def free_start_ignored(m, bridge):
    return {"freelb_loss": lambda loss, x, start, **options: m.freelb_loss(loss, x, 0 * start, **options)}


@mistake("input_gradient_penalty: without create_graph", "bert4torch callbacks.py")
def penalty_without_gradient(m, bridge):
    def input_gradient_penalty(loss, x, **options):
        return bridge.fixed(m.input_gradient_penalty(loss, x, **options))

    return {"input_gradient_penalty": input_gradient_penalty}


@mistake("wgan_gradient_penalty: without create_graph", "bert4torch callbacks.py")
def critic_penalty_without_gradient(m, bridge):
    def wgan_gradient_penalty(critic, real, fake, mix, **options):
        return bridge.fixed(m.wgan_gradient_penalty(critic, real, fake, mix, **options))

    return {"wgan_gradient_penalty": wgan_gradient_penalty}


@mistake("jacobian_penalty, tikhonov_penalty: without create_graph", "bert4torch callbacks.py")
def jacobian_without_gradient(m, bridge):
    def jacobian_penalty(f, x, **options):
        return bridge.fixed(m.jacobian_penalty(f, x, **options))

    def tikhonov_penalty(divergence, f, x, **options):
        return bridge.fixed(m.tikhonov_penalty(divergence, f, x, **options))

    return {"jacobian_penalty": jacobian_penalty, "tikhonov_penalty": tikhonov_penalty}


@mistake("laplacian: without create_graph", "bert4torch callbacks.py; third derivatives are refused elsewhere")
def laplacian_without_gradient(m, bridge):
    return {"laplacian": lambda loss, x, **options: bridge.fixed(m.laplacian(loss, x, **options))}


@mistake("parameter_gradient_penalty: without create_graph", "bert4torch callbacks.py")
def parameter_penalty_without_gradient(m, bridge):
    def parameter_gradient_penalty(loss, params, *, rate):
        return bridge.fixed(m.parameter_gradient_penalty(loss, params, rate=rate))

    return {"parameter_gradient_penalty": parameter_gradient_penalty}


@mistake("vat_loss: all of it under no_grad", "the decorator of vat_perturbation copied one function too far")
def smoothness_without_gradient(m, bridge):
    return {"vat_loss": lambda f, x, start, **options: bridge.fixed(m.vat_loss(f, x, start, **options))}


@mistake("lipschitz_bound: the norms are held fixed", "σ taken from a buffer: the bound is no penalty")
def bound_without_gradient(m, bridge):
    return {"lipschitz_bound": lambda weights, us, **options: bridge.fixed(m.lipschitz_bound(weights, us, **options))}


@mistake("dropout_loss: masks are never applied", "a module in evaluation mode")
def masks_ignored(m, bridge):
    return {"dropout_loss": lambda loss, x, masks: m.dropout_loss(loss, x, 0 * masks + 1)}


@mistake("weight_noise: noise is never added", "PaddlePaddle/PaddleNLP issue 723, in θ")
def weights_stay(m, bridge):
    def weight_noise(loss, params, noise):
        return m.weight_noise(loss, params, {name: 0 * draws for name, draws in noise.items()})

    return {"weight_noise": weight_noise}


@mistake("smooth_labels: labels stay hard", "an option that is not passed on")
def labels_stay_hard(m, bridge):
    return {"smooth_labels": lambda labels, *, smoothing, like: m.smooth_labels(labels, smoothing=0.0, like=like)}
