"""Divergences turned round, targets that are no distribution, gradients through what should stand still."""

from equivalence.mutant import Mutant, collect
from equivalence.parts.composed import columns, log_softmax, softmax

MUTANTS: list[Mutant] = []
mistake = collect(MUTANTS, "losses")


@mistake("kl_divergence: the other direction", "kl_div(input, target) is KL(target‖input)")
def reversed_divergence(m, bridge):
    return {"kl_divergence": lambda p_logits, q_logits: m.kl_divergence(q_logits, p_logits)}


@mistake("kl_divergence: p is held fixed", "the stop-gradient is the caller's: both sides are trained elsewhere")
def fixed_target(m, bridge):
    return {"kl_divergence": lambda p_logits, q_logits: m.kl_divergence(bridge.fixed(p_logits), q_logits)}


@mistake("kl_divergence: logits in the place of log q", "lyakaap/VAT-pytorch commit 075f7e3: not a distribution")
def logits_for_log_q(m, bridge):
    def kl_divergence(p_logits, q_logits):
        p = softmax(m, bridge, p_logits)
        return -m.entropy(p_logits) - sum(columns(p * q_logits))

    return {"kl_divergence": kl_divergence}


@mistake("kl_divergence: the cross-entropy", "without -H(p): the same gradient in q, no zero where p = q")
def without_entropy(m, bridge):
    def kl_divergence(p_logits, q_logits):
        return m.kl_divergence(p_logits, q_logits) + bridge.fixed(m.entropy(p_logits))

    return {"kl_divergence": kl_divergence}


@mistake("tikhonov_penalty: p is held fixed", "λ = 1/p as weights, detached")
def weights_fixed(m, bridge):
    def tikhonov_penalty(divergence, f, x, *, probes=None):
        if divergence == "squared_error" or probes is not None:
            return m.tikhonov_penalty(divergence, f, x, probes=probes)
        weights = bridge.fixed(softmax(m, bridge, f(x)))
        return m.jacobian_penalty(lambda x: log_softmax(m, f(x)), x, weights=weights)

    return {"tikhonov_penalty": tikhonov_penalty}


@mistake("tikhonov_penalty: of the logits", "‖J‖² of f, where the divergence is one of softmax(f)")
def of_the_logits(m, bridge):
    def tikhonov_penalty(divergence, f, x, *, probes=None):
        return m.tikhonov_penalty("squared_error", f, x, probes=probes)

    return {"tikhonov_penalty": tikhonov_penalty}


@mistake("freelb_loss: r is not held fixed", "a missing detach: the ascent is differentiated too")
def ascent_differentiated(m, bridge):
    def freelb_loss(loss, x, start, *, radius, step, steps, norm="l2"):
        r, losses = m.project(start, radius=radius, norm=norm), []
        for _ in range(steps):
            losses.append(loss(x + r))
            ascent = step * m.steepest(bridge.gradient(loss, x + r), norm=norm)
            r = m.project(r + ascent, radius=radius, norm=norm)
        return sum(losses) / steps, r

    return {"freelb_loss": freelb_loss}


@mistake("fgm: r is not held fixed", "a missing detach: doubles the penalty")
def attack_differentiated(m, bridge):
    def fgm(loss, x, *, radius, norm="l2", scope="sample"):
        return radius * m.steepest(bridge.gradient(loss, x), norm=norm, scope=scope)

    return {"fgm": fgm}


@mistake(
    "entropy: the second derivative is 0",
    "a gradient written by hand, or one like that of TensorFlow's softmax_cross_entropy_with_logits of softmax(z), z:"
    " right once",
    called=True,
)
def differentiable_once(m, bridge):
    def entropy(logits):
        slope = bridge.fixed(bridge.gradient(m.entropy, logits))
        return bridge.fixed(m.entropy(logits)) + sum(columns(slope * (logits - bridge.fixed(logits))))

    return {"entropy": entropy}


@mistake(
    "kl_divergence: the second derivative in q is 0",
    "a gradient q - p written by hand, and held fixed",
    called=True,
)
def divergence_differentiable_once(m, bridge):
    def kl_divergence(p_logits, q_logits):
        slope = bridge.fixed(bridge.gradient(lambda q_logits: m.kl_divergence(p_logits, q_logits), q_logits))
        linear = sum(columns(slope * (q_logits - bridge.fixed(q_logits))))
        return m.kl_divergence(p_logits, bridge.fixed(q_logits)) + linear

    return {"kl_divergence": kl_divergence}
