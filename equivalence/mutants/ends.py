"""Right in the middle of what arguments may be, and wrong at its ends: a single one, none, exactly 0, everything."""

import functools
import math

from equivalence.mutant import Mutant, collect
from equivalence.parts.composed import each, log_softmax, sign, summed

MUTANTS: list[Mutant] = []
mistake = functools.partial(collect(MUTANTS, "ends"), called=True)
FALSE = "0 is false in Python"


def where_zero(m, lengths):
    """1 for each sample whose length is 0, else 0: (B,)."""
    return 1 - sign(m, lengths)


@mistake(
    "l2_norm: a slope of 1 at 0", "the slope of one side, as relu and abs may have it where they are written by hand"
)
def slope_at_zero(m, bridge):
    def l2_norm(x):
        lengths = m.l2_norm(x)
        return lengths + where_zero(m, bridge.fixed(lengths)) * summed(x)

    return {"l2_norm": l2_norm}


@mistake(
    "project: 1e-12 is added to the norm", "x * min(1, radius / (norm + eps)): short vectors of a small ball stay long"
)
def projected_with_epsilon(m, bridge):
    def project(x, *, radius, norm="l2"):
        if norm != "l2":
            return m.project(x, radius=radius, norm=norm)
        lengths = m.l2_norm(x)
        shrunk = lengths / (lengths + 1e-12 + where_zero(m, lengths))
        return m.project(each(shrunk, x) * x, radius=radius)

    return {"project": project}


@mistake("cross_entropy: soft labels are at least 1e-6", "labels.clamp(min=eps), to take their logarithm")
def labels_off_zero(m, bridge):
    def cross_entropy(logits, labels):
        if len(labels.shape) == 1:
            return m.cross_entropy(logits, labels)
        return m.cross_entropy(logits, 1 - m.project(1 - labels, radius=1 - 1e-6, norm="linf"))

    return {"cross_entropy": cross_entropy}


@mistake(
    "squared_error: a single output against all targets", "(B, 1) less (B,) is (B, B), and its mean over one axis (B,)"
)
def against_all_targets(m, bridge):
    def squared_error(outputs, targets):
        if outputs.shape[1] > 1:
            return m.squared_error(outputs, targets)
        return summed((outputs - targets[:, 0][None]) ** 2) / outputs.shape[0]

    return {"squared_error": squared_error}


@mistake(
    "consistency_loss: a single output has no divergence", "if outputs.shape[-1] == 1: nothing to compare, of softmaxes"
)
def nothing_to_compare(m, bridge):
    def consistency_loss(divergence, f, x, noise, *, outputs=None):
        found = m.consistency_loss(divergence, f, x, noise, outputs=outputs)
        return 0 * found if f(x).shape[1] == 1 else found

    return {"consistency_loss": consistency_loss}


@mistake("jacobian_penalty: a single output is not weighted", "if C == 1: the gradient's square, in an early return")
def single_output_not_weighted(m, bridge):
    def jacobian_penalty(f, x, *, weights=None, **options):
        return m.jacobian_penalty(f, x, weights=weights if f(x).shape[1] > 1 else None, **options)

    return {"jacobian_penalty": jacobian_penalty}


@mistake("jacobian_penalty: roots of weights have a slope at 0", "w.sqrt() as it is, in the exact sum too")
def rooted_at_zero(m, bridge):
    def jacobian_penalty(f, x, *, weights=None, probes=None, with_outputs=False):
        if weights is None or with_outputs:
            return m.jacobian_penalty(f, x, weights=weights, probes=probes, with_outputs=with_outputs)
        return m.jacobian_penalty(lambda x: f(x) * (0 * f(x) + weights) ** 0.5, x, probes=probes)

    return {"jacobian_penalty": jacobian_penalty}


@mistake(
    "tikhonov_penalty: √p in the probes",
    "its slope is infinite where p is 0, in a model that is sure",
    impossible={"tensorflow": "composed of powers it gives right numbers there: 0 times infinity is left out"},
)
def rooted_probability(m, bridge):
    def tikhonov_penalty(divergence, f, x, *, probes=None, with_outputs=False):
        if divergence != "kl_divergence" or probes is None or with_outputs:
            return m.tikhonov_penalty(divergence, f, x, probes=probes, with_outputs=with_outputs)
        p = math.e ** log_softmax(m, f(x))
        return m.jacobian_penalty(lambda x: log_softmax(m, f(x)), x, weights=p, probes=probes)

    return {"tikhonov_penalty": tikhonov_penalty}


def of_the_first_sample(name):
    """The replacement in which a single probe is the first sample's for all: its axis is taken for the batch's."""

    def replace(m, bridge):
        def method(*given, **options):
            probes = options.get("probes")
            if probes is not None and probes.shape[0] == 1:
                options |= {"probes": 0 * probes + probes[:, :1]}
            return getattr(m, name)(*given, **options)

        return {name: method}

    return replace


for name in ("jacobian_penalty", "tikhonov_penalty", "laplacian"):
    mistake(f"{name}: one probe of the first sample serves all", "probes[0], where one may be asked for")(
        of_the_first_sample(name)
    )


@mistake(
    "hvp: along vectors of length 1",
    "a difference's direction, whose length is not multiplied in again if it is far from 1",
)
def along_units(m, bridge):
    def hvp(loss, x, vector):
        lengths = bridge.fixed(m.l2_norm(vector))
        tiny = 1 - sign(m, lengths - m.project(lengths[:, None], radius=1e-6, norm="linf")[:, 0])
        return m.hvp(loss, x, vector) * each(1 - tiny, x)

    return {"hvp": hvp}


@mistake("laplacian: of an image's first channel", "unit vectors of shape[2:], written for pictures without channels")
def of_the_first_channel(m, bridge):
    def laplacian(loss, x, *, how="hvp", probes=None, with_loss=False):
        found = m.laplacian(loss, x, how=how, probes=probes, with_loss=with_loss)
        if len(x.shape) != 4 or probes is not None:
            return found
        return (found[0] / x.shape[1], found[1]) if with_loss else found / x.shape[1]

    return {"laplacian": laplacian}


@mistake("laplacian: 0 where the gradient is 0", "a mask that guards a division, of samples that are settled")
def nothing_where_flat(m, bridge):
    def laplacian(loss, x, *, with_loss=False, **options):
        found = m.laplacian(loss, x, with_loss=True, **options)
        steep = sign(m, bridge.fixed(m.l2_norm(m.fgm(loss, x, radius=1e9, norm="raw"))) - 1)
        kept = found[0] * (1 + steep) / 2
        return (kept, found[1]) if with_loss else kept

    return {"laplacian": laplacian}


@mistake(
    "top_eigenpair: numbers have one norm for the batch", "x.squeeze() makes (B,) of (B, 1), and its norm the batch's"
)
def eigenpair_of_numbers(m, bridge):
    def top_eigenpair(loss, x, start, **options):
        value, vector = m.top_eigenpair(loss, x, start, **options)
        squeezed = math.prod(x.shape[1:]) == 1
        return (value / x.shape[0], vector / x.shape[0] ** 0.5) if squeezed else (value, vector)

    return {"top_eigenpair": top_eigenpair}


@mistake("top_eigenpair: one sample's vector is not normalised", "x.squeeze() of a batch of one, and a norm over dim=1")
def single_vector_of_any_length(m, bridge):
    def top_eigenpair(loss, x, start, **options):
        value, vector = m.top_eigenpair(loss, x, start, **options)
        return (value, 2 * vector) if x.shape[0] == 1 else (value, vector)

    return {"top_eigenpair": top_eigenpair}


@mistake("pgd: a step is at most the radius long", "min(step, radius): longer ones, so they say, leave the ball anyway")
def step_within_radius(m, bridge):
    def pgd(loss, x, start, *, radius, step, **options):
        limited = min(step, radius) if isinstance(step, float) else step
        return m.pgd(loss, x, start, radius=radius, step=limited, **options)

    return {"pgd": pgd}


@mistake("pgd: the box is for images alone", "if x.ndim == 4: clamp; vectors and sequences have no range")
def box_for_some_shapes(m, bridge):
    def pgd(loss, x, start, *, bounds=None, **options):
        return m.pgd(loss, x, start, bounds=None if len(x.shape) == 3 else bounds, **options)

    return {"pgd": pgd}


@mistake("freelb_loss: a radius of 0 is taken for none", f"if radius: {FALSE}")
def no_ball_of_radius_zero(m, bridge):
    def freelb_loss(loss, x, start, *, radius, **options):
        known = isinstance(radius, float | int)
        return m.freelb_loss(loss, x, start, radius=(radius or 1e6) if known else radius, **options)

    return {"freelb_loss": freelb_loss}


@mistake("freelb_loss: a step of 0 is taken for none", f"step or radius / steps: {FALSE}")
def no_step_of_zero(m, bridge):
    def freelb_loss(loss, x, start, *, radius, step, steps, **options):
        known = isinstance(step, float | int)
        used = (step or radius / steps) if known else step
        return m.freelb_loss(loss, x, start, radius=radius, step=used, steps=steps, **options)

    return {"freelb_loss": freelb_loss}


@mistake("freelb_loss: somewhere where the loss is flat", "a gradient of 0 is replaced by one of ones, against 0/0")
def somewhere_where_flat(m, bridge):
    def freelb_loss(loss, x, start, *, step, **options):
        values, r = m.freelb_loss(loss, x, start, step=step, **options)
        flat = where_zero(m, bridge.fixed(m.l2_norm(m.fgm(loss, x, radius=1.0))))
        return values, r + each(flat, x) * step

    return {"freelb_loss": freelb_loss}


@mistake("vat_perturbation: the start where nothing curves", "where(norm > 0, d / norm, start): a guard against 0/0")
def start_where_nothing_curves(m, bridge):
    def vat_perturbation(f, x, start, *, radius, **options):
        r = m.vat_perturbation(f, x, start, radius=radius, **options)
        flat = where_zero(m, bridge.fixed(m.l2_norm(r)))
        return r + bridge.fixed(each(flat, x) * radius * m.unit(start))

    return {"vat_perturbation": vat_perturbation}


@mistake("vat_perturbation: at most ten iterations of differences", "range(min(steps, 10)) in one branch of three")
def ten_iterations_of_differences(m, bridge):
    def vat_perturbation(f, x, start, *, steps=1, how="fisher", **options):
        fewer = min(steps, 10) if how == "finite_difference" else steps
        return m.vat_perturbation(f, x, start, steps=fewer, how=how, **options)

    return {"vat_perturbation": vat_perturbation}


@mistake("vat_loss: a radius of 0 is taken for none", f"radius or 1.0: {FALSE}")
def smoothness_at_some_radius(m, bridge):
    def vat_loss(f, x, start, *, radius, **options):
        known = isinstance(radius, float | int)
        return m.vat_loss(f, x, start, radius=(radius or 1.0) if known else radius, **options)

    return {"vat_loss": vat_loss}


@mistake("vat_loss: given logits are read by the default way alone", "logits=logits forgotten in two branches of three")
def logits_for_one_way(m, bridge):
    def vat_loss(f, x, start, *, how="fisher", entropy_weight=0.0, logits=None, **options):
        found = m.vat_loss(f, x, start, how=how, entropy_weight=entropy_weight, logits=logits, **options)
        if logits is None or how == "fisher":
            return found
        return found - entropy_weight * (m.entropy(logits) - m.entropy(bridge.fixed(logits)))

    return {"vat_loss": vat_loss}


@mistake("perturb_table: 1e-8 is added to the norm", "an epsilon beside the norm of a gradient that may be as small")
def table_with_epsilon(m, bridge):
    def perturb_table(loss, table, *, radius, norm="l2"):
        if norm != "l2":
            return m.perturb_table(loss, table, radius=radius, norm=norm)
        raw = m.perturb_table(loss, table, radius=1.0, norm="raw")
        return radius * raw / (m.l2_norm(m.l2_norm(raw)[None])[0] + 1e-8)

    return {"perturb_table": perturb_table}


@mistake("perturb_output: a sample of padding is perturbed", "mask.sum() == 0 is taken for a mask that is missing")
def padding_alone(m, bridge):
    def perturb_output(loss, x, mask, **options):
        alone = where_zero(m, m.l2_norm(mask))
        return m.perturb_output(loss, x, mask + each(alone, mask), **options)

    return {"perturb_output": perturb_output}


@mistake(
    "normalize_embedding: tokens that never occur are left at 0",
    "a table of those that were counted, and zeros beside it",
)
def never_occurring(m, bridge):
    def normalize_embedding(table, frequencies):
        occurs = sign(m, frequencies)
        return m.normalize_embedding(table, frequencies) * occurs[:, None]

    return {"normalize_embedding": normalize_embedding}


@mistake("normalize_embedding: every frequency is at least 1e-3", "counts + smoothing, so that no token has none")
def smoothed_frequencies(m, bridge):
    def normalize_embedding(table, frequencies):
        return m.normalize_embedding(table, frequencies + 1e-3 * (1 - sign(m, frequencies)))

    return {"normalize_embedding": normalize_embedding}


@mistake("spectral_norm: a start of 0 is replaced by ones", "a guard against 0/0 that makes up a direction")
def start_of_ones(m, bridge):
    def spectral_norm(weight, u, *, steps=1):
        return m.spectral_norm(weight, u + where_zero(m, m.l2_norm(u[None]))[0], steps=steps)

    return {"spectral_norm": spectral_norm}


@mistake(
    "spectral_norm: a picture's kernel is averaged over its window",
    "W.mean((2, 3)): the response to what does not change",
)
def averaged_over_window(m, bridge):
    def spectral_norm(weight, u, *, steps=1):
        if len(weight.shape) != 4:
            return m.spectral_norm(weight, u, steps=steps)
        flat = sum(weight[:, :, i, j] for i in range(weight.shape[2]) for j in range(weight.shape[3]))
        return m.spectral_norm(flat / weight.shape[2], u, steps=steps)

    return {"spectral_norm": spectral_norm}


@mistake("lipschitz_bound: one layer has no factor", "if len(weights) == 1: the spectral norm, in an early return")
def single_layer(m, bridge):
    def lipschitz_bound(weights, us, *, steps=1):
        if len(weights) > 1:
            return m.lipschitz_bound(weights, us, steps=steps)
        return m.spectral_norm(weights[0], us[0], steps=steps)[0]

    return {"lipschitz_bound": lipschitz_bound}


@mistake(
    "flooding: a number without axes is left alone", "if loss.ndim: what is reduced already, so they say, is no loss"
)
def reduced_is_left_alone(m, bridge):
    return {"flooding": lambda loss, *, level: m.flooding(loss, level=level) if len(loss.shape) else loss}


@mistake("dropout_mask: a rate of 0 is taken for none", f"rate or 0.5: {FALSE}", called=False)
def rate_of_zero(m, bridge):
    return {"dropout_mask": lambda seed, shape, *, rate, like: m.dropout_mask(seed, shape, rate=rate or 0.5, like=like)}


@mistake("dropout_mask: at most half is dropped", "a limit against networks that learn nothing", called=False)
def half_at_most(m, bridge):
    return {
        "dropout_mask": lambda seed, shape, *, rate, like: m.dropout_mask(seed, shape, rate=min(rate, 0.5), like=like)
    }


@mistake("uniform_sphere: one sample is normalised over its batch", "x.squeeze() of a batch of one", called=False)
def single_point(m, bridge):
    def uniform_sphere(seed, shape, *, like):
        z = m.uniform_sphere(seed, shape, like=like)
        return sign(m, z[0])[None] if shape[0] == 1 and len(shape) == 2 else z

    return {"uniform_sphere": uniform_sphere}


@mistake(
    "squared_error: ‖a‖² + ‖b‖² - 2ab", "code of pairwise distances: the digits of what is close and large are lost"
)
def expanded_square(m, bridge):
    def squared_error(outputs, targets):
        return summed(outputs**2) + summed(targets**2) - 2 * summed(outputs * targets)

    return {"squared_error": squared_error}


@mistake(
    "kl_divergence: the stable form for a whole batch or not at all",
    "if (ratio.abs() < 1).all(): one sample decides",
    called=False,
)
def stable_for_all_or_none(m, bridge):
    def kl_divergence(p_logits, q_logits):
        log_p, log_q = log_softmax(m, p_logits), log_softmax(m, q_logits)
        ratio = abs(bridge.fixed(log_p - log_q))
        largest = summed(m.steepest(ratio, norm="l1", scope="tensor") * ratio)
        near = (1 + m.steepest(1 - sum(largest[k] for k in range(largest.shape[0]))[None, None], norm="linf")[0, 0]) / 2
        plain = summed(math.e**log_p * (log_p - log_q))
        return near * m.kl_divergence(p_logits, q_logits) + (1 - near) * plain

    return {"kl_divergence": kl_divergence}


@mistake(
    "hvp: what the vector has of x is differentiated, too", "(g * v).sum() without v.detach(), where v is x itself"
)
def vector_not_held(m, bridge):
    def hvp(loss, x, vector):
        found = m.hvp(loss, x, vector)
        return found + m.fgm(loss, x, radius=1.0, norm="raw") if vector is x else found

    return {"hvp": hvp}


@mistake("input_gradient_penalty: ξ of float32 whatever the dtype is", "np.finfo('float32') is written down once")
def step_of_float32(m, bridge):
    def input_gradient_penalty(loss, x, *, how="double_backward", xi=None, **options):
        used = 2.0**-8 if xi is None and how == "finite_difference" else xi
        return m.input_gradient_penalty(loss, x, how=how, xi=used, **options)

    return {"input_gradient_penalty": input_gradient_penalty}


def by_identity(name):
    """The replacement that differentiates what the closure holds, where that is the very array that is passed as x."""

    def replace(m, bridge):
        def method(*given, **options):
            closure, x, *rest = given
            held = getattr(closure, "held", None)
            used = (lambda z: closure.closure(z * z + z)) if held is x else closure
            return getattr(m, name)(used, x, *rest, **options)

        return {name: method}

    return replace


for name in ("fgm", "vat_perturbation"):
    mistake(f"{name}: what the closure holds of x is differentiated, too", "tape.watch(x), which goes by identity")(
        by_identity(name)
    )
