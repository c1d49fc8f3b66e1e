"""Regularised training of an `nn.Module`: a step function that stands where the usual training step stood.

Every pass computes with x + r at one site: the model's first input (a forward pre-hook), a module's output (a forward
hook) or an embedding's table (in place, put back from a copy). An attack is the gradient with respect to r.

The first pass of a step is the clean one: it alone moves buffers and the random state. Later passes draw what it drew.
"""

import contextlib
import inspect

import torch

import impls.torch as bridge
from impls import checks
from impls.checks import checked
from impls.contract import training as contract
from impls.contract.types import SEED
from impls.torch import finite
from impls.torch.losses import entropy, kl_divergence
from impls.torch.norms import l2_norm, steepest, unit
from impls.torch.sampling import gaussian


@checked
def adversarial_training(
    model, optimizer, loss, target=None, *, radius, norm="l2", scope="sample", clean_weight=0.0, where="table"
):
    """A training step on (1-α)·loss(x + r) + α·loss(x), r by the fast gradient method (`fgm`, `perturb_table`).

        step = adversarial_training(model, optimizer, loss, "embedding", radius=0.5)
        for tokens, labels in batches:
            step(tokens, labels)  # instead of zero_grad, backward, optimizer.step

    Args:
        model: any nn.Module; with target None or a table it may be compiled.
        optimizer: any torch.optim.Optimizer; it is given a closure.
        loss: outputs of the model, labels -> (B,), one loss a sample: nn.CrossEntropyLoss(reduction="none").
        target: what is perturbed: None, the model's first input (B, *S); a module's name or the end of one.
        radius: of the perturbation, ≥ 0, in units of what is perturbed. 0 trains bit for bit as without.
        norm: of the perturbation.
        scope: one norm a sample or for the tensor; a table always has one.
        clean_weight: α in [0, 1]. 0: the perturbed loss alone, as the usual snippet has it.
        where: what a name stands for: the "table" of an nn.Embedding (V, D) or the module's "output" (B, *S), whose
            padding is perturbed like the rest. Ignored with target None.

    Returns:
        step(inputs, labels) -> the mean objective, detached. `inputs` is a tensor or a tuple of positional arguments.
        If it raises, parameters, buffers, flags, hooks and random state are what they were; gradients too, unless the
        backward pass itself fails. What an optimiser did between evaluations (LBFGS) stays.

    Raises:
        TypeError, ValueError: an argument is wrong: its name, what came, what was expected.
        RuntimeError: gradients are switched off, the table is frozen, or the perturbation does not reach the loss.

    Cost: 5 passes, floor 5/3 plain steps (with a clean weight 6, floor 2).
    """
    site = _site(model, target, where, scope)

    def evaluate(inputs, labels, number):
        start = _State(model)
        share = clean_weight if radius else 0  # at radius 0 the two losses are one, and mixing them would round
        trained = _trained(model, optimizer) if share else []
        with _frozen(model, site, but=trained), site.add(differentiate=True):
            clean = _losses(loss(model(*inputs), labels), len(inputs[0]))
            gradient, clean_gradients = _gradients(site, clean, trained)  # one backward pass for both
        r = radius * steepest(gradient, norm=norm, scope=site.scope)
        with _again(model, start), site.add(r):
            adversarial = _losses(loss(model(*inputs), labels), len(inputs[0]))
            site.check_reached()
            objective = (1 - share) * adversarial.mean()
            optimizer.zero_grad()
            objective.backward()
        for parameter, gradient in zip(trained, clean_gradients, strict=True):
            _accumulate(parameter, gradient, share / len(clean))
        return (objective + share * clean.mean()).detach()

    return _step(model, optimizer, site, evaluate)


@checked
def gradient_penalty_training(model, optimizer, loss, target=None, *, weight, norm="l2_squared", where="table"):
    """A training step on loss(x) + weight·‖∇ₓloss‖ (`input_gradient_penalty`); for a table, ‖∇ of the mean loss‖.

    Args:
        model, optimizer, loss, target, where: as for `adversarial_training`; the model must be twice differentiable,
            which a compiled one and a sparse table are not.
        weight: λ ≥ 0. FGM of radius ε and norm "raw", "l2", "linf" is λ = ½ε with "l2_squared", ε with "l2", ε with
            "l1".
        norm: of the gradient.

    Returns and raises as `adversarial_training`.

    Cost: 6 passes, floor 2 plain steps.
    """
    site = _site(model, target, where)
    table = isinstance(site, _Table)

    def evaluate(inputs, labels, number):
        _check_twice_differentiable(model, site)
        with site.add(differentiate=True):
            losses = _losses(loss(model(*inputs), labels), len(inputs[0]))
            gradient, _ = _gradients(site, losses / len(losses) if table else losses, create_graph=True)
            penalty = _norms(gradient[None] if table else gradient, norm)  # (B,), a table's (1,)
            objective = losses.mean() + weight * penalty.mean()
            optimizer.zero_grad()
            objective.backward()
        return objective.detach()

    return _step(model, optimizer, site, evaluate)


def _norms(gradient, norm):  # (B, *S) -> (B,), as in `input_gradient_penalty`
    if norm == "l2":
        return l2_norm(gradient)
    rows = gradient.reshape(len(gradient), -1)
    return (rows.square() if norm == "l2_squared" else rows.abs()).sum(1)


@checked
def virtual_adversarial_training(
    model,
    optimizer,
    loss,
    target=None,
    *,
    radius,
    weight=1.0,
    xi=0.01,
    steps=1,
    entropy_weight=0.0,
    where="output",
    seed=0,
):
    """A training step on loss(x) + weight·(KL(p(x)‖p(x+r)) + entropy_weight·H(p(x))) (`vat_loss`).

    Args:
        model, optimizer, loss, target, where: as for `adversarial_training`; the model's outputs are logits (B, C).
        radius: of the perturbation, ≥ 0; a table's is one vector.
        weight: of the regulariser, ≥ 0.
        xi: step of the finite difference, > 0, in units of what is perturbed.
        steps: power iterations, ≥ 1.
        entropy_weight: of the clean predictions' entropy, ≥ 0.
        seed: of the random starts: step n begins with `gaussian((seed + n) % 2**32)`. No global state is touched.

    Returns and raises as `adversarial_training`.

    Cost: 8 passes, floor 8/3 plain steps.
    """
    checks.check_count("seed", seed, SEED)
    site = _site(model, target, where)

    def divergence(clean, inputs):
        values = kl_divergence(clean, model(*inputs))  # (B,)
        site.check_reached()
        return _losses(values, len(clean), "what the model returned")

    def evaluate(inputs, labels, number):
        start = _State(model)
        with site.add():
            logits = _logits(model(*inputs), len(inputs[0]))
        site.check_reached()
        losses, clean = _losses(loss(logits, labels), len(logits)), logits.detach()
        direction = unit(gaussian((seed + number) % 2**32, site.r.shape, like=site.r), scope=site.scope)
        for _ in range(steps):  # the gradient at r = 0 is 0, so the gradient at ξd is ξHd + O(ξ²)
            with _again(model, start), _frozen(model, site), site.add(xi * direction, differentiate=True):
                gradient, _ = _gradients(site, divergence(clean, inputs))
                direction = unit(gradient, scope=site.scope)
        with _again(model, start), site.add(radius * direction):
            smoothness = weight * divergence(clean, inputs).mean()
            optimizer.zero_grad()
            smoothness.backward()
        if entropy_weight:
            losses = losses + weight * entropy_weight * entropy(logits)
        losses.mean().backward()  # after the table is back: the clean graph may have saved it
        return (losses.mean() + smoothness).detach()

    return _step(model, optimizer, site, evaluate)


@contextlib.contextmanager
def perturbed(model, losses, target=None, *, radius, norm="l2", scope="sample", where="table"):
    """Within the block the model computes with x + r, r by the fast gradient method; for a training loop of your own.

        with perturbed(model, lambda: loss(model(tokens), labels), "embedding", radius=0.5):
            loss(model(tokens), labels).mean().backward()

    Forward and backward passes on the perturbation belong in the block. They see the dropout masks that `losses` saw;
    afterwards parameters, buffers and random state are as `losses` left them, and if the block raises as they were
    before.

    Args:
        model, target, radius, norm, scope, where: as for `adversarial_training`.
        losses: () -> (B,), runs the model on the clean batch once and returns one loss a sample.

    Raises as `adversarial_training`; also RuntimeError where no pass in the block reached what is perturbed.
    """
    _check_options(contract.adversarial_training, radius=radius, norm=norm, scope=scope)
    site = _site(model, target, where, scope)
    _check_gradients_on()
    site.check()
    with _undone_on_failure(model):
        start = _State(model)
        with _frozen(model, site), site.add(differentiate=True):
            gradient, _ = _gradients(site, _losses(losses(), None, "losses"))
        r = radius * steepest(gradient, norm=norm, scope=site.scope)
        with _again(model, start), site.add(r):
            yield
            site.check_reached()
    if isinstance(site, _Table):
        torch.autograd.graph.increment_version(site.r)  # a backward pass from here on is an error, not a wrong gradient


def _step(model, optimizer, site, evaluate):
    """The step function; evaluate(inputs, labels, number of the step) goes backward and returns the objective."""
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(f"optimizer: got a {type(optimizer).__name__}, expected a torch.optim.Optimizer")
    taken = 0

    def step(inputs, labels):
        nonlocal taken
        inputs = _batch(inputs)
        _check_gradients_on()
        site.check()
        with _undone_on_failure(model):
            objective = optimizer.step(torch.enable_grad()(lambda: evaluate(inputs, labels, taken)))
        taken += 1
        return objective

    return step


def _gradients(site, losses, parameters=(), **options):
    """The gradients of Σlosses: of r, dense, and of parameters. No `.grad` is touched."""
    site.check_reached(once=True)
    gradient, rest = None, []
    if losses.requires_grad:
        gradient, *rest = torch.autograd.grad(losses.sum(), [site.r, *parameters], allow_unused=True, **options)
    if gradient is None:
        raise RuntimeError(f"target: the loss does not depend on {site}, expected a gradient. Is it used?")
    if site.scope == "sample" and len(gradient) != len(losses):
        raise ValueError(
            f"target: got shape {tuple(gradient.shape)} for {site}, expected ({len(losses)}, *S), a row a sample"
        )
    if gradient.is_sparse:
        gradient = gradient.to_dense()  # adds up what repeated tokens get
    if finite(gradient) is False:
        raise ValueError(f"loss: got NaN or infinity in its gradient at {site}, expected finite numbers")
    return gradient, rest


def _trained(model, optimizer):
    """Parameters that a backward pass gives gradients to."""
    every = [*model.parameters(), *(parameter for group in optimizer.param_groups for parameter in group["params"])]
    return [parameter for parameter in dict.fromkeys(every) if parameter.requires_grad]


def _accumulate(parameter, gradient, factor):
    if gradient is not None:
        gradient = factor * gradient
        parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


class _Activation:
    """A tensor on its way through the model, the model's first input or a module's output, and what is added to it."""

    def __init__(self, model, name, module, scope):
        self.model, self.name, self.module, self.scope = model, name, module, scope
        self.r = None

    def __str__(self):
        return f"the output of {self.name!r}" if self.name else "the model's first input"

    def check(self):
        """Dynamo does not look for new hooks inside what it compiled."""
        compiled = _compiled(self.model)
        if self.name and any(self.module in part.modules() for part in compiled if part is not self.module):
            raise RuntimeError(
                f"target: {self} is inside a compiled model, where hooks are not seen; expected the module itself."
                " A compiled model's input and tables can be perturbed"
            )
        self.compiled = bool(compiled)

    @contextlib.contextmanager
    def add(self, r=None, *, differentiate=False):
        """Within, the model computes with x + r, r = 0 if there is none."""
        self.r, self.differentiate, self.calls = r, differentiate, 0
        if r is not None:
            r.requires_grad_(differentiate)
        add = self._add_to_output if self.name else self._add_to_input
        if self.compiled:
            add = torch.compiler.disable(add)
        if self.name:
            hook = self.module.register_forward_hook(add)
        else:
            hook = self.module.register_forward_pre_hook(add, prepend=True)
        try:
            yield
        finally:
            hook.remove()

    def _add_to_output(self, module, args, output):
        return self._shifted(output)

    def _add_to_input(self, module, args):
        return (self._shifted(args[0] if args else None), *args[1:])

    def _shifted(self, x):
        if self.r is None:
            self._check_values(x)
            self.r = torch.zeros_like(x, requires_grad=self.differentiate)
        if (shape := getattr(x, "shape", None)) != self.r.shape:
            raise ValueError(f"target: got shape {shape} for {self}, expected {self.r.shape} as in the clean pass")
        self.calls += 1
        shifted = x + self.r  # a new tensor: what follows may work in place
        if self.compiled and self.differentiate and not self.name:
            self.r = shifted = shifted.detach().requires_grad_()  # Dynamo asks for a .grad, which only leaves have
        return shifted

    def _check_values(self, x):
        if not isinstance(x, torch.Tensor):
            raise TypeError(f"target: got a {type(x).__name__} for {self}, expected a tensor, passed by position")
        if not x.is_floating_point():
            raise TypeError(
                f"target: got {x.dtype} for {self}, expected floating point. For tokens name the embedding to"
                ' perturb, as in target="embedding"'
            )
        if x.dim() == 0 or len(x) == 0:
            raise ValueError(f"target: got shape {tuple(x.shape)} for {self}, expected (B, *S), at least one sample")
        if finite(x) is False:
            raise ValueError(f"target: got NaN or infinity in {self}, expected finite numbers")

    def check_reached(self, *, once=False):
        """A perturbation that is computed and never applied would go unnoticed."""
        if self.calls == 0:
            raise RuntimeError(
                f"target: {self} was computed 0 times, expected once. Is the module called, and not compiled from"
                " outside?"
            )
        if once and self.calls > 1:
            raise RuntimeError(f"target: {self} was computed {self.calls} times in one pass, expected once")


class _Table:
    """An embedding's table, and what is added to it."""

    scope = "tensor"

    def __init__(self, name, module):
        self.name, self.module = name, module

    def __str__(self):
        return f"the table of {self.name!r}"

    @property
    def r(self):
        """∂/∂r is ∂/∂table."""
        return self.module.weight

    def check(self):
        if not self.r.requires_grad:
            raise RuntimeError(
                f"target: {self} is frozen (requires_grad=False), expected one that is trained. Perturb its output"
                ' instead: where="output"'
            )

    @contextlib.contextmanager
    def add(self, r=None, *, differentiate=False):
        """Within, the table is table + r. Through `.data`: a graph that saved the table before goes on after."""
        if r is None:
            yield
            return
        kept = self.r.detach().clone()
        self.r.data.add_(r)
        try:
            yield
        finally:
            self.r.data.copy_(kept)  # bit for bit: subtracting would round

    def check_reached(self, *, once=False):
        """Every pass that reads the table reads table + r; one that does not has no gradient."""


def _site(model, target, where, scope="sample"):
    """Where r is added."""
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model: got a {type(model).__name__}, expected a torch.nn.Module")
    if where not in ("table", "output"):
        raise ValueError(f"where: got {where!r}, expected one of 'table', 'output'")
    if target is None:
        return _Activation(model, "", model, scope)
    kind = torch.nn.Embedding if where == "table" else torch.nn.Module
    name, module = _named(model, target, kind)
    return _Table(name, module) if where == "table" else _Activation(model, name, module, scope)


def _named(model, target, kind):
    """The one module of a kind that a name, or the end of one, stands for."""
    parts = model.named_modules(remove_duplicate=False)
    there = {
        name.replace("_orig_mod.", ""): part for name, part in parts if part is not model and isinstance(part, kind)
    }
    found = [name for name in there if f".{name}".endswith(f".{target}")]
    if target in there or len({there[name] for name in found}) == 1:
        name = target if target in there else found[0]
        return name, there[name]
    wanted = "an embedding's name" if kind is torch.nn.Embedding else "a module's name"
    if found:
        raise ValueError(f"target: got {target!r}, which fits {' and '.join(found)}; expected {wanted} that fits one")
    raise ValueError(f"target: got {target!r}, expected {wanted}: {', '.join(there) or 'but the model has none'}")


class _State:
    """A model's buffers and the random state of its devices at one moment."""

    def __init__(self, model):
        devices = {parameter.device for parameter in model.parameters() if parameter.is_cuda}
        self.cpu, self.cuda = torch.get_rng_state(), {device: torch.cuda.get_rng_state(device) for device in devices}
        self.buffers = [
            (module._buffers, name, buffer, None if buffer is None else buffer.detach().clone())
            for module in model.modules()
            for name, buffer in module._buffers.items()
        ]

    def rewind(self):
        """The random state alone."""
        torch.set_rng_state(self.cpu)
        for device, state in self.cuda.items():
            torch.cuda.set_rng_state(state, device)

    def restore(self):
        self.rewind()
        for owner, name, buffer, values in self.buffers:
            if buffer is not None:
                buffer.data.copy_(values)  # `.data`: graphs that saved the buffer are to go backward yet
            owner[name] = buffer


@contextlib.contextmanager
def _again(model, start):
    """Passes after the clean one: they draw what it drew, and leave buffers and random state as it left them."""
    end = _State(model)
    start.rewind()
    try:
        yield
    finally:
        end.restore()


@contextlib.contextmanager
def _undone_on_failure(model):
    before = _State(model)
    try:
        yield
    except BaseException:
        before.restore()
        raise


@contextlib.contextmanager
def _frozen(model, site, but=()):
    """Only the site is differentiated, so that a backward pass costs what it must; a compiled one, too."""
    flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    kept = {site.r, *but}
    try:
        for parameter, _ in flags:
            parameter.requires_grad_(parameter in kept)
        yield
    finally:
        for parameter, flag in flags:
            parameter.requires_grad_(flag)


def _compiled(model):
    """Modules that are compiled, and in which new hooks and second derivatives do not work."""
    return [part for part in model.modules() if "_orig_mod" in part._modules or part._compiled_call_impl is not None]


def _check_twice_differentiable(model, site):
    if _compiled(model):
        raise RuntimeError(
            "model: got a compiled one, which cannot be differentiated twice; expected the module itself"
        )
    if isinstance(site, _Table) and site.module.sparse:
        raise RuntimeError(
            f"target: {site} has sparse gradients, which cannot be differentiated twice; expected"
            ' sparse=False, or its output: where="output"'
        )


def _check_gradients_on():
    if not torch.is_grad_enabled():
        raise RuntimeError("gradients are off (torch.no_grad or inference_mode), expected them on: training needs them")


def _check_options(stub, **options):
    """What `@checked` does, for a function that is in no contract."""
    for name, value in options.items():
        annotation = inspect.signature(stub).parameters[name].annotation
        checks.Call({}, bridge).check(name, value, checks.rule(annotation))


def _batch(inputs):
    """Inputs as a tuple, the first of which holds a batch."""
    inputs = inputs if isinstance(inputs, tuple) else (inputs,)
    if not inputs or not isinstance(inputs[0], torch.Tensor):
        came = type(inputs[0]).__name__ if inputs else "empty tuple"
        raise TypeError(f"inputs: got a {came}, expected a tensor or a tuple of tensors")
    if inputs[0].dim() == 0 or len(inputs[0]) == 0:
        raise ValueError(f"inputs: got shape {tuple(inputs[0].shape)}, expected at least one sample")
    if any(isinstance(part, torch.Tensor) and part.requires_grad for part in inputs):
        raise ValueError(
            "inputs: got a tensor that requires a gradient, expected data. Detach it, or make what computes it part of"
            " the model"
        )
    return inputs


def _losses(values, batch, name="loss"):
    """The losses, if there is one a sample and all are finite."""
    if not isinstance(values, torch.Tensor):
        raise TypeError(f"{name}: got a {type(values).__name__}, expected a tensor (B,)")
    if values.dim() != 1 or len(values) != (batch or max(1, len(values))):
        raise ValueError(
            f"{name}: got shape {tuple(values.shape)}, expected ({batch or 'B'},): one loss a sample, not reduced over"
            ' the batch. PyTorch\'s own do this with reduction="none"'
        )
    if finite(values) is False:
        raise ValueError(f"{name}: got NaN or infinity, expected finite numbers")
    return values


def _logits(outputs, batch):
    """The model's outputs, if they can be logits."""
    shape = tuple(outputs.shape) if isinstance(outputs, torch.Tensor) else type(outputs).__name__
    if not isinstance(shape, tuple) or len(shape) != 2 or shape[0] != batch:
        raise ValueError(f"model: got outputs {shape}, expected logits ({batch}, C)")
    checks.check_classes("model", outputs)
    return outputs
