"""Sparse tensors made of values that are differentiated, with right higher derivatives.

PyTorch's own constructor has the right first derivative alone: what is differentiated through it twice silently lacks a
part, for the backward pass takes a sparse gradient's values as constants.
"""

import math

import torch

CONSTRUCTOR = "SparseCooTensorWithDimsAndTensorsBackward0"  # what its node in a graph is called


def mend(nodes):
    """Give the constructor's nodes of a graph a backward pass that can be differentiated, before the graph is used."""
    for node in nodes:
        if node.name() == CONSTRUCTOR:
            node.register_hook(_taking(node._saved_result.detach()._indices()))


def _taking(indices):
    return lambda gradients, upstreams: tuple(
        found if found is None else _Taken.apply(upstreams[0], indices) for found in gradients
    )


def from_values(indices, values, *size, **options):
    """`torch.sparse_coo_tensor(indices, values, size)`; indices is (axes, nnz), values (nnz, ...)."""
    with torch.no_grad():  # what arguments may be, and every complaint about them, is PyTorch's own
        made = torch.sparse_coo_tensor(indices, values, *size, **options)
    return _Made.apply(made._indices(), values.to(made.dtype).to(made.device), made.shape, made.is_coalesced())


class _Made(torch.autograd.Function):
    """Values to a sparse tensor. Linear: its derivative is the same of the values' change."""

    @staticmethod
    def forward(indices, values, size, coalesced):
        return torch.sparse_coo_tensor(indices, values, size, is_coalesced=coalesced, check_invariants=False)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.indices, _, ctx.size, ctx.coalesced = inputs

    @staticmethod
    def backward(ctx, upstream):
        return None, _Taken.apply(upstream, ctx.indices), None, None

    @staticmethod
    def jvp(ctx, _, change, *rest):
        return _Made.apply(ctx.indices, change, ctx.size, ctx.coalesced)


class _Taken(torch.autograd.Function):
    """Numbers of a sparse or strided tensor at indices, 0 where a sparse one has none; the transpose of the above."""

    @staticmethod
    def forward(upstream, indices):
        if upstream.layout == torch.strided:
            return upstream[tuple(indices)]
        held = upstream.coalesce()
        sizes = upstream.shape[: len(indices)]
        strides = indices.new_tensor([[math.prod(sizes[axis + 1 :])] for axis in range(len(sizes))])
        known, wanted = ((each * strides).sum(0) for each in (held.indices(), indices))
        if not len(known):
            return held.values().new_zeros(len(wanted), *held.values().shape[1:])
        places = torch.searchsorted(known, wanted).clamp(max=len(known) - 1)
        found = held.values()[places]
        return torch.where((known[places] == wanted).reshape(-1, *[1] * (found.dim() - 1)), found, 0)

    @staticmethod
    def setup_context(ctx, inputs, output):
        upstream, ctx.indices = inputs
        ctx.size, ctx.strided = upstream.shape, upstream.layout == torch.strided

    @staticmethod
    def backward(ctx, upstream):
        if not ctx.strided:
            return _Made.apply(ctx.indices, upstream, ctx.size, False), None
        zeros = upstream.new_zeros(ctx.size)
        return zeros.index_put(tuple(ctx.indices), upstream, accumulate=True), None

    @staticmethod
    def jvp(ctx, change, _):
        return _Taken.apply(change, ctx.indices)
