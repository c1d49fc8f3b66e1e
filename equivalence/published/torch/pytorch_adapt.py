"""pytorch-adapt: entropy, and the virtual adversarial loss that returns a batch's mean: one sample at a time."""

from equivalence.published.package import CONVENTION, RIGHT, Package, only

PACKAGE = Package("pytorch-adapt", "0.0.83", ("pytorch_adapt.layers",))


@PACKAGE.adapts("EntropyLoss", "entropy", RIGHT, "−Σ p log p of logits, to rounding")
def entropy(logits):
    from pytorch_adapt.layers import EntropyLoss

    return EntropyLoss(return_mean=False)(logits)


@PACKAGE.adapts(
    "VATLoss.get_perturbation",
    "vat_perturbation",
    CONVENTION,
    "leaves a direction of norm below 1e-12 unnormalised, and puts the gradient in x's own graph",
    compared="finite_difference, ξ given",
)
def perturbation(f, x, start, *, radius, xi=None, steps=1, how="fisher"):
    from unittest import mock

    import torch
    from pytorch_adapt.layers import VATLoss

    only(how == "finite_difference" and xi is not None, "finite_difference with a ξ")

    class Model(torch.nn.Module):
        def forward(self, x):
            return f(x)

    with mock.patch.object(torch, "randn", return_value=start.detach().clone()):
        own = VATLoss(num_power_iterations=steps, xi=xi, epsilon=1.0)
        logits = f(x).detach()
        return (radius * own.get_perturbation(x.detach(), logits, Model())).detach()
