"""Gradients that stop where they should flow, in every argument and result, and flow where they should stop."""

import functools

from equivalence.mutant import Mutant, collect
from equivalence.parts.composed import each, sign, summed, total

MUTANTS: list[Mutant] = []
mistake = functools.partial(collect(MUTANTS, "held fixed"), called=True)
LEAF = "x.detach().requires_grad_(), as snippets begin: x may be what a layer before gives"
DRAWN = "a drawn array, taken for a constant: it may be what is learned"
SPARED = "detached so that no graph is kept: it is what the loss is computed from"


# x, through which a gradient flows on to whatever x was computed from.


@mistake("noisy_loss: x is held fixed", LEAF)
def noisy_x_fixed(m, bridge):
    return {"noisy_loss": lambda loss, x, noise: m.noisy_loss(loss, bridge.fixed(x), noise)}


@mistake("dropout_loss: x is held fixed", LEAF)
def masked_x_fixed(m, bridge):
    return {"dropout_loss": lambda loss, x, masks: m.dropout_loss(loss, bridge.fixed(x), masks)}


@mistake("consistency_loss: the noisy side's x is held fixed", LEAF)
def consistent_x_fixed(m, bridge):
    def consistency_loss(divergence, f, x, noise, *, outputs=None):
        clean = f(x) if outputs is None else outputs
        return m.consistency_loss(divergence, f, bridge.fixed(x), noise, outputs=clean)

    return {"consistency_loss": consistency_loss}


@mistake("freelb_loss: x is held fixed", LEAF)
def ascended_x_fixed(m, bridge):
    return {"freelb_loss": lambda loss, x, start, **options: m.freelb_loss(loss, bridge.fixed(x), start, **options)}


@mistake("input_gradient_penalty: x is held fixed in the ways without a double backward", LEAF)
def penalised_x_fixed(m, bridge):
    def input_gradient_penalty(loss, x, *, how="double_backward", **options):
        own = x if how == "double_backward" else bridge.fixed(x)
        return m.input_gradient_penalty(loss, own, how=how, **options)

    return {"input_gradient_penalty": input_gradient_penalty}


@mistake("jacobian_penalty: x is held fixed", LEAF)
def jacobian_x_fixed(m, bridge):
    return {"jacobian_penalty": lambda f, x, **options: m.jacobian_penalty(f, bridge.fixed(x), **options)}


@mistake("tikhonov_penalty: x is held fixed", LEAF)
def tikhonov_x_fixed(m, bridge):
    def tikhonov_penalty(divergence, f, x, **options):
        return m.tikhonov_penalty(divergence, f, bridge.fixed(x), **options)

    return {"tikhonov_penalty": tikhonov_penalty}


@mistake("wgan_gradient_penalty: the point between is held fixed", "a leaf of its own, as Gulrajani's is in every port")
def point_between_fixed(m, bridge):
    def wgan_gradient_penalty(critic, real, fake, mix, **options):
        return m.wgan_gradient_penalty(critic, bridge.fixed(real), bridge.fixed(fake), bridge.fixed(mix), **options)

    return {"wgan_gradient_penalty": wgan_gradient_penalty}


@mistake("hvp: x is held fixed", LEAF)
def product_x_fixed(m, bridge):
    return {"hvp": lambda loss, x, vector: m.hvp(loss, bridge.fixed(x), vector)}


@mistake("laplacian: x is held fixed", LEAF)
def laplacian_x_fixed(m, bridge):
    return {"laplacian": lambda loss, x, **options: m.laplacian(loss, bridge.fixed(x), **options)}


@mistake("top_eigenpair: x is held fixed", LEAF)
def eigenpair_x_fixed(m, bridge):
    return {"top_eigenpair": lambda loss, x, start, **options: m.top_eigenpair(loss, bridge.fixed(x), start, **options)}


@mistake("vat_loss: x is held fixed", LEAF)
def smooth_x_fixed(m, bridge):
    return {"vat_loss": lambda f, x, start, **options: m.vat_loss(f, bridge.fixed(x), start, **options)}


@mistake(
    "l2_norm: the largest entry is held fixed in one place of two", "divided out as a number, multiplied in detached"
)
def largest_fixed_once(m, bridge):
    def l2_norm(x):
        largest = summed(x * bridge.fixed(m.steepest(x, norm="l1")))
        divisor = largest + (1 - sign(m, largest))
        return bridge.fixed(largest) * m.l2_norm(x / each(divisor, x))

    return {"l2_norm": l2_norm}


# Other arguments.


@mistake("noisy_loss: noise is held fixed", DRAWN)
def noise_fixed(m, bridge):
    return {"noisy_loss": lambda loss, x, noise: m.noisy_loss(loss, x, bridge.fixed(noise))}


@mistake("consistency_loss: noise is held fixed", DRAWN)
def consistent_noise_fixed(m, bridge):
    def consistency_loss(divergence, f, x, noise, **options):
        return m.consistency_loss(divergence, f, x, bridge.fixed(noise), **options)

    return {"consistency_loss": consistency_loss}


@mistake("dropout_loss: masks are held fixed", "variational dropout learns its rate through them")
def masks_fixed(m, bridge):
    return {"dropout_loss": lambda loss, x, masks: m.dropout_loss(loss, x, bridge.fixed(masks))}


@mistake("adversarial_loss: the perturbation is held fixed", "it comes back held fixed from fgm, not from a generator")
def perturbation_fixed(m, bridge):
    def adversarial_loss(loss, x, perturbation, **options):
        return m.adversarial_loss(loss, x, bridge.fixed(perturbation), **options)

    return {"adversarial_loss": adversarial_loss}


@mistake("squared_error: targets are held fixed", "a teacher's stop-gradient; in a consistency loss both sides learn")
def targets_fixed(m, bridge):
    return {"squared_error": lambda outputs, targets: m.squared_error(outputs, bridge.fixed(targets))}


@mistake("jacobian_penalty: weights are held fixed", "Tikhonov's λ = 1/p depends on the model")
def weights_fixed(m, bridge):
    def jacobian_penalty(f, x, *, weights=None, **options):
        return m.jacobian_penalty(f, x, weights=None if weights is None else bridge.fixed(weights), **options)

    return {"jacobian_penalty": jacobian_penalty}


@mistake("jacobian_penalty: probes are held fixed", DRAWN)
def probes_fixed(m, bridge):
    def jacobian_penalty(f, x, *, weights=None, probes=None, **options):
        return m.jacobian_penalty(
            f, x, weights=weights, probes=None if probes is None else bridge.fixed(probes), **options
        )

    return {"jacobian_penalty": jacobian_penalty}


@mistake("laplacian: probes are held fixed", DRAWN)
def laplacian_probes_fixed(m, bridge):
    def laplacian(loss, x, *, how="hvp", probes=None, **options):
        return m.laplacian(loss, x, how=how, probes=None if probes is None else bridge.fixed(probes), **options)

    return {"laplacian": laplacian}


@mistake("hvp: the vector is held fixed", "a direction in a power iteration is; a gradient in a Newton step is not")
def vector_fixed(m, bridge):
    return {"hvp": lambda loss, x, vector: m.hvp(loss, x, bridge.fixed(vector))}


@mistake(
    "wgan_gradient_penalty: the fake samples are held fixed", "fake.detach(): the contract leaves it to the caller"
)
def fake_fixed(m, bridge):
    def wgan_gradient_penalty(critic, real, fake, mix, **options):
        return m.wgan_gradient_penalty(critic, real, bridge.fixed(fake), mix, **options)

    return {"wgan_gradient_penalty": wgan_gradient_penalty}


@mistake("unit: the norm is held fixed", "x / x.norm().detach(): the slope of what may grow longer")
def norm_fixed(m, bridge):
    def unit(x, *, scope="sample"):
        norms = bridge.fixed(m.l2_norm(x) if scope == "sample" else m.l2_norm(x[None]))
        return x / each(norms + (1 - sign(m, norms)), x)

    return {"unit": unit}


@mistake("project: the l2 ball's scale is held fixed", "x * (radius / norm).detach(), the factor taken for a constant")
def scale_fixed(m, bridge):
    def project(x, *, radius, norm="l2"):
        if norm != "l2":
            return m.project(x, radius=radius, norm=norm)
        short = bridge.fixed(m.l2_norm(m.project(x, radius=radius)) / (m.l2_norm(x) + 1e-300))
        return x * each(short, x)

    return {"project": project}


# Results that come back beside the first, through which a gradient flows.


@mistake("input_gradient_penalty: the loss that comes back is held fixed after differences", SPARED)
def loss_fixed(m, bridge):
    def input_gradient_penalty(loss, x, *, how="double_backward", with_loss=False, **options):
        found = m.input_gradient_penalty(loss, x, how=how, with_loss=with_loss, **options)
        return (found[0], bridge.fixed(found[1])) if with_loss and how == "finite_difference" else found

    return {"input_gradient_penalty": input_gradient_penalty}


@mistake("jacobian_penalty: the outputs that come back are held fixed", SPARED)
def outputs_fixed(m, bridge):
    def jacobian_penalty(f, x, *, with_outputs=False, **options):
        found = m.jacobian_penalty(f, x, with_outputs=with_outputs, **options)
        return (found[0], bridge.fixed(found[1])) if with_outputs else found

    return {"jacobian_penalty": jacobian_penalty}


@mistake("tikhonov_penalty: the outputs that come back are held fixed", SPARED)
def tikhonov_outputs_fixed(m, bridge):
    def tikhonov_penalty(divergence, f, x, *, with_outputs=False, **options):
        found = m.tikhonov_penalty(divergence, f, x, with_outputs=with_outputs, **options)
        return (found[0], bridge.fixed(found[1])) if with_outputs else found

    return {"tikhonov_penalty": tikhonov_penalty}


@mistake("laplacian: the loss that comes back is held fixed", SPARED)
def laplacian_loss_fixed(m, bridge):
    def laplacian(loss, x, *, with_loss=False, **options):
        found = m.laplacian(loss, x, with_loss=with_loss, **options)
        return (found[0], bridge.fixed(found[1])) if with_loss else found

    return {"laplacian": laplacian}


@mistake(
    "consistency_loss: given outputs are held fixed", "a teacher's stop-gradient, where the loss's outputs are shared"
)
def given_outputs_fixed(m, bridge):
    def consistency_loss(divergence, f, x, noise, *, outputs=None):
        clean = None if outputs is None else bridge.fixed(outputs)
        return m.consistency_loss(divergence, f, x, noise, outputs=clean)

    return {"consistency_loss": consistency_loss}


@mistake(
    "vat_loss: the entropy of given logits is held fixed", "the logits that were detached for the KL are used again"
)
def entropy_of_given_logits_fixed(m, bridge):
    def vat_loss(f, x, start, *, logits=None, **options):
        return m.vat_loss(f, x, start, logits=None if logits is None else bridge.fixed(logits), **options)

    return {"vat_loss": vat_loss}


# What must come back, or stay, held fixed.


@mistake(
    "vat_loss: given logits are not held fixed", "detached where they are computed, and forgotten where they come in"
)
def given_logits_not_fixed(m, bridge):
    def vat_loss(f, x, start, *, entropy_weight=0.0, logits=None, **options):
        if logits is None:
            return m.vat_loss(f, x, start, entropy_weight=entropy_weight, **options)
        moved = f(x + m.vat_perturbation(f, x, start, **options))
        return m.kl_divergence(logits, moved) + entropy_weight * m.entropy(logits)

    return {"vat_loss": vat_loss}


@mistake("top_eigenpair: the vector is not held fixed", "the iteration is run under no_grad but for its last product")
def vector_not_fixed(m, bridge):
    def top_eigenpair(loss, x, start, *, steps, how="power"):
        if steps == 0 or how == "lanczos":
            return m.top_eigenpair(loss, x, start, steps=steps, how=how)
        before = m.top_eigenpair(loss, x, start, steps=steps - 1)[1]
        value, _ = m.top_eigenpair(loss, x, start, steps=steps)
        return value, m.unit(m.hvp(loss, x, before))

    return {"top_eigenpair": top_eigenpair}


@mistake("freelb_loss: the perturbation that comes back is not held fixed", "detached at the head of the loop alone")
def last_point_not_fixed(m, bridge):
    def freelb_loss(loss, x, start, *, radius, step, steps, norm="l2"):
        values, _ = m.freelb_loss(loss, x, start, radius=radius, step=step, steps=steps, norm=norm)
        if steps == 1:
            before = bridge.fixed(m.project(start, radius=radius, norm=norm))
        else:
            before = m.freelb_loss(loss, x, start, radius=radius, step=step, steps=steps - 1, norm=norm)[1]
        ascent = step * m.steepest(bridge.gradient(loss, x + before), norm=norm)
        return values, m.project(before + ascent, radius=radius, norm=norm)

    return {"freelb_loss": freelb_loss}


@mistake("pgd: the start is not held fixed", "only gradients are detached: delta = delta + step * grad.detach()")
def start_not_fixed(m, bridge):
    def pgd(loss, x, start, *, radius, step, steps, norm="l2", bounds=None):
        def inside(r):
            r = m.project(r, radius=radius, norm=norm)
            return r if bounds is None else r + bridge.fixed(m.pgd(loss, x, r, step=0.0, steps=1, **within) - r)

        within = {"radius": radius, "norm": norm, "bounds": bounds}
        r = inside(start)
        for _ in range(steps):
            r = inside(r + m.fgm(loss, x + r, radius=step, norm=norm))
        return r

    return {"pgd": pgd}


@mistake("perturb_output: the mask is not held fixed", "grad.detach() * mask: only the gradient is detached")
def mask_not_fixed(m, bridge):
    def perturb_output(loss, x, mask, *, radius, norm="l2", scope="sample"):
        gradient = m.perturb_output(loss, x, 0 * mask + 1, radius=1.0, norm="raw")
        return radius * m.steepest(gradient * mask[:, :, None], norm=norm, scope=scope)

    return {"perturb_output": perturb_output}


@mistake("perturb_table: raw gradients are not held fixed", "detached where they are divided, and returned where not")
def raw_table_not_fixed(m, bridge):
    def perturb_table(loss, table, *, radius, norm="l2"):
        if norm != "raw":
            return m.perturb_table(loss, table, radius=radius, norm=norm)
        return radius * bridge.gradient(loss, table)

    return {"perturb_table": perturb_table}


@mistake(
    "spectral_norm: u comes back with its last step's gradient", "u and v are detached for σ, u is returned before"
)
def carried_vector_not_fixed(m, bridge):
    def spectral_norm(weight, u, *, steps=1):
        sigma, _ = m.spectral_norm(weight, u, steps=steps)
        before = u if steps == 1 else m.spectral_norm(weight, u, steps=steps - 1)[1]
        v = bridge.fixed(m.unit(total(each(before, weight) * weight)[None]))  # (1, *I)
        return sigma, m.unit(summed(weight * v)[None])[0]

    return {"spectral_norm": spectral_norm}


@mistake("spectral_norm: the start is not held fixed", "weight.detach() in the iteration, where no_grad is meant")
def first_vector_not_fixed(m, bridge):
    def spectral_norm(weight, u, *, steps=1):
        held = bridge.fixed(weight)
        for _ in range(steps):
            v = m.unit(total(each(u, held) * held)[None])  # (1, *I)
            u = m.unit(summed(held * v)[None])[0]
        return summed((u * summed(weight * v))[None])[0], bridge.fixed(u)

    return {"spectral_norm": spectral_norm}


# Numbers that come as arrays: what makes Python's own of them, or a new array, cuts their gradient off.

NUMBER = "float(…), .item(), torch.tensor(…): right as long as nobody learns the number"


def number(bridge, value):
    """A number as it is; an array without its history."""
    return bridge.fixed(value) if hasattr(value, "shape") else value


@mistake("parameter_gradient_penalty: the rate is held fixed", NUMBER)
def rate_fixed(m, bridge):
    def parameter_gradient_penalty(loss, params, *, rate):
        return m.parameter_gradient_penalty(loss, params, rate=number(bridge, rate))

    return {"parameter_gradient_penalty": parameter_gradient_penalty}


@mistake("wgan_gradient_penalty: the target is held fixed", NUMBER)
def target_fixed(m, bridge):
    def wgan_gradient_penalty(critic, real, fake, mix, *, target=1.0):
        return m.wgan_gradient_penalty(critic, real, fake, mix, target=number(bridge, target))

    return {"wgan_gradient_penalty": wgan_gradient_penalty}


@mistake("flooding: the level is held fixed", NUMBER)
def level_fixed(m, bridge):
    return {"flooding": lambda loss, *, level: m.flooding(loss, level=number(bridge, level))}


@mistake("project: the radius is held fixed", NUMBER)
def radius_fixed(m, bridge):
    return {"project": lambda x, *, radius, norm="l2": m.project(x, radius=number(bridge, radius), norm=norm)}


@mistake("smooth_labels: the share is held fixed", NUMBER)
def share_fixed(m, bridge):
    def smooth_labels(labels, *, smoothing, like):
        return m.smooth_labels(labels, smoothing=number(bridge, smoothing), like=like)

    return {"smooth_labels": smooth_labels}
