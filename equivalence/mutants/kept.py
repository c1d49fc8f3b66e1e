"""Kept from the first call and used in all others: sizes, options, what was computed of them."""

import functools

from equivalence.mutant import Mutant, collect

MUTANTS: list[Mutant] = []
mistake = functools.partial(collect(MUTANTS, "kept"), called=True)


@mistake("fgm: the radius of the first call", "functools.cache on a factory whose key lacks it")
def first_radius(m, bridge):
    kept = {}

    def fgm(loss, x, *, radius, **options):
        return m.fgm(loss, x, radius=kept.setdefault("radius", radius), **options)

    return {"fgm": fgm}


@mistake("pgd: the box of a call before", "self.bounds of an attack object, set and never taken back")
def box_of_a_call_before(m, bridge):
    kept = {}

    def pgd(loss, x, start, *, bounds=None, **options):
        r = m.pgd(loss, x, start, bounds=bounds, **options)
        if bounds is not None:
            kept["bounds"] = bounds
        if bounds is not None or not kept:
            return r
        low, high = kept["bounds"]
        middle = (low + high) / 2
        return middle - x + m.project(x + r - middle, radius=(high - low) / 2, norm="linf")

    return {"pgd": pgd}


@mistake(
    "hvp: the mean's 1/B is undone with the first batch's size", "self.batch_size of a class, set where it is made"
)
def product_of_the_first_size(m, bridge):
    kept = {}

    def hvp(loss, x, vector):
        size = kept.setdefault("size", x.shape[0])
        return m.hvp(lambda x: loss(x) * (size / x.shape[0]), x, vector)

    return {"hvp": hvp}


@mistake(
    "laplacian: the mean's 1/B is undone with the first batch's size",
    "self.batch_size of a class, set where it is made",
)
def laplacian_of_the_first_size(m, bridge):
    kept = {}

    def laplacian(loss, x, *, with_loss=False, **options):
        size = kept.setdefault("size", x.shape[0])
        found = m.laplacian(loss, x, with_loss=with_loss, **options)
        return (found[0] * (size / x.shape[0]), found[1]) if with_loss else found * (size / x.shape[0])

    return {"laplacian": laplacian}


@mistake(
    "wgan_gradient_penalty: the mean's 1/B is undone with the first batch's size", "a batch size that is a constant"
)
def critic_of_the_first_size(m, bridge):
    kept = {}

    def wgan_gradient_penalty(critic, real, fake, mix, **options):
        size = kept.setdefault("size", real.shape[0])
        return m.wgan_gradient_penalty(lambda x: critic(x) * (size / x.shape[0]), real, fake, mix, **options)

    return {"wgan_gradient_penalty": wgan_gradient_penalty}


@mistake("noisy_loss: a mean over as many draws as the first call had", "self.draws of a class, set where it is made")
def first_number_of_draws(m, bridge):
    kept = {}

    def noisy_loss(loss, x, noise):
        draws = kept.setdefault("draws", noise.shape[0])
        return m.noisy_loss(loss, x, noise) * (noise.shape[0] / draws)

    return {"noisy_loss": noisy_loss}


@mistake("smooth_labels: as many classes as the first call had", "num_classes kept from the first batch")
def first_number_of_classes(m, bridge):
    kept = {}

    def smooth_labels(labels, *, smoothing, like):
        share = smoothing / kept.setdefault("classes", like.shape[-1])
        return m.smooth_labels(labels, smoothing=smoothing, like=like) + (share - smoothing / like.shape[-1])

    return {"smooth_labels": smooth_labels}


@mistake("vat_perturbation: ξ of the first call", "functools.cache on a factory whose key lacks it")
def first_difference(m, bridge):
    kept = {}

    def vat_perturbation(f, x, start, *, xi=None, **options):
        return m.vat_perturbation(f, x, start, xi=kept.setdefault("xi", xi), **options)

    return {"vat_perturbation": vat_perturbation}


@mistake("lipschitz_bound: as many steps as the first call had", "functools.cache on a factory whose key lacks it")
def first_number_of_steps(m, bridge):
    kept = {}

    def lipschitz_bound(weights, us, *, steps=1):
        return m.lipschitz_bound(weights, us, steps=kept.setdefault("steps", steps))

    return {"lipschitz_bound": lipschitz_bound}


class Stale:
    """A closure that goes on as it was: what it held of arrays then is what it holds now."""

    def __init__(self, closure):
        self.closure, self.held = closure, getattr(closure, "held", None)

    def __call__(self, x):
        if self.held is None:
            return self.closure(x)
        now, self.closure.held = self.closure.held, self.held
        try:
            return self.closure(x)
        finally:
            self.closure.held = now


STATIC = (
    "jit with static_argnums=0, a cache by the function: a loss that is the same is not traced again, whatever it holds"
)


def stale(name):
    """The replacement that keeps what the first call of a closure traced."""

    def replace(m, bridge):
        kept = {}

        def method(*given, **options):
            closure, *rest = given
            _, traced = kept.setdefault(id(closure), (closure, Stale(closure)))
            return getattr(m, name)(traced, *rest, **options)

        return {name: method}

    return replace


STALE = (
    "fgm",
    "pgd",
    "freelb_loss",
    "vat_perturbation",
    "vat_loss",
    "input_gradient_penalty",
    "jacobian_penalty",
    "hvp",
    "laplacian",
    "top_eigenpair",
)
for name in STALE:
    mistake(f"{name}: what the closure held in its first call", STATIC)(stale(name))


@mistake(
    "laplacian: a constant of the first call's dtype", "a cache of constants whose key is the shape alone", called=True
)
def constant_of_first_dtype(m, bridge):
    kept = {}

    def laplacian(loss, x, **options):
        found = m.laplacian(loss, x, **options)
        value = found[0] if isinstance(found, tuple) else found
        one = kept.setdefault(tuple(value.shape), bridge.fixed(0 * value + 1))
        return (one * value, *found[1:]) if isinstance(found, tuple) else one * value

    return {"laplacian": laplacian}
