"""How the predictions for a batch curve in what is perturbed: the power step of `vat_perturbation`, for any f.

d -> Hd, H the Hessian of the divergence from the clean predictions, stands in `impls.jax.virtual_adversarial`; here
the passes of a step give it what it asks for. Where samples share a vector, a table's, or may meet in statistics of
the batch, their parts are scaled alike.
"""

import jax
import jax.numpy as jnp

from impls.jax.norms import _scaled, _step, _wide, unit
from impls.jax.passes import Losses, hold, watched
from impls.jax.virtual_adversarial import _fisher_product, _softmax_change


class Smoothness:
    """The clean pass of a batch, its logits and losses, and how the predictions curve there.

    Args:
        passes: of the step.
        read: passes, outputs -> logits (B, C) or (B, T, C).
        how: "fisher" or "finite_difference", or None where no direction will be asked for.
        xi: step of the difference; None: by the rule of `vat_perturbation`.
    """

    def __init__(self, passes, read, how, xi):
        self.passes, self.read, self.how, self.xi, self.reached = passes, read, how, xi, []
        if how == "fisher":
            self.logits, self.pull, (self.losses, self.left) = self.linearized(passes.arrays, passes.point)
        else:
            self.logits, (self.losses, self.left) = self.evaluated(passes.arrays)
        self.clean = hold(self.logits)  # p(x) is held fixed
        if self.clean.ndim == 3:  # how much a position counts in its sample's mean
            self.counts = passes.counts(Losses(jnp.zeros(self.clean.shape[:2], self.clean.dtype)))[..., None]
        else:
            self.counts = jnp.ones((), self.clean.dtype)

    def direction(self, start, steps):
        """The power iteration's, of norm 1."""
        direction = unit(_wide(start))
        product = self.by_fisher() if self.how == "fisher" else self.by_difference()
        for _ in range(steps):
            direction = unit(_wide(product(direction)))
        return direction

    def by_fisher(self):
        """By the clean pass itself."""
        pull, dtype = lambda u: self.pull(u)[0], self.passes.point.dtype
        fisher = _fisher_product(pull, self.clean, self.clean, dtype, self.scaled, self.counts)

        def product(d):
            try:
                found = fisher(d)
            except (NotImplementedError, ValueError) as error:
                raise ValueError(
                    f"f: got an operation whose backward pass JAX does not transpose ({error!s:.200}), expected one"
                    ' that it does, or how="finite_difference", which needs first derivatives alone'
                ) from error
            return self.passes.finished(found, self.reached)

        return product

    def by_difference(self):
        """The gradient at r = 0 is 0, so the gradient at ξd is ξHd + O(ξ²)."""
        passes = self.passes
        at = hold(passes.point)
        xi = None if self.xi is None else jnp.asarray(self.xi).astype(_wide(at).dtype)
        step = _step(xi, at, passes.model.coarsest(passes.x, passes.logits_in), order=1)

        def product(d):
            near, pull, _ = self.linearized(passes.held, at + (step * d).astype(at.dtype))
            change = self.scaled(self.counts * _softmax_change(self.clean, near))
            return passes.finished(pull(change.astype(near.dtype))[0], self.reached)

        return product

    def evaluated(self, arrays, point=None):
        """Logits of a pass; its losses, and what else it leaves."""
        outputs, left = self.passes.outputs(arrays, point)
        logits = self.read(self.passes, outputs)
        nothing = Losses(jnp.zeros(len(logits), logits.dtype))
        return logits, (nothing if self.passes.loss is None else self.passes.read(outputs), left)

    def linearized(self, arrays, point):
        """The same, and u -> Jᵀu, which is not differentiated again: its residuals are held fixed."""
        logits, pull, rest = jax.vjp(
            lambda point: self.evaluated(arrays, watched(point, self.reached)), point, has_aux=True
        )
        return logits, hold(pull), rest

    def scaled(self, array):
        """Divided by the largest entry of each vector's samples."""
        shared = self.passes.site.one or self.passes.keep_statistics()
        scaled, largest = _scaled(array, "tensor" if shared else "sample")
        if self.passes.site.one:
            everywhere = self.passes.replicas.largest(largest)
            scaled = scaled * jnp.where(everywhere == 0, 0, largest / everywhere)
        return scaled
