"""BackPACK: products with the Hessian."""

from equivalence.published.package import WRONG, Package

PACKAGE = Package("backpack-for-pytorch", "1.7.1", ("backpack.hessianfree.hvp",))


@PACKAGE.adapts(
    "hessianfree.hvp.hessian_vector_product(detach=False)",
    "hvp",
    WRONG,
    "Hv is right to rounding, and has no graph, which detach=False asks for: R_op inside detaches by default",
    witness="backpack_detach",
    since="1.7.0 or before",
)
def hvp(loss, x, vector):
    import torch
    from backpack.hessianfree.hvp import hessian_vector_product

    x = x if x.requires_grad else x.detach().requires_grad_()
    with torch.enable_grad():
        return hessian_vector_product(loss(x).sum(), [x], [vector], detach=False)[0]
