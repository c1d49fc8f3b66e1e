"""What a model returns and what a loss returns, read and checked."""

from typing import Any, NamedTuple

import torch

from impls.checks import check_classes, within
from impls.torch import finite
from impls.torch.losses import entropy, kl_divergence
from impls.torch.sites import leaves

HALF = (torch.float16, torch.bfloat16)
IGNORED = -100  # PyTorch's own default


class Losses(NamedTuple):
    """The losses of one pass.

    value: what is trained on, the framework's own mean.
    rows: (B,), one a sample; None where the loss came as one number.
    """

    value: Any
    rows: Any

    @property
    def total(self):
        """What an attack differentiates."""
        return self.value if self.rows is None else self.rows.sum()


class Reader:
    """Reads losses and logits of one batch.

    Args:
        loss: (outputs, labels) -> losses.
        logits: outputs -> logits, or None.
        outputs: "softmax" or "sigmoid".
        needs: why one number for the batch will not do, or "".
    """

    def __init__(self, loss, logits=None, *, outputs="softmax", needs="", name="loss"):
        self.loss, self.logits_of, self.kind, self.needs, self.name = loss, logits, outputs, needs, name
        self.logits_in, self.dtypes = None, set()  # in which logits came, and the model computes

    def look_into(self, outputs):
        """Find the dtypes that a model computes in, once: what it casts by itself is not seen from outside."""
        nodes = [leaf.grad_fn for _, leaf in leaves(outputs) if leaf.grad_fn is not None]
        if nodes and not self.dtypes:
            self.dtypes = dtypes_within(nodes)

    def in_half(self):
        """Whether the model computes in float16: a loss scaler is there to skip what overflows."""
        return autocasts_to_float16() or torch.float16 in self.dtypes

    def coarsest(self):
        """An array of the dtype with the fewest digits on the way to the logits."""
        floating = [dtype for dtype in {self.logits_in} | self.dtypes if dtype.is_floating_point]
        return torch.empty(0, dtype=max(floating, key=lambda dtype: torch.finfo(dtype).eps))

    def losses(self, outputs, labels, batch, valid=None):
        """Call the loss and read what it returns."""
        if self.logits_of is not None:
            outputs = self.logits_of(outputs)
        elif isinstance(self.loss, torch.nn.modules.loss._Loss):  # PyTorch's own take a tensor
            outputs = self.tensor(outputs)
        with within(False):
            result = self.loss(outputs, labels)
        return self.read(result, labels, batch, valid)

    def read(self, result, labels, batch, valid=None):
        """Losses (B,), (B, T), a number, or a pair of losses and what their mean divides by."""
        values, weights = result if isinstance(result, tuple) and len(result) == 2 else (result, None)
        if not isinstance(values, torch.Tensor):
            raise TypeError(f"{self.name}: got a {type(values).__name__}, expected a tensor (B,)")
        if values.numel() and finite(values.detach()) is False and not self.in_half():
            raise ValueError(f"{self.name}: got NaN or infinity, expected finite numbers")
        if weights is not None:
            return self.weighted(values, weights, batch)
        if values.dim() == 0:
            return self.number(values, batch)
        if values.dim() == 2 and len(values) == (batch or max(1, len(values))):
            valid = self.valid(values, labels, valid)
            if valid is not None:
                return by_position(torch.where(valid, values, 0), valid.to(values.dtype))
        if values.dim() != 1 or len(values) != (batch or max(1, len(values))):
            raise ValueError(
                f"{self.name}: got shape {tuple(values.shape)}, expected ({batch or 'B'},): one loss a sample, not"
                ' reduced over the batch, as PyTorch\'s own do with reduction="none"; or one a position, (B, T), with'
                " labels (B, T)"
            )
        return Losses(values.mean(), values)

    def number(self, value, batch):
        if self.needs:
            raise ValueError(
                f"{self.name}: got shape (), expected ({batch or 'B'},): {self.needs}. PyTorch's own losses do this"
                ' with reduction="none"; where their mean divides by weights, return (losses, weights)'
            )
        return Losses(value, None)

    def valid(self, values, labels, mask):
        """Which positions (B, T) have a loss; None if that is not known."""
        if mask is not None and mask.shape == values.shape:
            return mask != 0
        if getattr(labels, "shape", None) != values.shape:
            return None
        if labels.is_floating_point():
            return torch.ones_like(values, dtype=torch.bool)
        return labels != getattr(self.loss, "ignore_index", IGNORED)

    def weighted(self, losses, weights, batch):
        """Losses, weighted already, and what the framework's own mean divides their sum by."""
        if (
            losses.shape != getattr(weights, "shape", None)
            or losses.dim() not in (1, 2)
            or len(losses) != (batch or len(losses))
        ):
            raise ValueError(
                f"{self.name}: got a pair of shapes {tuple(losses.shape)} and {tuple(getattr(weights, 'shape', ()))},"
                f" expected losses and weights of one shape, ({batch or 'B'},) or ({batch or 'B'}, T)"
            )
        if losses.dim() == 2:
            return by_position(losses, weights)
        return Losses(losses.sum() / weights.sum(), losses)

    def logits(self, outputs, batch):
        """The model's logits, (B, C) or (B, T, C), in float32 or float64."""
        logits = self.tensor(outputs) if self.logits_of is None else self.logits_of(outputs)
        shape = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        if self.kind == "sigmoid":
            if shape not in ((batch,), (batch, 1)):
                raise ValueError(f"model: got outputs {shape}, expected one logit a sample, ({batch},) or ({batch}, 1)")
            z = logits.reshape(batch)
            logits = torch.stack([z, torch.zeros_like(z)], 1)  # class 0 has the probability sigmoid(z)
        elif not isinstance(shape, tuple) or len(shape) not in (2, 3) or shape[0] != batch:
            raise ValueError(f"model: got outputs {shape}, expected logits ({batch}, C) or ({batch}, T, C)")
        check_classes("model", logits)
        self.logits_in = logits.dtype
        return logits.float() if logits.dtype in HALF else logits

    def tensor(self, outputs):
        """A model's outputs as the tensor that they are or have."""
        if isinstance(outputs, torch.Tensor):
            return outputs
        if isinstance(getattr(outputs, "logits", None), torch.Tensor):
            return outputs.logits
        raise TypeError(
            f"model: got outputs of type {type(outputs).__name__}, expected a tensor, or an object with .logits. Say"
            " which part are the logits: logits=lambda outputs: outputs[0]"
        )


def divergence(clean, logits, valid):
    """KL(p‖q) a sample, (B,); a mean over the valid positions of (B, T, C)."""
    return per_sample(
        kl_divergence(clean.reshape(-1, clean.shape[-1]), logits.reshape(-1, logits.shape[-1])), logits, valid
    )


def uncertainty(logits, valid):
    """The entropy a sample, (B,); a mean over the valid positions."""
    return per_sample(entropy(logits.reshape(-1, logits.shape[-1])), logits, valid)


def per_sample(values, logits, valid):
    if logits.dim() == 2:
        return values
    return (values.reshape(logits.shape[:-1]) * shares(logits, valid)[..., 0]).sum(1)


def shares(logits, valid):
    """How much each row of logits counts in its sample's mean: 1, or of positions (B, T, 1)."""
    if logits.dim() == 2:
        return 1
    valid = torch.ones_like(logits[..., :1]) if valid is None else (valid != 0).to(logits.dtype)[..., None]
    each = valid.sum(1, keepdim=True)
    return valid / torch.where(each == 0, 1, each)  # a sample without a valid position has no divergence


def by_position(losses, weights):
    """Losses (B, T), weighted already: the mean of all, and of each sample its own."""
    each = weights.sum(1)
    rows = losses.sum(1) / torch.where(each == 0, 1, each)  # a sample without a valid position has no loss
    return Losses(losses.sum() / weights.sum(), rows)


def dtypes_within(nodes):
    """The dtypes of all operations of a graph."""
    found, seen = set(), set()
    while nodes:
        node = nodes.pop()
        if node is not None and node not in seen:
            seen.add(node)
            found |= {metadata.dtype for metadata in node._input_metadata}
            nodes += [before for before, _ in node.next_functions]
    return found


def autocasts_to_float16():
    return any(
        torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) == torch.float16
        for device in ("cpu", "cuda")
    )
