"""One batch on its way through the passes of an objective."""

import torch
from torch.nn.utils.rnn import PackedSequence

from impls.checks import within
from impls.torch import finite, span
from impls.torch.derivatives import jvp
from impls.torch.outcomes import Losses
from impls.torch.passes import Passes
from impls.torch.replicas import Alone, Replicas
from impls.torch.sites import Input, Shift, Table, is_sharded, leaves
from impls.torch.vectors import Vectors

SCALES = (2.0**15, 2.0**7, 1.0)  # of a loss in float16, whose gradient would vanish: the first that does not overflow


class Batch:
    """Inputs and labels, and the passes that are made with them.

    Args:
        objective: whose model, sites, reader, mask and options are meant.
        start: the model's state.
        arguments: the model's, (positional, by name).
        inputs: as the caller has them, for the mask.
        labels: for the loss.
    """

    def __init__(self, objective, start, arguments, inputs, labels):
        self.arguments, self.labels, self.size = arguments, labels, size_of(arguments)
        self.mask = find_mask(objective.mask, inputs, arguments)
        self.begin(objective, start)
        if not self.one:
            check_rows_are_samples(arguments, labels)

    def begin(self, objective, start):
        self.model, self.sites, self.reader = objective.module, objective.sites, objective.reader
        self.one, self.is_first = objective.one_vector, objective.calls == 0
        self.stream = Replicas(objective.model)
        self.replicas = self.stream if objective.replicas == "all" else Alone()
        self.passes, self.vectors = Passes(self.model, start), None
        self.shared = Shared(inputs=self.arguments, labels=self.labels)

    # Passes.

    def run(self, read, rows=None, *, watched=False, measured=False, **options):
        """One pass: what `read` makes of the model's outputs, and what was added where."""
        parts = [None] * len(self.sites) if rows is None else self.vectors.parts(rows)
        shifts = [Shift(site, r, watched=watched, measured=measured) for site, r in zip(self.sites, parts, strict=True)]
        with self.passes.begin(shifts, **options):
            arguments = self.arguments
            for shift in shifts:
                if isinstance(shift.site, Input):
                    arguments = shift.site.replace(arguments, shift)
                    self.shared.check_perturbed(shift.site, self.arguments)
            with within(False):
                outputs = self.model(*arguments[0], **arguments[1])
            self.reader.look_into(outputs)
            result = read(outputs)
        self.shared.check()
        for shift in shifts:
            shift.site.check_reached(shift)
        self.look_at(shifts)
        return result, shifts

    def look_at(self, shifts):
        """After the first pass the shapes of what is perturbed are known."""
        if self.vectors is None and all(shift.shape is not None for shift in shifts):
            self.vectors = self.as_vectors([(shift.shape, shift.like) for shift in shifts])

    def losses(self, rows=None, **options):
        """A pass and its losses."""
        return self.run(self.read_losses, rows, **options)

    def logits(self, rows=None, **options):
        """A pass and its logits."""
        return self.run(lambda outputs: self.reader.logits(outputs, self.size), rows, **options)

    def logits_and_losses(self, **options):
        """The clean pass of virtual adversarial training; no losses where there is no loss."""

        def read(outputs):
            logits = self.reader.logits(outputs, self.size)
            return logits, None if self.reader.loss is None else self.read_losses(outputs)

        return self.run(read, **options)

    def read_losses(self, outputs):
        return self.reader.losses(outputs, self.labels, self.size, self.mask)

    def slopes(self, direction):
        """A pass with its losses and their derivatives along a direction, in forward mode."""

        def losses(rows):
            found, _ = self.losses(rows, traced=rows)
            return torch.cat([found.value[None], found.rows])

        found, along = jvp(losses, torch.zeros_like(direction), direction, lasting=True)
        return Losses(found[0], found[1:]), Losses(along[0], along[1:])

    def see_clean(self):
        """A pass that is not differentiated: statistics see the clean batch, and what is perturbed shows its shape."""
        with torch.no_grad():
            self.run(lambda outputs: None)

    # Gradients and vectors.

    def gradient(self, total, shifts, **options):
        """The gradient of a sum of losses in what the pass watched, as rows. No `.grad` is touched."""
        return self.vectors.rows(self.gradient_parts(total, shifts, **options))

    def pull(self, outputs, shifts, cotangents, *, create_graph=False):
        """∇⟨outputs, cotangents⟩ in what the pass watched, as rows of this replica alone, and not looked at."""
        leaves = [shift.leaf for shift in shifts]
        parts = torch.autograd.grad(
            outputs, leaves, cotangents, create_graph=create_graph, retain_graph=True, allow_unused=True
        )
        return self.vectors.flat([self.dense(part, shift.site) for part, shift in zip(parts, shifts, strict=True)])

    def gradient_parts(self, total, shifts, **options):
        for shift in shifts:
            shift.site.check_reached(shift, once=True)
        found = [None] * len(shifts)
        if total.requires_grad:
            found = self.differentiate(total, [shift.leaf for shift in shifts], **options)
        return [self.checked(part, shift.site) for part, shift in zip(found, shifts, strict=True)]

    def differentiate(self, total, leaves, **options):
        """The gradients of a loss; in float16 of one that is scaled so that they neither vanish nor overflow."""
        if not (self.reader.in_half() or any(leaf.dtype == torch.float16 for leaf in leaves)):
            return torch.autograd.grad(total, leaves, allow_unused=True, **options)
        options["retain_graph"] = True
        for scale in SCALES:
            scaled = torch.full_like(total, scale)
            found = torch.autograd.grad(total, leaves, scaled, allow_unused=True, **options)
            if all(part is None or finite(part.detach()) is not False for part in found):
                break
        return [None if part is None else part.float() / scale for part in found]

    def dense(self, part, site):
        """A gradient that there is, is dense, and has a row a sample where it must."""
        if part is None:
            raise RuntimeError(f"target: the loss does not depend on {site}, expected a gradient. Is it used?")
        if not self.one and len(part) != self.size:
            raise ValueError(
                f"target: got shape {tuple(part.shape)} for {site}, expected ({self.size}, *S), a row a sample"
            )
        return part.to_dense() if part.is_sparse else part  # adds up what repeated tokens get

    def checked(self, part, site):
        """The same, looked at."""
        return self.looked_at(self.dense(part, site), site)

    def looked_at(self, part, site):
        """Refuse numbers that are not finite, but where a loss scaler is to see them."""
        if finite(part.detach()) is False:
            if not self.reader.in_half():
                raise ValueError(f"loss: got NaN or infinity in its gradient at {site}, expected finite numbers")
            part = torch.nan_to_num(part, 0.0, 0.0, 0.0)  # no attack: the scaler is to see what a plain step shows
        return part

    def prepare(self):
        """Whether the vectors are known before the first pass, as a random start asks for."""
        known = [self.known(site) for site in self.sites]
        if all(one is not None for one in known):
            self.vectors = self.as_vectors(known)
        return self.vectors is not None

    def known(self, site):
        """The shape of what is at a site, and a tensor of its kind; None for what only a pass can tell."""
        if isinstance(site, Table):
            part = next(site.module.parameters()).detach()  # not the table, which may be computed
            shape = torch.Size((site.module.num_embeddings, site.module.embedding_dim))
            return shape, (part.to_local() if is_sharded(part) else part).new_empty(0)
        if not isinstance(site, Input):
            return None
        _, leaf = site.find(self.arguments)
        site.check_values(leaf)
        return leaf.shape, leaf.detach().new_empty(0)

    def as_vectors(self, known):
        shapes = [shape for shape, _ in known]
        tables = isinstance(self.sites[0], Table)
        masks = [None if tables else fit_mask(self.mask, shape, like) for shape, like in known]
        like = torch.cat([like for _, like in known])
        return Vectors(shapes, masks, like, one=self.one, tables=tables, stream=self.stream, replicas=self.replicas)

    def inside(self, rows, bounds):
        """Shorten r until x + r is within the bounds."""
        parts = []
        for site, r in zip(self.sites, self.vectors.parts(rows), strict=True):
            x = site.find(self.arguments)[1].detach()
            lowest, highest = span(x)
            if lowest < bounds[0] or highest > bounds[1]:
                raise ValueError(
                    f"inputs: got values from {lowest:.4g} to {highest:.4g}, expected them within the bounds {bounds}"
                )
            parts.append(torch.clamp(x + r, *bounds) - x)
        return self.vectors.rows(parts)


class Shared:
    """Tensors of the caller that all passes read: a model is to leave them as they are.

    Writing the same numbers once more does no harm, as when padding is marked in the labels.
    """

    def __init__(self, **trees):
        every = [(name, leaf) for name, tree in trees.items() for _, leaf in leaves(tree)]
        self.found = [(name, leaf) for name, leaf in every if not leaf.is_inference()]  # those count no versions
        self.first = self.versions = self.read_versions()
        self.numbers = []

    def read_versions(self):
        return [leaf._version for _, leaf in self.found]

    def check(self):
        """After a pass: refuse numbers that are others than after the pass before."""
        now = self.read_versions()
        if now == self.versions:
            return
        for (name, leaf), before in zip(self.found, self.numbers, strict=False):  # none were kept before the first
            if not torch.equal(leaf, before):
                refuse_changed(name)
        self.versions, self.numbers = now, [leaf.detach().clone() for _, leaf in self.found]

    def check_perturbed(self, site, arguments):
        """Before a pass at x + r: refuse an x that a pass has changed, since those at x + r change the sum."""
        if self.numbers:
            x = site.find(arguments)[1]
            before = next(version for (_, leaf), version in zip(self.found, self.first, strict=True) if leaf is x)
            if x._version != before:
                refuse_changed("inputs")


def refuse_changed(name):
    raise RuntimeError(
        f"{name}: got some that the model or the loss changes in place, which are others in each pass then; expected"
        " them left alone, as by x = x - mean in the place of x -= mean"
    )


def check_rows_are_samples(arguments, labels):
    """Refuse batches whose rows evidently are time steps, each of which would have a norm of its own."""
    if any(isinstance(part, PackedSequence) for part in (*arguments[0], *arguments[1].values())):
        raise TypeError(
            "inputs: got a PackedSequence, whose rows are time steps, expected samples, each with one norm. Perturb the"
            ' padded tensor (B, T, ...) under a mask and pack it in the model, or take one norm: scope="tensor"'
        )
    shape = next(leaf.shape for _, leaf in leaves(arguments))
    if isinstance(labels, torch.Tensor) and labels.dim() == 1 and 1 != shape[0] != len(labels) == shape[1:2].numel():
        raise ValueError(
            f"inputs: got shape {tuple(shape)} beside {len(labels)} labels, expected samples first,"
            f" ({len(labels)}, ...): each row has a norm of its own. Recurrent layers take them so with"
            ' batch_first=True; or take one norm: scope="tensor"'
        )


def arguments_of(inputs):
    """Inputs as a model's arguments: a tuple by position, a mapping by name, anything else as the only one."""
    if isinstance(inputs, tuple) and not hasattr(inputs, "_fields"):
        return inputs, {}
    if hasattr(inputs, "keys") and hasattr(inputs, "items"):
        return (), dict(inputs.items())
    return (inputs,), {}


def size_of(arguments):
    """How many samples there are: as many as the first tensor has rows."""
    first = next((leaf for _, leaf in leaves(arguments)), None)
    if first is None:
        came = ", ".join(type(part).__name__ for part in (*arguments[0], *arguments[1].values())) or "nothing"
        raise TypeError(f"inputs: got {came}, expected a tensor, a tuple or a dict of tensors")
    if first.dim() == 0 or len(first) == 0:
        raise ValueError(f"inputs: got shape {tuple(first.shape)}, expected at least one sample")
    return len(first)


def find_mask(mask, inputs, arguments):
    """The padding mask (B, T) that a key, a position or a function of the batch stands for."""
    if mask is None:
        return None
    found = mask(inputs) if callable(mask) else inputs[mask]
    if not isinstance(found, torch.Tensor):
        raise TypeError(f"mask: got a {type(found).__name__}, expected a tensor (B, T)")
    return found.to(next(leaf for _, leaf in leaves(arguments)).device)


def fit_mask(mask, shape, like):
    """A mask (B, T) over what is perturbed, (B, T, *S)."""
    if mask is None:
        return None
    if tuple(mask.shape) != tuple(shape[: mask.dim()]):
        raise ValueError(
            f"mask: got shape {tuple(mask.shape)}, expected {tuple(shape[:2])}, as what is perturbed has positions"
        )
    return (mask != 0).to(like.dtype).reshape(*mask.shape, *[1] * (len(shape) - mask.dim()))
