"""The Adversarial Robustness Toolbox, which computes in NumPy and float32: values alone."""

from equivalence.published.logits import of_torch
from equivalence.published.package import CONVENTION, LIMIT, Package, only

PACKAGE = Package(
    "adversarial-robustness-toolbox", "1.20.1", ("art.utils", "art.attacks.evasion", "art.estimators.classification")
)
SINGLE = {"dtypes": ("float32",), "traced": False}  # it goes by way of NumPy
NORMS = {"l2": 2, "linf": float("inf"), "l1": 1}


def attacked(attack, loss, x):
    """What an attack adds to zeros, at which the model is the loss at x."""
    import numpy as np
    import torch
    from art.estimators.classification import PyTorchClassifier

    class Model(torch.nn.Module):
        def forward(self, at):
            return of_torch(loss(x.detach() + at[: len(x)]))

    classifier = PyTorchClassifier(
        Model(), torch.nn.CrossEntropyLoss(), input_shape=tuple(x.shape[1:]), nb_classes=2, device_type="cpu"
    )
    labels = np.tile(np.array([[1.0, 0.0]], np.float32), (len(x), 1))
    found = attack(classifier).generate(np.zeros(x.shape, np.float32), labels)
    return torch.as_tensor(found, dtype=x.dtype, device=x.device)


def one_step(own, loss, x, radius, norm, scope):
    from art.attacks.evasion import FastGradientMethod

    only(norm == own and scope == "sample", own)
    options = {"norm": NORMS[own], "eps": 1.0, "batch_size": len(x)}
    return (radius * attacked(lambda classifier: FastGradientMethod(classifier, **options), loss, x)).detach()


@PACKAGE.adapts(
    "FastGradientMethod, L∞", "fgm", LIMIT, "sign g, in float32 and by way of NumPy", compared="L∞", **SINGLE
)
def fast_gradient_linf(loss, x, *, radius, norm="l2", scope="sample"):
    return one_step("linf", loss, x, radius, norm, scope)


@PACKAGE.adapts(
    "FastGradientMethod, L2",
    "fgm",
    LIMIT,
    "adds 1e-7 to the norm of the gradient of the batch's mean",
    compared="L2, a sample",
    shows=("tiny-gradients",),
    **SINGLE,
)
def fast_gradient_l2(loss, x, *, radius, norm="l2", scope="sample"):
    return one_step("l2", loss, x, radius, norm, scope)


@PACKAGE.adapts(
    "projection, suboptimal=False",
    "project",
    LIMIT,
    "the nearest point in L2 and L∞; L1 stops within 1e-8 of it",
    compared="L1, L2, L∞",
    gradients=False,
    shows=("l1, numbers of 1e-15",),
)
def project(x, *, radius, norm="l2"):
    import torch
    from art.utils import projection

    found = projection(x.detach().cpu().numpy(), float(radius), NORMS[norm], suboptimal=False)
    return torch.as_tensor(found, dtype=x.dtype, device=x.device)


@PACKAGE.adapts(
    "projection",
    "project",
    CONVENTION,
    "by default scales in L1, which is not nearest: its documentation says suboptimal",
    compared="L1",
    gradients=False,
)
def scaled(x, *, radius, norm="l2"):
    import torch
    from art.utils import projection

    only(norm == "l1", "L1")
    return torch.as_tensor(projection(x.detach().cpu().numpy(), float(radius), 1), dtype=x.dtype, device=x.device)


@PACKAGE.adapts(
    "uniform_sample_from_sphere_or_ball",
    "uniform_ball",
    LIMIT,
    "uniform by every test; drawn by NumPy's global generator",
    compared="L1, L2, L∞",
    gradients=False,
)
def balls(seed, shape, *, like, norm="l2"):
    return drawn("uniform_sample_from_sphere_or_ball", seed, shape, like, norm=NORMS[norm])


@PACKAGE.adapts(
    "random_sphere",
    "uniform_ball",
    LIMIT,
    "uniform by every test; drawn by NumPy's global generator",
    compared="L1, L2, L∞",
    gradients=False,
)
def spheres(seed, shape, *, like, norm="l2"):
    return drawn("random_sphere", seed, shape, like, norm=NORMS[norm])


def drawn(name, seed, shape, like, **options):
    import math

    import art.utils
    import numpy as np
    import torch

    state = np.random.get_state()  # noqa: NPY002 - what the package draws from
    try:
        np.random.seed(seed)  # noqa: NPY002
        found = getattr(art.utils, name)(shape[0], math.prod(shape[1:]), 1.0, **options)
    finally:
        np.random.set_state(state)  # noqa: NPY002
    return torch.as_tensor(found, dtype=like.dtype, device=like.device).reshape(shape)
