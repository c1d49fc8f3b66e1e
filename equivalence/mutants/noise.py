"""Noise that is not what it should be, and copies that are not independent."""

from equivalence.mutant import Mutant, collect
from equivalence.parts.composed import each

MUTANTS: list[Mutant] = []
mistake = collect(MUTANTS, "noise")


@mistake("noisy_loss: one draw for all samples", "noise of the shape of one sample, broadcast")
def one_draw_for_all(m, bridge):
    return {"noisy_loss": lambda loss, x, noise: m.noisy_loss(loss, x, 0 * noise + noise[:, :1])}


@mistake("noisy_loss: 3 % too strong", "as wrong as a slope does not see")
def slightly_strong(m, bridge):
    return {"noisy_loss": lambda loss, x, noise: m.noisy_loss(loss, x, 1.03 * noise)}


@mistake("noisy_loss: variance for deviation", "σ² where normal(scale=) wants σ")
def variance_for_deviation(m, bridge):
    return {"noisy_loss": lambda loss, x, noise: m.noisy_loss(loss, x, noise * abs(noise))}


@mistake("consistency_loss: the clean side is noisy too", "R-Drop's two passes in the place of Π-model's")
def both_sides_noisy(m, bridge):
    def consistency_loss(divergence, f, x, noise):
        return m.consistency_loss(divergence, f, x - noise[0], 2 * noise)

    return {"consistency_loss": consistency_loss}


@mistake("consistency_loss: the arguments exchanged", "kl_div(input, target) has its target second")
def sides_exchanged(m, bridge):
    def consistency_loss(divergence, f, x, noise):
        return m.consistency_loss(lambda a, b: divergence(b, a), f, x, noise)

    return {"consistency_loss": consistency_loss}


@mistake("consistency_loss: the clean side is held fixed", "a teacher's stop-gradient, as in the Mean Teacher")
def clean_side_fixed(m, bridge):
    def consistency_loss(divergence, f, x, noise):
        return m.consistency_loss(lambda a, b: divergence(bridge.fixed(a), b), f, x, noise)

    return {"consistency_loss": consistency_loss}


@mistake("dropout_loss: the first mask serves all copies", "a mask drawn before the loop")
def one_mask_for_all(m, bridge):
    return {"dropout_loss": lambda loss, x, masks: m.dropout_loss(loss, x, masks[:1])}


@mistake("dropout_loss: one mask for all samples", "a mask of the shape of one sample, broadcast")
def one_mask_for_samples(m, bridge):
    return {"dropout_loss": lambda loss, x, masks: m.dropout_loss(loss, x, 0 * masks + masks[:, :1])}


@mistake("weight_noise: the first draw serves all copies", "noise drawn before the loop")
def one_draw_for_copies(m, bridge):
    def weight_noise(loss, params, noise):
        return m.weight_noise(loss, params, {name: draws[:1] for name, draws in noise.items()})

    return {"weight_noise": weight_noise}


@mistake("weight_noise: relative to the weights", "θ·(1 + z), which leaves zeros alone")
def relative_noise(m, bridge):
    def weight_noise(loss, params, noise):
        return m.weight_noise(loss, params, {name: params[name] * noise[name] for name in params})

    return {"weight_noise": weight_noise}


@mistake("weight_noise: biases left out", "'weight' in name")
def biases_left_out(m, bridge):
    def weight_noise(loss, params, noise):
        kept = {name: draws if len(draws.shape) > 2 else 0 * draws for name, draws in noise.items()}
        return m.weight_noise(loss, params, kept)

    return {"weight_noise": weight_noise}


@mistake("jacobian_penalty: one probe for all samples", "probes of the shape of one sample, broadcast")
def one_probe_for_all(m, bridge):
    def jacobian_penalty(f, x, *, weights=None, probes=None):
        shared = None if probes is None else 0 * probes + probes[:, :1]
        return m.jacobian_penalty(f, x, weights=weights, probes=shared)

    return {"jacobian_penalty": jacobian_penalty}


@mistake("tikhonov_penalty: one probe for all samples", "probes of the shape of one sample, broadcast")
def one_tikhonov_probe(m, bridge):
    def tikhonov_penalty(divergence, f, x, *, probes=None):
        shared = None if probes is None else 0 * probes + probes[:, :1]
        return m.tikhonov_penalty(divergence, f, x, probes=shared)

    return {"tikhonov_penalty": tikhonov_penalty}


@mistake("laplacian: probes of one length", "probes normalised to the sphere, and not multiplied by n")
def probes_on_the_sphere(m, bridge):
    def laplacian(loss, x, *, how="hvp", probes=None):
        if probes is None:
            return m.laplacian(loss, x, how=how)
        lengths = each(m.l2_norm(probes[0]), x)  # of signs: alike for all
        return m.laplacian(loss, x, how=how, probes=probes / lengths)

    return {"laplacian": laplacian}
