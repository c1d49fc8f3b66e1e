"""Counted from the wrong end: one step too many or too few, and steps that start in the wrong place."""

from equivalence.mutant import Mutant, collect

MUTANTS: list[Mutant] = []
mistake = collect(MUTANTS, "steps")


@mistake("pgd: K+1 steps", "range(steps + 1)")
def one_step_more(m, bridge):
    return {"pgd": lambda loss, x, start, *, steps, **options: m.pgd(loss, x, start, steps=steps + 1, **options)}


@mistake("pgd: every step along the first gradient", "the gradient taken at x, before the loop")
def gradient_at_x(m, bridge):
    def pgd(loss, x, start, *, radius, step, steps, norm="l2", bounds=None):
        direction = m.fgm(loss, x, radius=step, norm=norm)
        r = start
        for _ in range(steps):
            inside = m.pgd(loss, x, r, radius=radius, step=0.0, steps=1, norm=norm, bounds=bounds)
            r = inside + direction
        return m.pgd(loss, x, r, radius=radius, step=0.0, steps=1, norm=norm, bounds=bounds)

    return {"pgd": pgd}


@mistake("pgd: signed steps in the l2 ball", "FGSM's step kept where the ball has changed")
def signed_steps(m, bridge):
    def pgd(loss, x, start, *, radius, step, steps, norm="l2", bounds=None):
        r = start
        for _ in range(steps):
            r = m.pgd(loss, x, r, radius=radius, step=0.0, steps=1, norm=norm, bounds=bounds)
            r = r + m.fgm(loss, x + r, radius=step, norm="linf")
        return m.pgd(loss, x, r, radius=radius, step=0.0, steps=1, norm=norm, bounds=bounds)

    return {"pgd": pgd}


@mistake("freelb_loss: points 1 to K", "the loss taken after the step in place of before")
def first_point_left_out(m, bridge):
    def freelb_loss(loss, x, start, *, radius, step, steps, norm="l2"):
        r, losses = start, []
        for _ in range(steps):
            r = m.freelb_loss(loss, x, r, radius=radius, step=step, steps=1, norm=norm)[1]
            losses.append(loss(x + r))
        return sum(losses) / steps, r

    return {"freelb_loss": freelb_loss}


@mistake("freelb_loss: returns the perturbation before the last step", "the point of the last loss handed on")
def last_step_not_returned(m, bridge):
    def freelb_loss(loss, x, start, *, radius, steps, norm="l2", **options):
        values = m.freelb_loss(loss, x, start, radius=radius, steps=steps, norm=norm, **options)[0]
        if steps == 1:
            return values, m.project(start, radius=radius, norm=norm)
        return values, m.freelb_loss(loss, x, start, radius=radius, steps=steps - 1, norm=norm, **options)[1]

    return {"freelb_loss": freelb_loss}


@mistake("top_eigenpair: K+1 steps", "one power step before the loop")
def eigenpair_after_one_more(m, bridge):
    def top_eigenpair(loss, x, start, *, steps, **options):
        return m.top_eigenpair(loss, x, start, steps=steps + 1, **options)

    return {"top_eigenpair": top_eigenpair}


@mistake("vat_perturbation: K+1 steps", "one power step before the loop")
def one_power_step_more(m, bridge):
    def vat_perturbation(f, x, start, *, steps=1, **options):
        return m.vat_perturbation(f, x, start, steps=steps + 1, **options)

    return {"vat_perturbation": vat_perturbation}


@mistake("spectral_norm: K+1 steps", "one power step before the loop")
def one_singular_step_more(m, bridge):
    return {"spectral_norm": lambda weight, u, *, steps=1: m.spectral_norm(weight, u, steps=steps + 1)}
