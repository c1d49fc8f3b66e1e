"""Options that are lost on the way: not passed on, read as a switch, or right in one combination alone."""

import functools

from equivalence.mutant import Mutant, collect
from equivalence.parts.composed import log_softmax

MUTANTS: list[Mutant] = []
mistake = functools.partial(collect(MUTANTS, "options"), called=True)


@mistake("adversarial_loss: a clean weight of 0 is taken for none", "clean_weight or 0.5: 0 is false in Python")
def zero_weight_is_none(m, bridge):
    def adversarial_loss(loss, x, perturbation, *, clean_weight=0.5):
        return m.adversarial_loss(loss, x, perturbation, clean_weight=clean_weight or 0.5)

    return {"adversarial_loss": adversarial_loss}


@mistake("fgm: a radius of 0 is taken for none", "radius or 1.0: 0 is false in Python")
def zero_radius_is_none(m, bridge):
    return {"fgm": lambda loss, x, *, radius, **options: m.fgm(loss, x, radius=radius or 1.0, **options)}


@mistake("project: a radius of 0 is taken for none", "if radius: 0 is false in Python")
def zero_ball_is_none(m, bridge):
    return {"project": lambda x, *, radius, norm="l2": m.project(x, radius=radius, norm=norm) if radius else x}


@mistake("pgd: a step of 0 is taken for none", "step or 2.5·radius/steps, the usual rule where none is given")
def zero_step_is_none(m, bridge):
    def pgd(loss, x, start, *, radius, step, steps, **options):
        return m.pgd(loss, x, start, radius=radius, step=step or 2.5 * radius / steps, steps=steps, **options)

    return {"pgd": pgd}


@mistake("pgd: the box is kept for the l2 ball alone", "bounds=bounds forgotten in one branch of three")
def box_for_one_norm(m, bridge):
    def pgd(loss, x, start, *, norm="l2", bounds=None, **options):
        return m.pgd(loss, x, start, norm=norm, bounds=bounds if norm == "l2" else None, **options)

    return {"pgd": pgd}


@mistake("pgd: a box that ends at 0 is open there", "if low or high, and min=low or None: 0 is false in Python")
def box_open_at_zero(m, bridge):
    def pgd(loss, x, start, *, bounds=None, **options):
        ends = bounds and (bounds[0] or -1e9, bounds[1] or 1e9)
        return m.pgd(loss, x, start, bounds=ends, **options)

    return {"pgd": pgd}


@mistake("freelb_loss: the l1 ball's points are projected onto the l2 ball", "FreeLB's code knows l2 and l∞ alone")
def l1_ascent_in_the_l2_ball(m, bridge):
    def freelb_loss(loss, x, start, *, radius, step, steps, norm="l2"):
        if norm != "l1":
            return m.freelb_loss(loss, x, start, radius=radius, step=step, steps=steps, norm=norm)
        r, losses = bridge.fixed(m.project(start, radius=radius)), []
        for _ in range(steps):
            losses.append(loss(x + r))
            r = bridge.fixed(m.project(r + m.fgm(loss, x + r, radius=step, norm=norm), radius=radius))
        return sum(losses) / steps, r

    return {"freelb_loss": freelb_loss}


@mistake("input_gradient_penalty: ξ is always 0.01", "an option that is not passed on")
def difference_of_one_step(m, bridge):
    def input_gradient_penalty(loss, x, *, xi=None, **options):
        return m.input_gradient_penalty(loss, x, xi=0.01, **options)

    return {"input_gradient_penalty": input_gradient_penalty}


@mistake(
    "input_gradient_penalty: the loss at x - ξu comes back", "one name for three forward passes: the last one stays"
)
def loss_of_the_last_pass(m, bridge):
    def input_gradient_penalty(loss, x, *, norm="l2_squared", how="double_backward", xi=None, with_loss=False):
        found = m.input_gradient_penalty(loss, x, norm=norm, how=how, xi=xi, with_loss=with_loss)
        if not with_loss or how != "finite_difference":
            return found
        direction = m.unit(m.fgm(loss, x, radius=1.0, norm="linf" if norm == "l1" else "raw"))
        return found[0], loss(x - (0.01 if xi is None else xi) * direction)

    return {"input_gradient_penalty": input_gradient_penalty}


@mistake("jacobian_penalty: weights are rooted where there are no probes", "exact rows have w, probes √w")
def weights_rooted(m, bridge):
    def jacobian_penalty(f, x, *, weights=None, probes=None, with_outputs=False):
        rooted = weights if weights is None or probes is not None else weights**0.5
        return m.jacobian_penalty(f, x, weights=rooted, probes=probes, with_outputs=with_outputs)

    return {"jacobian_penalty": jacobian_penalty}


@mistake("jacobian_penalty: probes are ignored where there are weights", "two options, and an if … elif")
def probes_or_weights(m, bridge):
    def jacobian_penalty(f, x, *, weights=None, probes=None, **options):
        return m.jacobian_penalty(f, x, weights=weights, probes=probes if weights is None else None, **options)

    return {"jacobian_penalty": jacobian_penalty}


@mistake("tikhonov_penalty: log p comes back in the place of the outputs", "what was differentiated is what is at hand")
def log_probabilities_come_back(m, bridge):
    def tikhonov_penalty(divergence, f, x, *, probes=None, with_outputs=False):
        found = m.tikhonov_penalty(divergence, f, x, probes=probes, with_outputs=with_outputs)
        if not with_outputs or divergence == "squared_error":
            return found
        return found[0], log_softmax(m, found[1])

    return {"tikhonov_penalty": tikhonov_penalty}


@mistake("tikhonov_penalty: λ = 2 scales the probes, not their squares", "exact rows have λ, probes √λ")
def probes_times_lambda(m, bridge):
    def tikhonov_penalty(divergence, f, x, *, probes=None, with_outputs=False):
        scaled = probes if probes is None or divergence != "squared_error" else 2**0.5 * probes
        return m.tikhonov_penalty(divergence, f, x, probes=scaled, with_outputs=with_outputs)

    return {"tikhonov_penalty": tikhonov_penalty}


@mistake("laplacian: probes are ignored in the forward way", "the exact sum is there in one pass: an early return")
def forward_without_probes(m, bridge):
    def laplacian(loss, x, *, how="hvp", probes=None, with_loss=False):
        return m.laplacian(loss, x, how=how, probes=probes if how == "hvp" else None, with_loss=with_loss)

    return {"laplacian": laplacian}


@mistake("top_eigenpair: 0 steps are taken for none", "steps or 1: 0 is false in Python")
def one_step_at_least(m, bridge):
    def top_eigenpair(loss, x, start, *, steps, **options):
        return m.top_eigenpair(loss, x, start, steps=steps or 1, **options)

    return {"top_eigenpair": top_eigenpair}


@mistake("consistency_loss: given outputs are the second argument", "D(noisy, given) where D(clean, noisy) is meant")
def given_outputs_second(m, bridge):
    def consistency_loss(divergence, f, x, noise, *, outputs=None):
        turned = divergence if outputs is None else lambda clean, noisy: divergence(noisy, clean)
        return m.consistency_loss(turned, f, x, noise, outputs=outputs)

    return {"consistency_loss": consistency_loss}


@mistake("consistency_loss: given outputs are computed again", "an argument that is accepted and never read")
def given_outputs_unread(m, bridge):
    def consistency_loss(divergence, f, x, noise, *, outputs=None):
        return m.consistency_loss(divergence, f, x, noise)

    return {"consistency_loss": consistency_loss}


@mistake("vat_loss: given logits are computed again", "an argument that is accepted and never read")
def given_logits_unread(m, bridge):
    return {"vat_loss": lambda f, x, start, *, logits=None, **options: m.vat_loss(f, x, start, **options)}


@mistake(
    "vat_loss: the power steps do not know the given logits", "a perturbation by a function that has no such option"
)
def steps_without_given_logits(m, bridge):
    def vat_loss(f, x, start, *, entropy_weight=0.0, logits=None, **options):
        if logits is None:
            return m.vat_loss(f, x, start, entropy_weight=entropy_weight, **options)
        r = m.vat_perturbation(f, x, start, **options)
        return m.kl_divergence(bridge.fixed(logits), f(x + r)) + entropy_weight * m.entropy(logits)

    return {"vat_loss": vat_loss}


@mistake("smooth_labels: soft labels are left alone", "smoothing within the one-hot encoding, which they do not need")
def soft_labels_left_alone(m, bridge):
    def smooth_labels(labels, *, smoothing, like):
        return m.smooth_labels(labels, smoothing=smoothing if len(labels.shape) == 1 else 0.0, like=like)

    return {"smooth_labels": smooth_labels}


@mistake("vat_loss: ξ is not passed on", "the default of the function that is called")
def smoothness_at_one_step(m, bridge):
    return {"vat_loss": lambda f, x, start, *, xi=None, **options: m.vat_loss(f, x, start, **options)}


@mistake("vat_loss: one step of differences, however many are asked for", "steps passed on in the exact way alone")
def one_step_of_differences(m, bridge):
    def vat_loss(f, x, start, *, steps=1, how="fisher", **options):
        return m.vat_loss(f, x, start, steps=steps if how == "exact" else 1, how=how, **options)

    return {"vat_loss": vat_loss}


@mistake("vat_loss: the entropy's weight is a switch", "if entropy_weight: loss += entropy")
def entropy_switched_on(m, bridge):
    def vat_loss(f, x, start, *, how="fisher", entropy_weight=0.0, **options):
        weight = entropy_weight if how == "exact" else float(entropy_weight > 0)
        return m.vat_loss(f, x, start, how=how, entropy_weight=weight, **options)

    return {"vat_loss": vat_loss}


@mistake("vat_loss: no entropy where the logits are given", "the entropy is added where the logits are computed")
def no_entropy_of_given_logits(m, bridge):
    def vat_loss(f, x, start, *, entropy_weight=0.0, logits=None, **options):
        weight = entropy_weight if logits is None else 0.0
        return m.vat_loss(f, x, start, entropy_weight=weight, logits=logits, **options)

    return {"vat_loss": vat_loss}


@mistake("wgan_gradient_penalty: the target is a switch", "one_centred=bool(target), WGAN-GP or R1")
def target_switched_on(m, bridge):
    def wgan_gradient_penalty(critic, real, fake, mix, *, target=1.0):
        return m.wgan_gradient_penalty(critic, real, fake, mix, target=float(target > 0))

    return {"wgan_gradient_penalty": wgan_gradient_penalty}


@mistake("perturb_table: one entry a row for the l1 ball", "steepest's default scope: passed on for l2 alone")
def one_entry_a_row(m, bridge):
    def perturb_table(loss, table, *, radius, norm="l2"):
        if norm != "l1":
            return m.perturb_table(loss, table, radius=radius, norm=norm)
        return radius * m.steepest(m.perturb_table(loss, table, radius=1.0, norm="raw"), norm="l1")

    return {"perturb_table": perturb_table}


@mistake("perturb_output: the raw gradient is not masked", "an early return where nothing is to be normalised")
def raw_not_masked(m, bridge):
    def perturb_output(loss, x, mask, *, radius, norm="l2", scope="sample"):
        if norm == "raw":
            return m.fgm(loss, x, radius=radius, norm="raw")
        return m.perturb_output(loss, x, mask, radius=radius, norm=norm, scope=scope)

    return {"perturb_output": perturb_output}


@mistake(
    "perturb_output: the l1 ball's entry may be at padding", "masked afterwards: nothing is left of the radius then"
)
def largest_at_padding(m, bridge):
    def perturb_output(loss, x, mask, *, radius, norm="l2", scope="sample"):
        if norm != "l1":
            return m.perturb_output(loss, x, mask, radius=radius, norm=norm, scope=scope)
        return m.fgm(loss, x, radius=radius, norm="l1", scope=scope) * mask[:, :, None]

    return {"perturb_output": perturb_output}


@mistake("perturb_output: one scope for the tensor in the l2 ball alone", "scope=scope forgotten in one branch of two")
def scope_for_one_norm(m, bridge):
    def perturb_output(loss, x, mask, *, norm="l2", scope="sample", **options):
        return m.perturb_output(loss, x, mask, norm=norm, scope=scope if norm == "l2" else "sample", **options)

    return {"perturb_output": perturb_output}


@mistake("lipschitz_bound: one step for kernels", "steps=steps forgotten in one branch of two")
def one_step_for_kernels(m, bridge):
    def lipschitz_bound(weights, us, *, steps=1):
        bound = 1.0
        for weight, u in zip(weights, us, strict=True):
            bound = bound * m.lipschitz_bound([weight], [u], steps=steps if len(weight.shape) == 2 else 1)
        return bound

    return {"lipschitz_bound": lipschitz_bound}


@mistake("parameter_gradient_penalty: a rate of 0 is taken for none", "rate or 1e-3: 0 is false in Python")
def zero_rate_is_none(m, bridge):
    def parameter_gradient_penalty(loss, params, *, rate):
        return m.parameter_gradient_penalty(loss, params, rate=rate or 1e-3)

    return {"parameter_gradient_penalty": parameter_gradient_penalty}


@mistake("flooding: a negative level is taken for 0", "max(level, 0): a loss that may be negative is not thought of")
def no_negative_level(m, bridge):
    return {"flooding": lambda loss, *, level: m.flooding(loss, level=max(level, 0.0))}


@mistake("kl_divergence: log-probabilities of at least -100", "torch.nn.BCELoss clamps its logarithms there")
def logarithms_clamped(m, bridge):
    def kl_divergence(p_logits, q_logits):
        return m.kl_divergence(p_logits, m.project(log_softmax(m, q_logits), radius=100.0, norm="linf"))

    return {"kl_divergence": kl_divergence}


@mistake("cross_entropy: at most 100", "torch.nn.BCELoss clamps its logarithms at -100")
def loss_clamped(m, bridge):
    return {
        "cross_entropy": lambda logits, labels: m.project(
            m.cross_entropy(logits, labels)[:, None], radius=100.0, norm="linf"
        )[:, 0]
    }
