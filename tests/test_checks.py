"""Wrong arguments are refused, with an error that names them, what came and what was expected."""

import re

import numpy as np
import pytest

from tests.points import ascent, zeros


def one_logit(p):
    return lambda x: p.f(x)[:, :1]


# name: a call that must be refused, and what the message must say: the argument, what came, what was expected.
REFUSED = {
    "negative radius": (lambda m, p: m.fgm(p.loss, p.x, radius=-1.0), "radius", "-1.0", "≥ 0"),
    "infinite radius": (lambda m, p: m.fgm(p.loss, p.x, radius=float("inf")), "radius", "inf", "finite"),
    "radius in words": (lambda m, p: m.fgm(p.loss, p.x, radius="big"), "radius", "'big'", "a number"),
    "weights of the classes alone": (
        lambda m, p: m.jacobian_penalty(p.f, p.x, weights=p.array(zeros(2))),
        "weights",
        "(2,)",
        "(3, C)",
    ),
    "noise in a list": (lambda m, p: m.noisy_loss(p.loss, p.x, [1.0]), "noise", "list", "an array"),
    "negative seed": (lambda m, p: m.rademacher(-1, (2,), like=p.x), "seed", "-1", "≥ 0"),
    "negative seed in an array": (
        lambda m, p: m.rademacher(p.array(np.int32(-1)), (2,), like=p.x),
        "seed",
        "-1",
        "≥ 0",
    ),
    "seeds": (lambda m, p: m.rademacher(p.array(np.zeros(2, np.int32)), (2,), like=p.x), "seed", "[", "≥ 0"),
    "half a seed": (lambda m, p: m.rademacher(p.array(np.float64(0.5)), (2,), like=p.x), "seed", "0.5", "≥ 0"),
    "radius a sample": (lambda m, p: m.fgm(p.loss, p.x, radius=p.array(zeros(3))), "radius", "(3,)", "a number"),
    "unknown norm": (
        lambda m, p: m.fgm(p.loss, p.x, radius=1.0, norm="l3"),
        "norm",
        "'l3'",
        "'l2', 'linf', 'l1', 'raw'",
    ),
    "unknown scope": (lambda m, p: m.fgm(p.loss, p.x, radius=1.0, scope="batch"), "scope", "'batch'", "'tensor'"),
    "reduced loss": (lambda m, p: m.fgm(lambda x: p.loss(x)[0], p.x, radius=1.0), "loss", "()", "(3)", "not reduced"),
    "loss a class": (lambda m, p: m.fgm(p.f, p.x, radius=1.0), "loss", "(3, 2)", "(3)"),
    "penalty of a reduced loss": (
        lambda m, p: m.input_gradient_penalty(lambda x: p.loss(x)[0], p.x),
        "loss",
        "()",
        "(3)",
        "not reduced",
    ),
    "hvp of a reduced loss": (lambda m, p: m.hvp(lambda x: p.loss(x)[0], p.x, p.other), "loss", "()", "not reduced"),
    "outputs without classes": (
        lambda m, p: m.vat_perturbation(p.loss, p.x, p.other, radius=1.0),
        "f",
        "(3,)",
        "(3, C)",
    ),
    "integer x": (lambda m, p: m.fgm(p.loss, p.array(np.ones((3, 4), np.int32)), radius=1.0), "x", "int32", "floating"),
    "a list for x": (lambda m, p: m.fgm(p.loss, [[0.0]], radius=1.0), "x", "list", "floating"),
    "NaN in x": (lambda m, p: m.fgm(p.loss, p.array(np.full((3, 4), np.nan)), radius=1.0), "x", "NaN", "finite"),
    "infinity in x": (lambda m, p: m.unit(p.array(np.full((3, 4), np.inf))), "x", "infinity", "finite"),
    "no sample": (lambda m, p: m.fgm(p.loss, p.array(zeros(0, 4)), radius=1.0), "x", "(0, 4)", "at least one"),
    "scalar x": (lambda m, p: m.l2_norm(p.array(np.float64(1))), "x", "()", "(B, *S)"),
    "short vector": (lambda m, p: m.hvp(p.loss, p.x, p.array(zeros(3, 3))), "vector", "(3, 3)", "(3, 4)"),
    "one vector for all": (lambda m, p: m.hvp(p.loss, p.x, p.array(zeros(4))), "vector", "(4,)", "(3, 4)"),
    "short start": (
        lambda m, p: m.top_eigenpair(p.loss, p.x, p.array(zeros(2, 4)), steps=1),
        "start",
        "(2, 4)",
        "(3, 4)",
    ),
    "short start of VAT": (
        lambda m, p: m.vat_loss(p.f, p.x, p.array(zeros(3, 1)), radius=1.0),
        "start",
        "(3, 1)",
        "(3, 4)",
    ),
    "noise without K": (lambda m, p: m.noisy_loss(p.loss, p.x, p.other), "noise", "(3, 4)", "(K, 3, 4)"),
    "no noise": (lambda m, p: m.noisy_loss(p.loss, p.x, p.array(zeros(0, 3, 4))), "noise", "(0, 3, 4)", "(K, 3, 4)"),
    "noise of a consistency loss": (
        lambda m, p: m.consistency_loss(m.kl_divergence, p.f, p.x, p.array(zeros(2, 3, 5))),
        "noise",
        "(2, 3, 5)",
        "(K, 3, 4)",
    ),
    "probes of inputs": (
        lambda m, p: m.laplacian(p.loss, p.x, probes=p.array(zeros(2, 3, 2))),
        "probes",
        "(2, 3, 2)",
        "(K, 3, 4)",
    ),
    "probes of outputs": (
        lambda m, p: m.jacobian_penalty(p.f, p.x, probes=p.array(zeros(2, 2))),
        "probes",
        "(2, 2)",
        "(K, 3, C)",
    ),
    "VAT without a step": (
        lambda m, p: m.vat_perturbation(p.f, p.x, p.other, radius=1.0, steps=0),
        "steps",
        "0",
        "whole number ≥ 1",
    ),
    "negative steps": (lambda m, p: m.top_eigenpair(p.loss, p.x, p.other, steps=-1), "steps", "-1", "≥ 0"),
    "half a step": (lambda m, p: m.top_eigenpair(p.loss, p.x, p.other, steps=0.5), "steps", "0.5", "whole number"),
    "zero xi": (lambda m, p: m.vat_loss(p.f, p.x, p.other, radius=1.0, xi=0.0), "xi", "0.0", "> 0"),
    "unknown how": (lambda m, p: m.vat_loss(p.f, p.x, p.other, radius=1.0, how="fast"), "how", "'fast'", "'exact'"),
    "one-hot integers": (
        lambda m, p: m.cross_entropy(p.logits, p.array(np.ones((3, 2), np.int32))),
        "labels",
        "int32",
        "probabilities",
    ),
    "floating-point class numbers": (
        lambda m, p: m.cross_entropy(p.logits, p.array(zeros(3))),
        "labels",
        "float64",
        "integer class numbers",
    ),
    "labels of another batch": (
        lambda m, p: m.cross_entropy(p.logits, p.array(np.zeros(4, np.int32))),
        "labels",
        "(4,)",
        "(3)",
    ),
    "soft labels of other classes": (
        lambda m, p: m.cross_entropy(p.logits, p.array(zeros(3, 5))),
        "labels",
        "(3, 5)",
        "(3, 2)",
    ),
    "targets that would broadcast": (
        lambda m, p: m.squared_error(p.logits, p.array(zeros(1, 2))),
        "targets",
        "(1, 2)",
        "(3, 2)",
    ),
    "logits that would broadcast": (
        lambda m, p: m.kl_divergence(p.logits, p.array(zeros(3, 1))),
        "q_logits",
        "(3, 1)",
        "(3, 2)",
    ),
    "negative radius in an array": (
        lambda m, p: m.fgm(p.loss, p.x, radius=p.array(np.float64(-1))),
        "radius",
        "-1.0",
        "≥ 0",
    ),
    "NaN radius in an array": (
        lambda m, p: m.fgm(p.loss, p.x, radius=p.array(np.float64("nan"))),
        "radius",
        "nan",
        "finite",
    ),
    "NaN radius": (lambda m, p: m.fgm(p.loss, p.x, radius=float("nan")), "radius", "nan", "finite"),
    "true for a radius": (lambda m, p: m.fgm(p.loss, p.x, radius=True), "radius", "True", "a number"),
    "no function": (lambda m, p: m.fgm(p.x, p.x, radius=1.0), "loss", "a function"),
    "loss a number": (lambda m, p: m.fgm(lambda x: 0.0, p.x, radius=1.0), "loss", "float", "not reduced"),
    "NaN from the loss": (lambda m, p: m.adversarial_loss(lambda x: p.loss(x) / 0 * 0, p.x, p.other), "loss", "NaN"),
    **{
        name: (call, argument, "(3, 1)", "two classes or more", "[z, 0]")
        for name, (argument, call) in {
            "VAT on one logit": ("f", lambda m, p: m.vat_loss(one_logit(p), p.x, p.other, radius=1.0)),
            "a virtual direction of one logit": (
                "f",
                lambda m, p: m.vat_perturbation(one_logit(p), p.x, p.other, radius=1.0, how="exact"),
            ),
            "VAT with one logit handed on": (
                "logits",
                lambda m, p: m.vat_loss(p.f, p.x, p.other, radius=1.0, logits=p.logits[:, :1]),
            ),
            "a divergence of one logit": (
                "p_logits",
                lambda m, p: m.kl_divergence(p.logits[:, :1], p.logits[:, 1:]),
            ),
            "the entropy of one logit": ("logits", lambda m, p: m.entropy(p.logits[:, :1])),
            "the cross-entropy of one logit": ("logits", lambda m, p: m.cross_entropy(p.logits[:, :1], p.labels)),
            "Tikhonov's penalty of one logit": (
                "f",
                lambda m, p: m.tikhonov_penalty("kl_divergence", one_logit(p), p.x),
            ),
            "consistency of one logit": (
                "p_logits",
                lambda m, p: m.consistency_loss(m.kl_divergence, one_logit(p), p.x, p.other[None]),
            ),
        }.items()
    },
    "negative step": (lambda m, p: ascent(m, p, step=-0.1), "step", "-0.1", "≥ 0"),
    "ascent without a step": (lambda m, p: ascent(m, p, steps=0), "steps", "0", "≥ 1"),
    "ascent in no ball": (lambda m, p: ascent(m, p, norm="raw"), "norm", "'raw'", "'l1'"),
    "bounds upside down": (lambda m, p: ascent(m, p, bounds=(1.0, 0.0)), "bounds", "(1.0, 0.0)", "lower one first"),
    "one bound": (lambda m, p: ascent(m, p, bounds=1.0), "bounds", "1.0", "a pair"),
    "x out of bounds": (lambda m, p: ascent(m, p, bounds=(0.0, 0.1)), "x", "(0.0, 0.1)", "within the bounds"),
    "start of another batch": (lambda m, p: ascent(m, p, start=p.array(zeros(2, 4))), "start", "(2, 4)", "(3, 4)"),
    "short perturbation": (
        lambda m, p: m.adversarial_loss(p.loss, p.x, p.array(zeros(3, 1))),
        "perturbation",
        "(3, 1)",
        "(3, 4)",
    ),
    "clean weight in per cent": (
        lambda m, p: m.adversarial_loss(p.loss, p.x, p.other, clean_weight=50),
        "clean_weight",
        "50",
        "≤ 1",
    ),
    "a clean weight in an array": (
        lambda m, p: m.adversarial_loss(p.loss, p.x, p.other, clean_weight=p.array(np.float64(0.5))),
        "clean_weight",
        "0.5",
        "a number, since",
    ),
    "one mask for all": (lambda m, p: m.dropout_loss(p.loss, p.x, p.other), "masks", "(3, 4)", "(K, 3, 4)"),
    "smoothing above 1": (
        lambda m, p: m.smooth_labels(p.labels, smoothing=1.5, like=p.logits),
        "smoothing",
        "1.5",
        "≤ 1",
    ),
    "a class too many": (
        lambda m, p: m.cross_entropy(p.logits, p.array(np.array([0, 1, 2], np.int32))),
        "labels",
        "0 to 2",
        "0 to 1",
    ),
    "everything dropped": (lambda m, p: m.dropout_mask(0, (3,), rate=1.0, like=p.x), "rate", "1.0", "< 1"),
    "negative weights": (
        lambda m, p: m.jacobian_penalty(p.f, p.x, weights=p.array(-np.ones((3, 2)))),
        "weights",
        "-1.0",
        "≥ 0",
    ),
    "a mixing weight a pixel": (
        lambda m, p: m.wgan_gradient_penalty(p.loss, p.x, p.other, p.array(zeros(3, 4))),
        "mix",
        "(3, 4)",
        "(3)",
    ),
    "fewer fakes": (
        lambda m, p: m.wgan_gradient_penalty(p.loss, p.x, p.array(zeros(2, 4)), p.array(zeros(3))),
        "fake",
        "(2, 4)",
        "(3, 4)",
    ),
    "critic of two outputs": (
        lambda m, p: m.wgan_gradient_penalty(p.f, p.x, p.other, p.array(zeros(3))),
        "critic",
        "(3, 2)",
        "not reduced",
    ),
    "unknown divergence": (
        lambda m, p: m.tikhonov_penalty("js", p.f, p.x),
        "divergence",
        "'js'",
        "'kl_divergence'",
    ),
    "unknown way": (
        lambda m, p: m.input_gradient_penalty(p.loss, p.x, how="autograd"),
        "how",
        "'autograd'",
        "'forward_over_reverse'",
    ),
    "frequencies of other tokens": (
        lambda m, p: m.normalize_embedding(p.x, p.array(np.ones(4))),
        "frequencies",
        "(4,)",
        "(3)",
    ),
    "negative frequency": (
        lambda m, p: m.normalize_embedding(p.x, p.array(np.array([1.0, -1, 1]))),
        "frequencies",
        "-1.0",
        "≥ 0",
    ),
    "table of three dimensions": (
        lambda m, p: m.perturb_table(lambda table: table, p.array(zeros(2, 3, 4)), radius=1.0),
        "table",
        "(2, 3, 4)",
        "(V, D)",
    ),
    "mask of characters": (
        lambda m, p: m.perturb_output(p.loss, p.array(zeros(3, 2, 4)), p.array(zeros(3, 4)), radius=1.0),
        "mask",
        "(3, 4)",
        "(3, 2)",
    ),
    "u of the inputs": (lambda m, p: m.spectral_norm(p.x, p.array(zeros(4))), "u", "(4,)", "(3)"),
    "one matrix": (lambda m, p: m.lipschitz_bound(p.x, [p.array(zeros(3))]), "weights", "a list"),
    "a start too few": (lambda m, p: m.lipschitz_bound([p.x, p.x], [p.array(zeros(3))]), "us", "1 arrays", "2"),
    "parameters in a list": (
        lambda m, p: m.parameter_gradient_penalty(lambda params: p.loss(p.x), [p.x], rate=0.1),
        "params",
        "a dict",
    ),
    "negative rate": (
        lambda m, p: m.parameter_gradient_penalty(lambda params: p.loss(p.x), p.params, rate=-0.1),
        "rate",
        "-0.1",
        "≥ 0",
    ),
    "noise for one parameter": (
        lambda m, p: m.weight_noise(lambda params: p.loss(p.x), p.params, {"0.bias": p.x}),
        "noise",
        "0.bias",
        "1.weight",
    ),
    "noise of one bias too short": (
        lambda m, p: m.weight_noise(lambda params: p.loss(p.x), {"b": p.x}, {"b": p.x}),
        "noise",
        "(3, 4)",
        "(K, 3, 4)",
    ),
    "endless level": (lambda m, p: m.flooding(p.loss(p.x), level=float("inf")), "level", "inf", "finite"),
}


@pytest.mark.parametrize(("call", "argument", "words"), [(c, a, w) for c, a, *w in REFUSED.values()], ids=REFUSED)
def test_wrong_argument_is_refused(methods, p, call, argument, words):
    with pytest.raises((ValueError, TypeError)) as caught:
        call(methods, p)
    message = str(caught.value)
    assert re.match(rf"(what )?{argument}\b", message), message
    assert all(word in message for word in ["got", "expected", *words]), message


def test_one_output_is_enough_where_there_is_no_softmax(methods, p):
    methods.tikhonov_penalty("squared_error", one_logit(p), p.x)
    methods.consistency_loss(methods.squared_error, one_logit(p), p.x, p.other[None])
    methods.jacobian_penalty(one_logit(p), p.x)
