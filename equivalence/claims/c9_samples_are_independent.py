"""What a method gives a sample does not depend on the others in its batch; and two usual ways in which it does."""

import numpy as np

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.measure import differs, equal
from equivalence.parts.batch import METHODS, RADIUS, alone, given, in_company, results


def measure(problem, reference):
    methods, point, batch = problem.methods, reference.point, reference.case.batch
    arrays = given(reference.case)
    tiled = problem.tiled(2)

    def everything(point, *arrays_given):
        found = results(methods, point, dict(zip(arrays, arrays_given, strict=True)))
        tensor = methods.fgm(point.loss, point.x, radius=RADIUS, norm="l2", scope="tensor")
        reduced = methods.fgm(lambda x: point.loss(x) / (2 * batch), point.x, radius=RADIUS, norm="raw")
        return found, tensor, reduced

    run = tiled.compile(everything, sweep=False)
    (doubled, tensor, reduced), (among_others, _, _) = (run(*in_company(arrays, same)) for same in (True, False))
    for name, (expected, scale) in alone(reference, arrays).items():
        copies = np.stack([doubled[name][:batch], doubled[name][batch:], among_others[name][:batch]])
        yield name, equal(copies, np.stack([expected] * 3), size=scale)
    g = oracle.values.fgm(point.loss, point.x, radius=RADIUS, norm="raw")
    r = oracle.values.fgm(point.loss, point.x, radius=RADIUS, norm="l2")
    share = oracle.values.l2_norm(g) / (2 * (g**2).sum()) ** 0.5  # ‖g_b‖/‖g‖, of the tensor that has each twice
    yield "one norm for the tensor differs", differs(tensor[:batch] - r, (share - 1)[:, None] * r)
    yield "a reduced loss differs", differs(reduced[:batch] - g, (1 / (2 * batch) - 1) * g)


CLAIM = Claim(
    id="C9",
    title="What a method gives a sample does not depend on the rest of the batch",
    formula="alone = in company = twice; but ‖g_b‖/‖g‖ of it with one norm for the tensor, 1/B with a reduced loss",
    source="Goodfellow et al. 2015; Miyato et al. 2017, eq. 5",
    methods=METHODS,
    cases=("softmax",),
    measure=measure,
    wrong={
        "one length for the whole batch": lambda m, bridge: {
            "vat_perturbation": lambda f, x, start, radius: (
                radius * m.unit(m.vat_perturbation(f, x, start, radius=radius), scope="tensor")
            )
        },
        "a reduced loss": lambda m, bridge: {
            "input_gradient_penalty": lambda loss, x, norm: m.input_gradient_penalty(
                lambda x: loss(x) / x.shape[0], x, norm=norm
            )
        },
        "centred over the batch": lambda m, bridge: {
            "noisy_loss": lambda loss, x, noise: m.noisy_loss(loss, x, noise) - sum(m.noisy_loss(loss, x, noise)) / 8
        },
    },
    control="softmax",
)
