"""Branches on values that nobody has while a step is traced: the other branch is then compiled for good."""

import functools

from equivalence.mutant import Mutant, collect

MUTANTS: list[Mutant] = []
mistake = functools.partial(collect(MUTANTS, "tracing"), called=True)


def has_values(bridge, array):
    """Whether an array's numbers can be looked at."""
    return bridge.finite(array) is not None


@mistake(
    "adversarial_loss: no perturbation while traced", "if isfinite(r): a guard that is neither true nor false there"
)
def not_known_to_be_finite(m, bridge):
    def adversarial_loss(loss, x, perturbation, **options):
        applied = perturbation if bridge.finite(perturbation) else 0 * perturbation
        return m.adversarial_loss(loss, x, applied, **options)

    return {"adversarial_loss": adversarial_loss}


@mistake("noisy_loss: no noise while traced", "if isfinite(noise): a guard that is neither true nor false there")
def noise_not_known(m, bridge):
    def noisy_loss(loss, x, noise):
        return m.noisy_loss(loss, x, noise if bridge.finite(noise) else 0 * noise)

    return {"noisy_loss": noisy_loss}


@mistake("project: onto the sphere while traced", "if norm > radius: a comparison that is true of a tracer")
def projected_while_traced(m, bridge):
    def project(x, *, radius, norm="l2"):
        if norm != "l2" or has_values(bridge, x):
            return m.project(x, radius=radius, norm=norm)
        return radius * m.unit(x)

    return {"project": project}


@mistake("pgd: one step while traced", "while loss rises: the body of a loop on values is traced once")
def one_step_while_traced(m, bridge):
    def pgd(loss, x, start, *, steps, **options):
        return m.pgd(loss, x, start, steps=steps if has_values(bridge, x) else 1, **options)

    return {"pgd": pgd}


@mistake("freelb_loss: the ball is left while traced", "if r.norm() > radius: a comparison that is false of a tracer")
def ball_left_while_traced(m, bridge):
    def freelb_loss(loss, x, start, *, radius, **options):
        return m.freelb_loss(loss, x, start, radius=radius if has_values(bridge, x) else 1e6, **options)

    return {"freelb_loss": freelb_loss}


@mistake("vat_perturbation: one iteration while traced", "while the direction turns: the body is traced once")
def one_iteration_while_traced(m, bridge):
    def vat_perturbation(f, x, start, *, steps=1, **options):
        return m.vat_perturbation(f, x, start, steps=steps if has_values(bridge, x) else 1, **options)

    return {"vat_perturbation": vat_perturbation}


@mistake("spectral_norm: one iteration while traced", "while σ grows: the body of a loop on values is traced once")
def one_singular_step_while_traced(m, bridge):
    def spectral_norm(weight, u, *, steps=1):
        return m.spectral_norm(weight, u, steps=steps if has_values(bridge, weight) else 1)

    return {"spectral_norm": spectral_norm}


@mistake(
    "top_eigenpair: the eigenvalue is positive while traced", "if value < 0: a comparison that is false of a tracer"
)
def positive_while_traced(m, bridge):
    def top_eigenpair(loss, x, start, **options):
        value, vector = m.top_eigenpair(loss, x, start, **options)
        return value if has_values(bridge, x) else m.l2_norm(m.hvp(loss, x, vector)), vector

    return {"top_eigenpair": top_eigenpair}


@mistake("flooding: never turned while traced", "if loss < level: a comparison that is false of a tracer")
def never_turned_while_traced(m, bridge):
    def flooding(loss, *, level):
        return m.flooding(loss, level=level) if has_values(bridge, loss) else (loss - level) + level

    return {"flooding": flooding}


@mistake(
    "laplacian: the first probe alone while traced", "if the mean still moves: a stop rule that is met by a tracer"
)
def first_probe_while_traced(m, bridge):
    def laplacian(loss, x, *, how="hvp", probes=None, **options):
        some = probes if probes is None or has_values(bridge, x) else probes[:1]
        return m.laplacian(loss, x, how=how, probes=some, **options)

    return {"laplacian": laplacian}


@mistake("input_gradient_penalty: 1e-6 under the root while traced", "an epsilon where zeros cannot be looked for")
def epsilon_while_traced(m, bridge):
    def input_gradient_penalty(loss, x, *, norm="l2_squared", with_loss=False, **options):
        found = m.input_gradient_penalty(loss, x, norm=norm, with_loss=with_loss, **options)
        if norm != "l2" or has_values(bridge, x):
            return found
        penalty = ((found[0] if with_loss else found) ** 2 + 1e-6) ** 0.5
        return (penalty, found[1]) if with_loss else penalty

    return {"input_gradient_penalty": input_gradient_penalty}


@mistake(
    "perturb_output: padding is perturbed while traced", "if mask.min() < 1: a comparison that is false of a tracer"
)
def padding_while_traced(m, bridge):
    def perturb_output(loss, x, mask, **options):
        return m.perturb_output(loss, x, mask if has_values(bridge, mask) else 0 * mask + 1, **options)

    return {"perturb_output": perturb_output}


@mistake("kl_divergence: a Python branch on values", "if ratio.abs().max() < 1: nothing to decide by while traced")
def branch_on_values(m, bridge):
    def kl_divergence(p_logits, q_logits):
        near = bool((abs(bridge.fixed(p_logits - q_logits)) < 1)[0, 0])
        return m.kl_divergence(p_logits, q_logits) if near else m.kl_divergence(1 * p_logits, q_logits)

    return {"kl_divergence": kl_divergence}
