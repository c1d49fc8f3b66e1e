"""How the predictions for a batch curve in what is perturbed: the power step of `vat_perturbation`, with real modules.

d -> Hd, H the Hessian of the divergence from the clean predictions, stands in `impls.torch.virtual_adversarial`; here
the passes of a model give it what it asks for. Where samples share a vector, a table's, or meet in batch statistics,
their parts are scaled alike.
"""

import contextlib

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from impls.torch.derivatives import _check_differentiable, prepare_twice, transpose
from impls.torch.norms import _step, _wide, unit
from impls.torch.outcomes import shares
from impls.torch.refusals import explaining
from impls.torch.sites import compiled_parts, sharded_units
from impls.torch.virtual_adversarial import _fisher_product, _softmax_change


class Smoothness:
    """The clean pass of a batch, its logits and losses, and how the predictions curve there.

    Args:
        batch: whose passes are made.
        how: "fisher" or "finite_difference", or None where no direction will be asked for.
        xi: step of the difference; None: by the rule of `vat_perturbation`.
    """

    def __init__(self, batch, how, xi):
        self.batch, self.how, self.xi = batch, how, xi
        self.together = batch.passes.keep_statistics()
        # The graph that the caller differentiates will do, but where hooks in it are to see his backward pass alone, or
        # where it cannot be differentiated twice.
        self.apart = how == "fisher" and bool(batch.passes.hooked or compiled_parts(batch.model))
        shared = how == "fisher" and not self.apart
        options = {"watched": shared, "measured": how == "finite_difference"}
        with plain_attention(shared):
            (self.logits, self.losses), self.shifts = batch.logits_and_losses(**options)
        self.clean = self.logits.detach()  # p(x) is held fixed
        self.counts = shares(self.clean, batch.mask)

    def direction(self, start, steps):
        """The power iteration's, as rows of norm 1."""
        direction = unit(start)
        with torch.no_grad(), explaining("model"), kept_whole(self.batch.model):
            product = self.by_fisher() if self.how == "fisher" else self.by_difference()
            for _ in range(steps):
                direction = unit(product(direction))
        return direction

    def by_fisher(self):
        """By the graph of the clean pass, or of one that is like it."""
        batch, logits, shifts = self.batch, self.logits, self.shifts
        if self.apart:
            with torch.enable_grad(), torch.compiler.set_stance("force_eager"), plain_attention():
                logits, shifts = batch.logits(watched=True, parameters=False)

        prepare_twice(logits)

        def pull(cotangents):
            again = torch.is_grad_enabled()
            rows = batch.pull(logits, shifts, cotangents, create_graph=again)
            if again:
                _check_differentiable(rows)
            return rows

        push = transpose(pull, logits)  # a step changes the model's buffers: it cannot try forward mode and come back
        product = _fisher_product(push, pull, self.clean, logits.dtype, self.scaled, self.counts)
        return lambda d: batch.looked_at(batch.vectors.everywhere(product(d)), batch.sites[0])

    def by_difference(self):
        """The gradient at r = 0 is 0, so the gradient at ξd is ξHd + O(ξ²)."""
        batch = self.batch
        norms = torch.stack([shift.norms for shift in self.shifts]).norm(dim=0)[:, None]
        step = _step(self.xi, norms, batch.reader.coarsest(), order=1)

        def product(d):
            with torch.enable_grad():
                near, shifts = batch.logits(step * d, watched=True, parameters=False)
                change = self.scaled(self.counts * _softmax_change(self.clean, near.detach()))
                return batch.gradient((near * change).sum(), shifts)

        return product

    def scaled(self, array):
        return self.batch.vectors.largest_1(_wide(array), together=self.together)


def plain_attention(needed=True):
    """Fused attention has no second backward pass."""
    return sdpa_kernel(SDPBackend.MATH) if needed else contextlib.nullcontext()


@contextlib.contextmanager
def kept_whole(model):
    """Within, FSDP leaves parameters whole after a gradient: a power step takes several of one graph."""
    wrapped = sharded_units(model)
    groups = [part._get_fsdp_state()._fsdp_param_group for part in wrapped]  # what is set has no public getter
    before = [group is not None and group.reshard_after_backward for group in groups]
    for part in wrapped:
        part.set_reshard_after_backward(False, recurse=False)
    try:
        yield
    finally:
        for part, sharded in zip(wrapped, before, strict=True):
            part.set_reshard_after_backward(sharded, recurse=False)
