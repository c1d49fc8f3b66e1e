"""torchattacks: attacks of a model by its cross-entropy, within images from 0 to 1."""

from equivalence.published.logits import of_torch
from equivalence.published.package import CONVENTION, RIGHT, WRONG, Package, only

PACKAGE = Package("torchattacks", "3.5.1", ("torchattacks",))
ROOM = 0.25  # of pixels around the grey that a batch is put on: nothing meets the ends of [0, 1]


def attacked(attack, loss, x, size=1.0):
    """What an attack does to grey images; size: of the perturbation in x for ROOM of theirs."""
    import torch

    grey = torch.full_like(x, 0.5).reshape(len(x), 1, 1, -1)

    class Model(torch.nn.Module):
        def forward(self, images):
            return of_torch(loss(x.detach() + ((images - grey) * (size / ROOM)).reshape(x.shape)))

    found = attack(Model().eval())
    found.set_device(x.device)
    images = found(grey, torch.zeros(len(x), dtype=torch.long, device=x.device))
    return ((images - grey) / ROOM).reshape(x.shape).detach()


@PACKAGE.adapts("FGSM", "fgm", RIGHT, "sign g, to rounding", compared="L∞")
def sign(loss, x, *, radius, norm="l2", scope="sample"):
    import torchattacks

    only(norm == "linf", "L∞")
    return (radius * attacked(lambda model: torchattacks.FGSM(model, eps=ROOM), loss, x)).detach()


@PACKAGE.adapts("PGD", "pgd", RIGHT, "to rounding", compared="L∞, from the start that it draws", traced=False)
def projected_linf(loss, x, start, *, radius, step, steps, norm="l2", bounds=None):
    from unittest import mock

    import torch
    import torchattacks

    only(norm == "linf" and bounds is None and radius > 0, "L∞ without bounds")
    first = ROOM * (start.detach() / radius).clamp(-1, 1)
    options = {"eps": ROOM, "alpha": step / radius * ROOM, "steps": steps}
    with mock.patch.object(torch.Tensor, "uniform_", lambda drawn, *_: drawn.copy_(first.reshape(drawn.shape))):
        return radius * attacked(lambda model: torchattacks.PGD(model, **options), loss, x, size=radius)


@PACKAGE.adapts(
    "PGDL2",
    "pgd",
    CONVENTION,
    "adds 1e-10 to the norm of each gradient of the batch's mean, and 0/0 at the image itself is NaN",
    compared="L2, from the start that it draws",
    traced=False,
)
def projected_l2(loss, x, start, *, radius, step, steps, norm="l2", bounds=None):
    from unittest import mock

    import torch
    import torchattacks

    only(norm == "l2" and bounds is None and radius > 0, "L2 without bounds")
    lengths = start.detach().flatten(1).norm(dim=1)
    direction = torch.where(lengths.reshape(-1, *[1] * (x.dim() - 1)) > 0, start.detach(), 1.0)
    share = (lengths / radius).clamp(max=1)
    options = {"eps": ROOM, "alpha": step / radius * ROOM, "steps": steps}
    with (
        mock.patch.object(torch.Tensor, "normal_", lambda drawn: drawn.copy_(direction.reshape(drawn.shape))),
        mock.patch.object(torch.Tensor, "uniform_", lambda drawn, *_: drawn.copy_(share.reshape(drawn.shape))),
    ):
        return radius * attacked(lambda model: torchattacks.PGDL2(model, **options), loss, x, size=radius)


@PACKAGE.adapts(
    "PGDL2(random_start=True)",
    "uniform_ball",
    WRONG,
    "“a uniformly random point” of the ball has its length uniform: P(‖r‖ ≤ ε/2) is ½ in every dimension, not 2⁻ⁿ",
    compared="L2; L1 and L∞ are the reference's",
    witness="torchattacks_start",
    since="3.3.0 or before",
)
def start(seed, shape, *, like, norm="l2"):
    import torch
    import torchattacks

    if norm != "l2":  # the reference's: samplers are measured in all norms together
        from impls.torch.sampling import uniform_ball

        return uniform_ball(seed, shape, like=like, norm=norm)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        zeros = torch.zeros(shape, dtype=like.dtype, device=like.device)
        return attacked(
            lambda model: torchattacks.PGDL2(model, eps=ROOM, steps=0), lambda x: x.flatten(1).sum(1), zeros
        )
