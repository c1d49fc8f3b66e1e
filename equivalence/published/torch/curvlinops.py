"""curvlinops: the Hessian as a linear operator on a list of parameters, which here is one sample's x."""

from equivalence.published.package import LIMIT, Package

PACKAGE = Package("curvlinops-for-pytorch", "3.0.1", ("curvlinops",))


@PACKAGE.adapts(
    "HessianLinearOperator",
    "hvp",
    LIMIT,
    "right to rounding, values alone; raises for a linear loss, for which its zeros have the shape of something else",
    gradients=False,
    shows=("a linear loss",),
)
def hvp(loss, x, vector):
    import torch
    from curvlinops import HessianLinearOperator

    class Batch(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.x = torch.nn.Parameter(x.detach().clone())

        def forward(self, unused):
            return loss(self.x)

    class Total(torch.nn.Module):
        reduction = "sum"

        def forward(self, values, unused):
            return values.sum()

    model, data = Batch(), [(torch.zeros(1), torch.zeros(1))]
    own = HessianLinearOperator(model, Total(), [model.x], data, check_deterministic=False)
    return (own @ [vector.detach()])[0].detach()
