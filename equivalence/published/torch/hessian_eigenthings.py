"""hessian-eigenthings: eigenpairs of an operator that is its product alone; here of one sample's Hessian."""

from equivalence.published.package import CONVENTION, Package, only

PACKAGE = Package("hessian-eigenthings", "1.0.0a5", ("hessian_eigenthings",))


def operator(loss, x, b):
    import torch
    from hessian_eigenthings import LambdaOperator

    def product(v):
        whole = torch.zeros_like(x)
        whole[b] = v.reshape(x[b].shape)
        return torch.autograd.functional.hvp(lambda x: loss(x).sum(), x.detach(), whole)[1][b].flatten()

    return LambdaOperator(product, size=x[b].numel(), device=x.device, dtype=x.dtype)


@PACKAGE.adapts(
    "power_iteration_one",
    "top_eigenpair",
    CONVENTION,
    "the vector is a step ahead of the value, which is the quotient of the vector before",
    compared="power",
    gradients=False,
)
def power(loss, x, start, *, steps, how="power"):
    import torch
    from hessian_eigenthings import power_iteration_one

    only(how == "power", "power iteration")
    found = [
        power_iteration_one(operator(loss, x, b), max_iter=steps + 1, tol=0, init=start[b].detach().flatten())
        for b in range(len(x))
    ]
    values = torch.tensor([value for value, *_ in found], dtype=x.dtype, device=x.device)
    return values, torch.stack([vector.reshape(x[0].shape) for _, vector, *_ in found]).detach()
