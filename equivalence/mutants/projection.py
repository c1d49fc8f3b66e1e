"""Out of the ball, onto its surface, or into another one."""

from equivalence.mutant import Mutant, collect
from equivalence.parts.composed import at_most, each, inner

MUTANTS: list[Mutant] = []
mistake = collect(MUTANTS, "projection")
EDGE = "digits-mlp"  # many of whose inputs lie on the edge of their box


@mistake("project: onto the sphere", "cleverhans issue 381")
def onto_the_sphere(m, bridge):
    def project(x, *, radius, norm="l2"):
        return radius * m.unit(x) if norm == "l2" else m.project(x, radius=radius, norm=norm)

    return {"project": project}


@mistake("project: one norm for the whole batch", "MadryLab/robustness commit a733a88: renorm along the wrong axis")
def wrong_axis(m, bridge):
    return {"project": lambda x, **options: m.project(x[None], **options)[0]}


@mistake("project: the l1 ball by division", "x·min(1, ε/‖x‖₁) lies in the ball, but is not the nearest point")
def divided_into_the_l1_ball(m, bridge):
    def project(x, *, radius, norm="l2"):
        if norm != "l1":
            return m.project(x, radius=radius, norm=norm)
        return x * each(at_most(m, 1.0, radius / inner(m, x, m.steepest(x, norm="linf"))), x)

    return {"project": project}


@mistake("project: the norm is not rooted", "x·min(1, ε/‖x‖²)")
def divided_by_the_square(m, bridge):
    def project(x, *, radius, norm="l2"):
        if norm != "l2":
            return m.project(x, radius=radius, norm=norm)
        return x * each(at_most(m, 1.0, radius / m.l2_norm(x) ** 2), x)

    return {"project": project}


@mistake("project: clipped to a box", "the l∞ ball for each norm: clamp(-ε, ε)")
def clipped_to_a_box(m, bridge):
    def project(x, *, radius, norm="l2"):
        return m.project(x, radius=radius, norm="linf")

    return {"project": project}


@mistake("pgd: projected at the end only", "adversarial-robustness-toolbox issue 148")
def projected_at_the_end(m, bridge):
    def pgd(loss, x, start, *, radius, step, steps, norm="l2", bounds=None):
        r = start
        for _ in range(steps):
            r = r + m.fgm(loss, x + r, radius=step, norm=norm)
        return m.pgd(loss, x, r, radius=radius, step=0.0, steps=1, norm=norm, bounds=bounds)

    return {"pgd": pgd}


@mistake("pgd: the last step is not projected", "projection at the loop's head, where the last one is missing")
def last_step_is_free(m, bridge):
    def pgd(loss, x, start, *, radius, step, steps, norm="l2", bounds=None):
        before = {"steps": steps - 1, "step": step} if steps > 1 else {"steps": 1, "step": 0.0}
        r = m.pgd(loss, x, start, radius=radius, norm=norm, bounds=bounds, **before)
        return r + m.fgm(loss, x + r, radius=step, norm=norm)

    return {"pgd": pgd}


@mistake("pgd: the box is left on the way", "cleverhans commit 4bd9e359: clipped at the end only", case=EDGE)
def boxed_at_the_end(m, bridge):
    def pgd(loss, x, start, *, radius, norm="l2", bounds=None, **options):
        r = m.pgd(loss, x, start, radius=radius, norm=norm, **options)
        return m.pgd(loss, x, r, radius=radius, step=0.0, steps=1, norm=norm, bounds=bounds)

    return {"pgd": pgd}


@mistake("freelb_loss: the ball is left", "FreeLB without its projection: max_norm 0 means none in the published code")
def free_of_the_ball(m, bridge):
    def freelb_loss(loss, x, start, *, radius, step, steps, norm="l2"):
        r, losses = m.project(start, radius=radius, norm=norm), []
        for _ in range(steps):
            losses.append(loss(x + r))
            r = r + m.fgm(loss, x + r, radius=step, norm=norm)
        return sum(losses) / steps, r

    return {"freelb_loss": freelb_loss}
