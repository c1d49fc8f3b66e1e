"""cleverhans in PyTorch: the fast gradient method and its parts."""

from equivalence.published.logits import of_torch
from equivalence.published.package import LIMIT, RIGHT, WRONG, Package, only

PACKAGE = Package("cleverhans", "4.0.0", ("cleverhans.torch.attacks.fast_gradient_method", "cleverhans.torch.utils"))
NORMS = {"l2": 2, "linf": float("inf"), "l1": 1}


def attacked(loss, x, radius, norm):
    import torch
    from cleverhans.torch.attacks.fast_gradient_method import fast_gradient_method

    def model(at):  # the attack computes in float32, wherever it is
        return of_torch(loss(x.detach() + at))

    labels = torch.zeros(len(x), dtype=torch.long, device=x.device)
    found = fast_gradient_method(model, torch.zeros_like(x), 1.0, NORMS[norm], y=labels)
    return (radius * found.reshape(x.shape)).to(x.dtype).detach()


@PACKAGE.adapts(
    "fast_gradient_method, L2",
    "fgm",
    WRONG,
    "the floor of 1e-6 is under the norm of a mean's gradient, which 1/B shrinks: a large batch shortens r",
    compared="L2, a sample",
    dtypes=("float32",),
    witness="cleverhans_torch_mean",
    since="3.1.0",
)
def fast_gradient_l2(loss, x, *, radius, norm="l2", scope="sample"):
    only(norm == "l2" and scope == "sample", "L2, a sample")
    return attacked(loss, x, radius, norm)


@PACKAGE.adapts(
    "fast_gradient_method, L∞", "fgm", LIMIT, "sign g in float32, whatever x is", compared="L∞", dtypes=("float32",)
)
def fast_gradient_linf(loss, x, *, radius, norm="l2", scope="sample"):
    only(norm == "linf", "L∞")
    return attacked(loss, x, radius, norm)


@PACKAGE.adapts(
    "fast_gradient_method, L1",
    "fgm",
    WRONG,
    "asserts that the shares of tied components add up to exactly 1, and raises where three do in float32, or g is 0",
    compared="L1, a sample",
    dtypes=("float32",),
    witness="cleverhans_torch_l1",
    since="3.1.0",
)
def fast_gradient_l1(loss, x, *, radius, norm="l2", scope="sample"):
    only(norm == "l1" and scope == "sample", "L1, a sample")
    return attacked(loss, x, radius, norm)


@PACKAGE.adapts(
    "clip_eta, L2",
    "project",
    WRONG,
    "changes its argument: eta *= factor",
    compared="L2",
    witness="cleverhans_torch_clip",
    since="3.1.0",
)
def clip_l2(x, *, radius, norm="l2"):
    from cleverhans.torch.utils import clip_eta

    only(norm == "l2", "L2 and L∞")
    return clip_eta(x, 2, radius)


@PACKAGE.adapts("clip_eta, L∞", "project", RIGHT, "to rounding", compared="L∞")
def clip_linf(x, *, radius, norm="l2"):
    from cleverhans.torch.utils import clip_eta

    only(norm == "linf", "L2 and L∞")
    return clip_eta(x, float("inf"), radius)
