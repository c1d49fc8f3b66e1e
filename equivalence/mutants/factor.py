"""Right in kind, wrong by a constant, a sign or a power."""

import math

from equivalence.mutant import Mutant, collect
from equivalence.parts.composed import each, inner

MUTANTS: list[Mutant] = []
mistake = collect(MUTANTS, "factor")


@mistake("fgm: 3 % too long", "as wrong as a slope does not see")
def three_percent(m, bridge):
    return {"fgm": lambda loss, x, *, radius, **options: m.fgm(loss, x, radius=1.03 * radius, **options)}


@mistake("fgm: ε² for ε", "the squared norm divided out in place of the norm, or ε squared beforehand")
def squared_radius(m, bridge):
    return {"fgm": lambda loss, x, *, radius, **options: m.fgm(loss, x, radius=radius**2, **options)}


@mistake("fgm: downhill", "the sign of a targeted attack in an untargeted one")
def downhill(m, bridge):
    return {"fgm": lambda loss, x, **options: -m.fgm(loss, x, **options)}


@mistake("fgm: the gradient is divided by its l1 norm in the l1 ball", "as in the l2 ball: r lies in the ball, but low")
def divided_by_l1(m, bridge):
    def fgm(loss, x, *, radius, norm="l2", scope="sample"):
        if norm != "l1":
            return m.fgm(loss, x, radius=radius, norm=norm, scope=scope)
        gradient = m.fgm(loss, x, radius=1.0, norm="raw")
        signs = m.steepest(gradient, norm="linf")
        sizes = inner(m, gradient, signs) if scope == "sample" else inner(m, gradient[None], signs[None])
        return radius * gradient / each(sizes, x)

    return {"fgm": fgm}


@mistake("steepest: the dual ball", "l1 and l∞ exchanged: sign g for the l1 ball")
def dual_ball(m, bridge):
    def steepest(x, *, norm="l2", scope="sample"):
        return m.steepest(x, norm={"l1": "linf", "linf": "l1"}.get(norm, norm), scope=scope)

    return {"steepest": steepest}


@mistake("project: 3 % outside", "a tolerance where none belongs")
def slightly_outside(m, bridge):
    return {"project": lambda x, *, radius, **options: m.project(x, radius=1.03 * radius, **options)}


@mistake("adversarial_loss: the weights exchanged", "α on the adversarial side")
def weights_exchanged(m, bridge):
    def adversarial_loss(loss, x, perturbation, *, clean_weight=0.5):
        return m.adversarial_loss(loss, x, perturbation, clean_weight=1 - clean_weight)

    return {"adversarial_loss": adversarial_loss}


@mistake("adversarial_loss: the losses are added", "loss.backward() twice, as most snippets for text do")
def losses_added(m, bridge):
    def adversarial_loss(loss, x, perturbation, *, clean_weight=0.5):
        return clean_weight * loss(x) + loss(x + perturbation)

    return {"adversarial_loss": adversarial_loss}


@mistake("input_gradient_penalty: counted twice", "cleverhans v3.1 utils_tf.py")
def doubled_penalty(m, bridge):
    return {"input_gradient_penalty": lambda loss, x, **options: 2 * m.input_gradient_penalty(loss, x, **options)}


@mistake("input_gradient_penalty: the square is rooted", "norm in place of its square")
def rooted_penalty(m, bridge):
    def input_gradient_penalty(loss, x, *, norm="l2_squared", **options):
        return m.input_gradient_penalty(loss, x, norm="l2" if norm == "l2_squared" else norm, **options)

    return {"input_gradient_penalty": input_gradient_penalty}


@mistake("input_gradient_penalty: central difference over ξ", "2ξ forgotten where a one-sided difference was")
def over_one_step(m, bridge):
    def input_gradient_penalty(loss, x, *, how="double_backward", **options):
        value = m.input_gradient_penalty(loss, x, how=how, **options)
        return 2 * value - bridge.fixed(value) if how == "finite_difference" else value  # the gradient alone doubles

    return {"input_gradient_penalty": input_gradient_penalty}


@mistake("input_gradient_penalty: the slope of the square lacks its 2", "d = g for ‖g‖² in forward over reverse")
def slope_without_two(m, bridge):
    def input_gradient_penalty(loss, x, *, norm="l2_squared", how="double_backward", **options):
        value = m.input_gradient_penalty(loss, x, norm=norm, how=how, **options)
        return (value + bridge.fixed(value)) / 2 if (norm, how) == ("l2_squared", "forward_over_reverse") else value

    return {"input_gradient_penalty": input_gradient_penalty}


@mistake("tikhonov_penalty: halved", "the ½ of ½σ² taken in")
def halved_tikhonov(m, bridge):
    return {"tikhonov_penalty": lambda divergence, f, x, **options: m.tikhonov_penalty(divergence, f, x, **options) / 2}


@mistake("jacobian_penalty: weights not rooted in the probes", "exact rows have w, probes √w")
def weights_not_rooted(m, bridge):
    def jacobian_penalty(f, x, *, weights=None, probes=None):
        squared = weights if weights is None or probes is None else weights**2
        return m.jacobian_penalty(f, x, weights=squared, probes=probes)

    return {"jacobian_penalty": jacobian_penalty}


@mistake("wgan_gradient_penalty: the norm is not rooted", "(‖g‖² - 1)²")
def critic_norm_not_rooted(m, bridge):
    def wgan_gradient_penalty(critic, real, fake, mix, *, target=1.0):
        return (m.wgan_gradient_penalty(critic, real, fake, mix, target=0.0) - target) ** 2

    return {"wgan_gradient_penalty": wgan_gradient_penalty}


@mistake("laplacian: Taylor's second coefficient lacks 2!", "a jet's second coefficient is half the derivative")
def taylor_coefficient(m, bridge):
    def laplacian(loss, x, *, how="hvp", **options):
        return m.laplacian(loss, x, how=how, **options) / (2 if how == "forward" else 1)

    return {"laplacian": laplacian}


@mistake("hvp: one-sided difference", "(∇ℓ(x + hv) - ∇ℓ(x)) / h, h = 1e-4: right to four digits")
def difference_of_gradients(m, bridge):
    def hvp(loss, x, vector):
        return (bridge.gradient(loss, x + 1e-4 * vector) - bridge.gradient(loss, x)) / 1e-4

    return {"hvp": hvp}


@mistake("hvp: of the batch's mean loss", "foolbox issue 439, in curvature")
def mean_reduced_product(m, bridge):
    return {"hvp": lambda loss, x, vector: m.hvp(loss, x, vector) / x.shape[0]}


@mistake("entropy: of the wrong sign", "Σ p log p added where its negative was meant")
def negative_entropy(m, bridge):
    return {"entropy": lambda logits: -m.entropy(logits)}


@mistake("entropy: in bits", "log2")
def entropy_in_bits(m, bridge):
    return {"entropy": lambda logits: m.entropy(logits) / math.log(2)}


@mistake("squared_error: halved", "½‖·‖², whose λ is 1")
def halved_error(m, bridge):
    return {"squared_error": lambda outputs, targets: m.squared_error(outputs, targets) / 2}


@mistake("smooth_labels: C-1 in place of C", "s/(C-1) on each other class: another definition of s")
def one_class_less(m, bridge):
    def smooth_labels(labels, *, smoothing, like):
        classes = like.shape[-1]
        return m.smooth_labels(labels, smoothing=smoothing * classes / (classes - 1), like=like)

    return {"smooth_labels": smooth_labels}


@mistake("smooth_labels: the true class keeps its 1", "y + s/C: does not sum to 1")
def true_class_keeps_one(m, bridge):
    def smooth_labels(labels, *, smoothing, like):
        hard = m.smooth_labels(labels, smoothing=0.0, like=like)
        return hard + smoothing / like.shape[-1]

    return {"smooth_labels": smooth_labels}


@mistake("cross_entropy: temperature 1.03", "a scale of the logits that is small enough to be overlooked")
def slight_temperature(m, bridge):
    return {"cross_entropy": lambda logits, labels: m.cross_entropy(logits / 1.03, labels)}
