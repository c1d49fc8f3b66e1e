"""PyTorch: an `nn.Module`, with tensors, tuples or dicts for inputs and tensors or Hugging Face's outputs."""

import contextlib
import functools
import itertools

import torch
from torch.func import functional_call

from equivalence.own_models import (
    PROBABILITIES,
    Place,
    Problem,
    are_probabilities,
    coarsest,
    one_line,
    speak_of_classes,
)
from equivalence.own_models import torch_parts as parts
from equivalence.own_models import torch_steps as steps
from equivalence.own_models.torch_saved import read_saved
from equivalence.protocol import Complaint
from impls.torch.batches import arguments_of, size_of
from impls.torch.outcomes import Reader, dtypes_within
from impls.torch.sites import leaves, replaced

SEED = 0
WIDEST = 100_000  # numbers that an output may have in a sample to be worth a place of its own
MOST = 4  # outputs of blocks that are offered as places beside embeddings


@contextlib.contextmanager
def surroundings(*, double):
    """In which the file is imported: nothing to prepare, since a module can be converted afterwards."""
    yield


def load(names, path, *, double):
    """The model of a file's `model`, `loss` and `batch`."""
    if not isinstance(names.model, torch.nn.Module):
        raise Complaint(f"model is a {type(names.model).__name__}, expected a torch.nn.Module")
    if isinstance(names.model, torch.jit.ScriptModule):
        raise Complaint(
            "model is of TorchScript, which takes no other parameters than its own: give the module that it was made"
            " from, or a program of torch.export.save (.pt2)"
        )
    own = Own(names.model, getattr(names, "loss", None), names.batch, path)
    if double:
        own.widen()
    own.look()
    return own


def load_saved(path, *, double):
    """The model that a Hugging Face folder or an exported program is, on a batch that is made for it."""
    own = Own(*read_saved(path))
    if double:
        own.widen()
    own.look()
    return own


class Own:
    """A module with its loss and its batch."""

    framework, idiom = "torch", "a torch.nn.Module"

    def __init__(self, model, loss, batch, path=""):
        self.model, self.path, self.remarks = model, path, []
        self.inputs, self.labels = split(batch)
        self.given_loss = loss if loss is not None else own_loss
        self.loss = unreduced(self.given_loss)
        self.arguments = arguments_of(self.inputs)
        self.size = size_of(self.arguments)
        self.training, self.wide = model.training, False
        self.reader = Reader(self.loss)

    def widen(self):
        """Compute in float64; as it is where the model cannot."""
        if held := hold_power_iterations(self.model):
            self.remarks.append(
                f"a spectral norm's gradient holds the vectors of its power iteration fixed, by its definition; so they"
                f" are here: {listed(held)}"
            )
        before, data = (self.arguments, self.labels), stored(self.model, self.given_loss)
        self.arguments, self.labels = map(in_float64, before)
        try:
            for module in modules_of(self.model, self.given_loss):
                module.double()
            self.read(self.outputs(self.parameters()))
            self.wide = True
        except Exception as error:
            self.arguments, self.labels = before
            restore(data, self.model, self.given_loss)
            self.remarks.append(f"no float64 copy of it runs ({one_line(error):.200}): it is looked at as it is")

    def look(self):
        """Run it once; whatever is wrong is said before anything is measured."""
        try:
            params = {name: value.requires_grad_() for name, value in self.parameters().items()}
            outputs = self.outputs(params)
            found = self.read(outputs)
        except Exception as error:
            raise Complaint(
                f"model, loss and batch do not fit together: {one_line(error):.300}{line(error, self.path)}"
            ) from None
        if not found.value.requires_grad:
            raise Complaint("the loss depends on no parameter that is trained: expected one with requires_grad=True")
        self.one_number = found.rows is None
        self.dtype = coarsest(map(name_of, {found.value.dtype, *dtypes_within([found.value.grad_fn])}))
        if self.wide and self.dtype != "float64":
            self.remarks.append(f"it computes in {self.dtype} inside, also as a float64 copy")
        self.probable = self.gives_probabilities(outputs)
        if self.probable:
            self.remarks.append(PROBABILITIES)
        if fixed := [name for name, value in self.model.named_parameters() if value.is_complex()]:
            self.remarks.append(f"derivatives in complex parameters are not looked at: {', '.join(fixed)}")

    def gives_probabilities(self, outputs):
        """Whether outputs are what a softmax or, by PyTorch's own loss for it, a sigmoid has made of logits."""
        try:
            tensor = self.reader.tensor(outputs).detach()
        except TypeError:
            return False
        return isinstance(self.given_loss, torch.nn.BCELoss) or are_probabilities(tensor.float().numpy())

    # Passes.

    def parameters(self):
        trained = ((name, value) for name, value in self.model.named_parameters() if value.requires_grad)
        return {name: value.detach() for name, value in trained if value.is_floating_point()}

    def outputs(self, params, place=None, point=None, arguments=None):
        """A pass with other parameters and another point; buffers and random state begin as they are now."""
        arguments, hooks = arguments or self.arguments, contextlib.ExitStack()
        if place is not None and place.kind == "input":
            arguments = replaced(arguments, place.key, point)
        elif place is not None and place.kind == "table":
            params = {**params, place.key: point}
        elif place is not None:
            handle = place.key.register_forward_hook(lambda module, args, output: point)
            hooks.callback(handle.remove)
        with hooks, same_draws(), parts.without_checkpoints():
            return functional_call(self.model, {**params, **parts.fresh(self.model, point)}, *arguments, strict=False)

    def read(self, outputs, labels=None, size=None):
        return self.reader.losses(outputs, self.labels if labels is None else labels, size or self.size)

    def problem(self, place, *, by_sample=False):
        one = (self.one_number and not by_sample) or place.kind == "table"
        point = place.point[0] if self.one_number and not one else place.point

        def run(params, x):
            return self.outputs(params, place, x[0] if one else x)

        def losses(params, x):
            found = self.read(run(params, x))
            return found.value.reshape(1) if one else found.value.expand(self.size) if by_sample else found.rows

        def logits(params, x):
            return self.logits(run(params, x))

        try:
            shape = self.logits(run(self.parameters(), point)).shape
            fits = len(shape) == 2 and shape[0] == len(point) and self.classes(shape)
        except (TypeError, ValueError):
            fits = False
        return Problem(losses, self.parameters(), point, logits if fits else None)

    def logits(self, outputs):
        """Logits (B, C) or what the model returns for them; of one the pair that the sigmoid is the softmax of."""
        tensor = self.reader.tensor(outputs)
        if tensor.dim() == 1 or tensor.shape[1:] == (1,):
            one = tensor.reshape(-1)
            other = 1 - one if self.probable else torch.zeros_like(one)
            tensor = torch.stack([one, other], 1)
        return tensor.log() if self.probable else tensor

    def classes(self, shape):
        """Whether labels say which of the outputs' classes a sample is of; where there are none, the model knows."""
        labels = self.labels
        return not isinstance(labels, torch.Tensor) or speak_of_classes(labels.numpy(), tuple(shape))

    # Places.

    def places(self):
        floating = [(path, leaf) for path, leaf in leaves(self.arguments) if leaf.is_floating_point()]
        found = [self.input(path, leaf) for path, leaf in floating if leaf.dim() and len(leaf) == self.size]
        tables = self.embeddings()
        outputs = [place for name, module in (*tables, *self.blocks()) if (place := self.output(name, module))]
        ordered = outputs[: len(tables)] if not found else []
        ordered += found + [self.table(name, module) for name, module in tables]
        return ordered + [place for place in outputs if place not in ordered]

    def input(self, path, leaf):
        single = len(list(leaves(self.arguments))) == 1
        shape = " × ".join(map(str, leaf.shape[1:]))
        name = "" if single else ".".join(map(str, path[1:]))
        return Place(name, "input", self.rows(leaf), f"{name_of(leaf.dtype)}, {shape}", path)

    def rows(self, point):
        return (point[None] if self.one_number else point).detach()

    def embeddings(self):
        return [(name, part) for name, part in self.model.named_modules() if isinstance(part, torch.nn.Embedding)]

    def table(self, name, module):
        table = module.weight.detach()
        key = next((key for key, value in self.model.named_parameters() if value is module.weight), f"{name}.weight")
        size = f"Embedding, {module.num_embeddings} × {module.embedding_dim}"
        return Place(name, "table", table[None].clone(), size, key)

    def blocks(self):
        """Modules of the first levels, whose outputs may be perturbed as well."""
        near = [(name, part) for name, part in self.model.named_children()]
        while len(near) == 1:
            near = [(f"{near[0][0]}.{name}", part) for name, part in near[0][1].named_children()]
        return [(name, part) for name, part in near if not isinstance(part, torch.nn.Embedding)][:-1][:MOST]

    def output(self, name, module):
        """The place of a module's output; None where it is not one tensor of the samples, or comes more than once."""
        seen = []
        with contextlib.ExitStack() as stack:
            handle = module.register_forward_hook(lambda module, args, output: seen.append(output))
            stack.callback(handle.remove)
            self.outputs(self.parameters())
        good = len(seen) == 1 and isinstance(seen[0], torch.Tensor) and seen[0].is_floating_point()
        if not good or seen[0].dim() < 2 or len(seen[0]) != self.size or seen[0][0].numel() > WIDEST:
            return None
        shape = " × ".join(map(str, seen[0].shape[1:]))
        return Place(name, "output", self.rows(seen[0]), f"{type(module).__name__}, {shape}", module)

    # What else is asked.

    def parts(self):
        return parts.called(self.model, lambda: self.outputs(self.parameters()), self.read, self.path)

    def losses_of(self, rows):
        """The losses of some samples alone."""
        chosen = functools.partial(chosen_rows, rows=rows, size=self.size)
        outputs = self.outputs(self.parameters(), arguments=chosen(self.arguments))
        found = self.read(outputs, chosen(self.labels), len(rows))
        return (found.value.reshape(1) if self.one_number else found.rows).detach()

    def passes(self):
        """Two passes as training makes them: the same random state, whatever the model keeps left as it comes."""
        kept = dict(itertools.chain(self.model.named_parameters(), self.model.named_buffers()))
        before = {name: value.detach().clone() for name, value in kept.items()}
        found = []
        for _ in range(2):
            with same_draws(), torch.no_grad():
                found.append(self.read(self.model(*self.arguments[0], **self.arguments[1])))
        now = dict(itertools.chain(self.model.named_parameters(), self.model.named_buffers()))
        moved = {name: difference(value.detach(), before[name]) for name, value in now.items() if name in before}
        put_back(self.model, before)
        losses = [(each.value.reshape(1) if each.rows is None else each.rows).tolist() for each in found]
        return losses[0], losses[1], {name: size for name, size in moved.items() if size}

    def inputs_now(self):
        """The batch's inputs as the one-liners take them."""
        return self.inputs

    def random(self):
        """Whether another random state gives other losses: dropout, or noise."""
        found = []
        for seed in (1, 2):
            with same_draws(seed), torch.no_grad():
                state = {**self.parameters(), **parts.fresh(self.model, None)}
                found.append(self.read(functional_call(self.model, state, *self.arguments, strict=False)).value)
        return bool(found[0] != found[1])

    def steps(self, place, radius, weight, mode):
        return steps.steps(self, place, radius, weight, mode)

    def lines(self, place, radius, weight):
        return steps.lines(self, place, radius, weight)


# Reading a batch.


def split(batch):
    """Inputs and labels: a pair, or a mapping that has the labels among its own, as Hugging Face's has."""
    if isinstance(batch, (tuple, list)) and len(batch) == 2:
        return batch[0], batch[1]
    if hasattr(batch, "keys"):
        return batch, batch.get("labels")
    if isinstance(batch, torch.Tensor):
        return batch, None
    raise Complaint(
        f"batch is a {type(batch).__name__}, expected (inputs, labels), where inputs are a tensor, a tuple of"
        " positional arguments or a dict of named ones; or a dict with its labels in it"
    )


def own_loss(outputs, labels):
    """The loss that a model returns itself, as Hugging Face's do when labels are among the inputs."""
    if getattr(outputs, "loss", None) is None:
        raise Complaint(
            "defines no loss, and the model's outputs have none: expected loss(outputs, labels) -> one number a sample"
        )
    return outputs.loss


def unreduced(loss):
    """PyTorch's own losses with a number for each sample, which is what the methods go by."""
    if isinstance(loss, torch.nn.modules.loss._Loss) and loss.reduction != "none":
        loss.reduction = "none"
        each = loss

        def per_sample(outputs, labels):
            values = each(outputs if isinstance(outputs, torch.Tensor) else outputs.logits, labels)
            return values.flatten(1).mean(1) if values.dim() > 1 else values

        return per_sample
    return loss


def in_float64(tree):
    return mapped(tree, lambda leaf: leaf.double() if leaf.is_floating_point() else leaf)


def chosen_rows(tree, rows, size):
    """The rows of every tensor that has one a sample."""
    return mapped(tree, lambda leaf: leaf[rows] if leaf.dim() and len(leaf) == size else leaf)


def mapped(tree, change):
    """A tree of tuples, lists and mappings with its tensors changed."""
    if isinstance(tree, torch.Tensor):
        return change(tree)
    if hasattr(tree, "items"):
        return {key: mapped(part, change) for key, part in tree.items()}
    if isinstance(tree, (tuple, list)):
        return type(tree)(mapped(part, change) for part in tree)
    return tree


# Passes that can be repeated.


@contextlib.contextmanager
def same_draws(seed=SEED):
    """Every pass draws the same numbers, and none is missing afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def hold_power_iterations(model):
    """Stop the power iterations of spectral norms, which move with the weights and are no part of the gradient."""
    found = []
    for name, part in model.named_modules():
        hooked = any(type(hook).__name__ == "SpectralNorm" for hook in part._forward_pre_hooks.values())
        if part.training and (hooked or isinstance(part, torch.nn.utils.parametrizations._SpectralNorm)):
            part.eval()
            found.append(name)
    return found


def listed(names):
    return ", ".join(names[:MOST]) + (f" and {len(names) - MOST} more" if len(names) > MOST else "")


def put_back(model, values):
    """Give buffers and parameters the values that they had, also those that a pass has put others in the place of."""
    with torch.no_grad():
        for name, value in itertools.chain(model.named_parameters(), model.named_buffers()):
            if name in values:
                value.copy_(values[name])


def modules_of(model, loss):
    """The modules that hold numbers: the model, and a loss that is one, with the weights of its classes."""
    return [part for part in (model, loss) if isinstance(part, torch.nn.Module)]


def stored(*parts):
    """The arrays that parameters and buffers hold."""
    return [tensor.data for module in modules_of(*parts) for tensor in tensors_of(module)]


def restore(data, *parts):
    """Give parameters and buffers the very arrays again that they held: a narrow dtype is not that of all of them."""
    tensors = [tensor for module in modules_of(*parts) for tensor in tensors_of(module)]
    for tensor, held in zip(tensors, data, strict=True):
        tensor.data = held


def tensors_of(module):
    return [*module.parameters(), *module.buffers()]


def difference(now, before):
    """By how much a tensor has moved, in units of what it was."""
    if not now.numel():
        return 0.0
    wide = torch.complex128 if now.is_complex() else torch.float64
    now, before = now.to(wide), before.to(wide)
    largest = max(float(now.abs().max()), float(before.abs().max()))
    return float((now - before).abs().max()) / largest if largest else 0.0


def name_of(dtype):
    return str(dtype).removeprefix("torch.")


def line(error, path):
    """The line of the user's file that an error came through last."""
    numbers, trace = [], error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == path:
            numbers.append(trace.tb_lineno)
        trace = trace.tb_next
    return f" (line {numbers[-1]})" if numbers else ""
