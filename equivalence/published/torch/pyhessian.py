"""PyHessian: the Hessian's largest eigenvalue in a network's parameters, which here are one sample's x."""

from equivalence.published.package import CONVENTION, Package, only

PACKAGE = Package("pyhessian", "0.1", ("pyhessian",))


@PACKAGE.adapts(
    "hessian.eigenvalues",
    "top_eigenpair",
    CONVENTION,
    "divides by ‖Hv‖ + 1e-6, twice a step: the vector's norm is 1 − 1e-6/‖Hv‖; the value belongs to the vector before",
    compared="power",
    dtypes=("float32",),
    gradients=False,
)
def eigenvalues(loss, x, start, *, steps, how="power"):
    from unittest import mock

    import pyhessian
    import torch

    only(how == "power", "power iteration")

    class One(torch.nn.Module):
        def __init__(self, b):
            super().__init__()
            self.x = torch.nn.Parameter(x[b].detach().clone())

        def forward(self, b):
            return loss(torch.cat([x[:b].detach(), self.x[None], x[b + 1 :].detach()]))[b]

    values, vectors = [], []
    for b in range(len(x)):
        own = pyhessian.hessian(One(b), lambda value, _: value, data=(b, None), cuda=False)
        with mock.patch.object(torch, "randn", lambda *_, first=start[b]: first.detach().clone()):
            [value], [[vector]] = own.eigenvalues(maxIter=steps + 1, tol=0, top_n=1)
        values.append(value)
        vectors.append(vector)
    return torch.tensor(values, dtype=x.dtype, device=x.device), torch.stack(vectors).detach()
