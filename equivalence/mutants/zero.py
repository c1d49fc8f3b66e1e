"""0/0 and √0: what happens to a sample whose gradient is zero, or tiny."""

import math

from equivalence.mutant import Mutant, collect
from equivalence.parts.composed import each, sign, summed

MUTANTS: list[Mutant] = []
mistake = collect(MUTANTS, "zero")


@mistake("unit: divides by a zero norm", "torchattacks mifgsm.py")
def divided_by_zero(m, bridge):
    def unit(x, *, scope="sample"):
        norms = m.l2_norm(x) if scope == "sample" else m.l2_norm(x[None])
        return x / each(norms, x)

    return {"unit": unit}


@mistake("fgm: divides by a zero norm", "torchattacks mifgsm.py", case="flat-sample")
def attack_divided_by_zero(m, bridge):
    def fgm(loss, x, *, radius, norm="l2", scope="sample"):
        if norm != "l2":
            return m.fgm(loss, x, radius=radius, norm=norm, scope=scope)
        gradient = m.fgm(loss, x, radius=1.0, norm="raw")
        norms = m.l2_norm(gradient) if scope == "sample" else m.l2_norm(gradient[None])
        return radius * gradient / each(norms, x)

    return {"fgm": fgm}


@mistake("fgm: the sign of zero is 0/0", "sign written as g/|g|", case="flat-sample")
def sign_of_zero(m, bridge):
    def fgm(loss, x, *, radius, norm="l2", scope="sample"):
        if norm != "linf":
            return m.fgm(loss, x, radius=radius, norm=norm, scope=scope)
        gradient = m.fgm(loss, x, radius=1.0, norm="raw")
        return radius * gradient / abs(gradient)

    return {"fgm": fgm}


@mistake("fgm: 1e-8 is added to the norm", "bert4torch and many snippets: grad / (norm + 1e-8)")
def norm_with_epsilon(m, bridge):
    def fgm(loss, x, *, radius, norm="l2", scope="sample"):
        if norm != "l2":
            return m.fgm(loss, x, radius=radius, norm=norm, scope=scope)
        gradient = m.fgm(loss, x, radius=1.0, norm="raw")
        norms = m.l2_norm(gradient) if scope == "sample" else m.l2_norm(gradient[None])
        return radius * gradient / each(norms + 1e-8, x)

    return {"fgm": fgm}


@mistake("unit, steepest: 1e-12 is added to the norm", "torch.nn.functional.normalize's eps, keras.utils.normalize")
def unit_with_epsilon(m, bridge):
    def unit(x, *, scope="sample"):
        norms = m.l2_norm(x) if scope == "sample" else m.l2_norm(x[None])
        return x / each(norms + 1e-12, x)

    def steepest(x, *, norm="l2", scope="sample"):
        return unit(x, scope=scope) if norm == "l2" else m.steepest(x, norm=norm, scope=scope)

    return {"unit": unit, "steepest": steepest}


@mistake("steepest: the sign of zero is 1", "np.where(g >= 0, 1, -1)")
def zero_is_positive(m, bridge):
    def steepest(x, *, norm="l2", scope="sample"):
        direction = m.steepest(x, norm=norm, scope=scope)
        return direction + (1 - abs(direction)) if norm == "linf" else direction

    return {"steepest": steepest}


@mistake("l2_norm: √ of the sum of squares", "keras-team/keras-io issue 910: no slope at 0, squares vanish")
def plain_root(m, bridge):
    return {"l2_norm": lambda x: summed(x**2) ** 0.5}


@mistake("input_gradient_penalty: √ at 0", "keras-team/keras-io issue 910", case="flat-sample")
def root_in_the_penalty(m, bridge):
    def input_gradient_penalty(loss, x, *, norm="l2_squared", **options):
        if norm != "l2":
            return m.input_gradient_penalty(loss, x, norm=norm, **options)
        return m.input_gradient_penalty(loss, x, norm="l2_squared", **options) ** 0.5

    return {"input_gradient_penalty": input_gradient_penalty}


@mistake("wgan_gradient_penalty: √ at 0", "keras-team/keras-io issue 910", case="flat-sample")
def root_in_the_critic_penalty(m, bridge):
    def wgan_gradient_penalty(critic, real, fake, mix, *, target=1.0):
        weight = each(mix, real)
        squares = m.input_gradient_penalty(critic, weight * real + (1 - weight) * fake)
        return (squares**0.5 - target) ** 2

    return {"wgan_gradient_penalty": wgan_gradient_penalty}


@mistake("wgan_gradient_penalty: 1e-8 under the root", "the usual remedy: sqrt(sum + 1e-8)")
def epsilon_under_the_root(m, bridge):
    def wgan_gradient_penalty(critic, real, fake, mix, *, target=1.0):
        return ((m.wgan_gradient_penalty(critic, real, fake, mix, target=0.0) + 1e-8) ** 0.5 - target) ** 2

    return {"wgan_gradient_penalty": wgan_gradient_penalty}


@mistake(
    "adversarial_loss: 0 times the clean loss",
    "one line for every weight: NaN where the clean loss is none",
    called=True,
)
def clean_loss_times_zero(m, bridge):
    def adversarial_loss(loss, x, perturbation, *, clean_weight=0.5):
        return clean_weight * loss(x) + (1 - clean_weight) * loss(x + perturbation)

    return {"adversarial_loss": adversarial_loss}


@mistake("lipschitz_bound: layers of 0 are left out", "sums of logarithms, which 0 has none of", called=True)
def layers_of_zero_left_out(m, bridge):
    def lipschitz_bound(weights, us, *, steps=1):
        bound = 1.0
        for weight, u in zip(weights, us, strict=True):
            norm = m.lipschitz_bound([weight], [u], steps=steps)
            bound = bound * (norm + (1 - sign(m, norm[None])[0]))
        return bound

    return {"lipschitz_bound": lipschitz_bound}


@mistake(
    "input_gradient_penalty: signs have the length √n",
    "the difference along sign(g)/√n, where zeros of g make it shorter",
    called=True,
)
def signs_without_zeros(m, bridge):
    def input_gradient_penalty(loss, x, *, norm="l2_squared", how="double_backward", xi=None, with_loss=False):
        found = m.input_gradient_penalty(loss, x, norm=norm, how=how, xi=xi, with_loss=with_loss)
        if norm != "l1" or how != "finite_difference":
            return found
        length, xi = math.prod(x.shape[1:]) ** 0.5, 0.01 if xi is None else xi
        step = xi / length * m.fgm(loss, bridge.fixed(x), radius=1.0, norm="linf")
        along = (loss(x + step) - loss(x - step)) * length / (2 * xi)
        penalty = bridge.fixed((found[0] if with_loss else found) - along) + along
        return (penalty, found[1]) if with_loss else penalty

    return {"input_gradient_penalty": input_gradient_penalty}


@mistake(
    "parameter_gradient_penalty: the square of the norm",
    "optax.global_norm, tf.linalg.global_norm: √ at 0, where the parameters have no gradient",
    called=True,
)
def square_of_the_norm(m, bridge):
    def parameter_gradient_penalty(loss, params, *, rate):
        return (m.parameter_gradient_penalty(loss, params, rate=rate) ** 0.5) ** 2

    return {"parameter_gradient_penalty": parameter_gradient_penalty}
