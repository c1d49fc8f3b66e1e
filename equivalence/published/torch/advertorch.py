"""advertorch: projections and normalised gradients. Its attacks need what PyTorch 1.9 took away, one function alone."""

from equivalence.published.package import LIMIT, Package, only

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
    "a norm is not taken below 1e-6, so that a smaller one gives less than 1; raises where memory is not contiguous",
    compared="a sample",
    shows=("C6", "numbers of 1e-15", "transposed memory"),
)
def unit(x, *, scope="sample"):
    from advertorch.utils import normalize_by_pnorm

    only(scope == "sample", "a norm a sample")
    return normalize_by_pnorm(x, 2)


@PACKAGE.adapts(
    "batch_l1_proj",
    "project",
    LIMIT,
    "the nearest point, to rounding; beside a sample outside the ball one within it gets no gradient; radius 0 raises",
    compared="L1",
    shows=("radius 0.5, numbers", "radius 0.0"),
)
def project_l1(x, *, radius, norm="l2"):
    import torch
    from advertorch.utils import batch_l1_proj

    only(norm == "l1", "L1")
    return batch_l1_proj(x.contiguous(), torch.as_tensor(radius, dtype=x.dtype).expand(len(x)))


@PACKAGE.adapts(
    "clamp_by_pnorm, p = 2",
    "project",
    LIMIT,
    "to rounding; 0/0 is NaN where x and the radius are 0, the radius is a plain number, memory must be contiguous",
    compared="L2",
    shows=("radius 0.0", "traced numbers", "transposed memory"),
)
def project_l2(x, *, radius, norm="l2"):
    from advertorch.utils import clamp_by_pnorm

    only(norm == "l2", "L2")
    return clamp_by_pnorm(x, 2, float(radius))
