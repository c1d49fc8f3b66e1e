"""advertorch: projections and normalised gradients. Its attacks need what PyTorch 1.9 took away, one function alone."""

from equivalence.published.package import CONVENTION, LIMIT, Package, only

PACKAGE = Package(
    "advertorch",
    "0.2.3",
    ("advertorch.utils",),
    before=(
        "import sys, types, unittest.mock, torch.autograd.gradcheck",
        "sys.modules['torch.autograd.gradcheck'].zero_gradients = None  # gone since PyTorch 1.9",
        "torchvision = sys.modules.setdefault('torchvision', types.ModuleType('torchvision'))",
        "torchvision.transforms = unittest.mock.MagicMock()  # of defences",
    ),
)


@PACKAGE.adapts(
    "normalize_by_pnorm, p = 2",
    "unit",
    LIMIT,
    "a norm is not taken below 1e-6, so that a smaller one gives less than 1",
    compared="a sample",
    shows=("e-", "tiny", "flat", "ties", ""),
)
def unit(x, *, scope="sample"):
    from advertorch.utils import normalize_by_pnorm

    only(scope == "sample", "a norm a sample")
    return normalize_by_pnorm(x, 2)


@PACKAGE.adapts(
    "batch_l1_proj",
    "project",
    LIMIT,
    "the nearest point, to rounding; no gradient passes to samples within the ball, and a radius of 0 raises",
    compared="L1",
    shows=("numbers", "radius 0.0"),
)
def project_l1(x, *, radius, norm="l2"):
    import torch
    from advertorch.utils import batch_l1_proj

    only(norm == "l1", "L1")
    return batch_l1_proj(x.contiguous(), torch.as_tensor(radius, dtype=x.dtype).expand(len(x)))


@PACKAGE.adapts(
    "clamp_by_pnorm, p = 2",
    "project",
    CONVENTION,
    "0/0 at 0: the gradient there is NaN, and ‖x‖² under a root gives 0",
    compared="L2",
)
def project_l2(x, *, radius, norm="l2"):
    from advertorch.utils import clamp_by_pnorm

    only(norm == "l2", "L2")
    return clamp_by_pnorm(x, 2, float(radius))
