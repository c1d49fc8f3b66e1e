"""BackPACK: the Hessian-vector product of x³ at 2, asked for with its graph: `detach=False`."""

import torch
from backpack.hessianfree.hvp import hessian_vector_product

x = torch.tensor([2.0], requires_grad=True)
(product,) = hessian_vector_product((x**3).sum(), [x], [torch.ones(1)], detach=False)
print(
    f"Hv = {product.item():g}, expected 6x = 12; it has a graph: {product.requires_grad}, expected True, with slope 6"
)
