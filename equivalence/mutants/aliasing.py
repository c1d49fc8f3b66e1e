"""One memory under two names: changed in place before it is used, or never changed back."""

from equivalence.mutant import Mutant, collect

MUTANTS: list[Mutant] = []
mistake = collect(MUTANTS, "aliasing")


@mistake("pgd: the gradient is zeroed before it is used", "MadryLab/robustness attacker.py")
def zeroed_before_use(m, bridge):
    def pgd(loss, x, start, *, step, **options):
        return m.pgd(loss, x, start, step=0.0 * step, **options)

    return {"pgd": pgd}


@mistake("pgd: gradients accumulate from step to step", "cleverhans fast_gradient_method.py: .grad is never zeroed")
def accumulated_gradients(m, bridge):
    def pgd(loss, x, start, *, radius, step, steps, norm="l2", bounds=None):
        def inside(r):
            return m.pgd(loss, x, r, radius=radius, step=0.0, steps=1, norm=norm, bounds=bounds)

        r, gradient = inside(start), 0 * x
        for _ in range(steps):
            gradient = gradient + m.fgm(loss, x + r, radius=1.0, norm="raw")
            r = inside(r + step * m.steepest(gradient, norm=norm))
        return r

    return {"pgd": pgd}


@mistake("freelb_loss: every stored point is the last", "one array updated in place while the points are collected")
def every_point_is_the_last(m, bridge):
    def freelb_loss(loss, x, start, **options):
        last = m.freelb_loss(loss, x, start, **options)[1]
        return loss(x + last), last

    return {"freelb_loss": freelb_loss}


@mistake("noisy_loss: the first draw stays in x", "x += noise changes the caller's x")
def first_draw_stays(m, bridge):
    return {"noisy_loss": lambda loss, x, noise: m.noisy_loss(loss, x + noise[0], noise)}


@mistake("weight_noise: the first draw stays in the weights", "parameters += noise, never taken off")
def weights_drift(m, bridge):
    def weight_noise(loss, params, noise):
        return m.weight_noise(loss, {name: params[name] + noise[name][0] for name in params}, noise)

    return {"weight_noise": weight_noise}


@mistake("dropout_loss: the first mask stays on x", "x *= mask changes the caller's x")
def first_mask_stays(m, bridge):
    return {"dropout_loss": lambda loss, x, masks: m.dropout_loss(loss, x * masks[0], masks)}


@mistake("vat_loss: the perturbed logits overwrite the clean ones", "one output buffer for two passes")
def clean_logits_overwritten(m, bridge):
    def vat_loss(f, x, start, *, entropy_weight=0.0, **options):
        moved = m.vat_perturbation(f, x, start, **options)
        return m.kl_divergence(bridge.fixed(f(x + moved)), f(x + moved)) + entropy_weight * m.entropy(f(x))

    return {"vat_loss": vat_loss}


IMMUTABLE = "its arrays cannot be changed in place: += makes another one"
EAGER = {"jax": IMMUTABLE, "tensorflow": IMMUTABLE}


@mistake(
    "noisy_loss: losses are added to the first one in place",
    "total = loss(…), total += loss(…): the exponential, the root and others keep their result for their gradient",
    called=True,
    impossible=EAGER,
)
def added_in_place(m, bridge):
    def noisy_loss(loss, x, noise):
        total = loss(x + noise[0])
        for draw in noise[1:]:
            total += loss(x + draw)
        return total / noise.shape[0]

    return {"noisy_loss": noisy_loss}


@mistake(
    "adversarial_loss: losses are weighted in place",
    "adversarial *= 1 - α, with what it keeps",
    called=True,
    impossible=EAGER,
)
def weighted_in_place(m, bridge):
    def adversarial_loss(loss, x, perturbation, *, clean_weight=0.5):
        mixed = loss(x + perturbation)
        if clean_weight > 0:
            mixed *= 1 - clean_weight
            mixed += clean_weight * loss(x)
        return mixed

    return {"adversarial_loss": adversarial_loss}


@mistake(
    "gaussian: what was drawn before is handed out again",
    "functools.cache over seed and shape: who scales the first draw in place has scaled the second",
    claims=("G1",),
    impossible=EAGER,
)
def drawn_before(m, bridge):
    drawn = {}

    def gaussian(seed, shape, *, like):
        key = seed, shape, like.dtype
        return drawn.setdefault(key, m.gaussian(seed, shape, like=like))

    return {"gaussian": gaussian}
