"""Derivatives of closures, by whichever of PyTorch's two systems is right where a method is called.

`torch.autograd.grad` is right for closures over real modules: buffers may change in place, activations may be
checkpointed, hooks may run, and no `.grad` is touched. Within a transform of `torch.func`, or while Dynamo traces, no
tensor is a leaf, and only `torch.func` sees what is asked. All methods take their derivatives here.
"""

import contextlib

import torch
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import get_proxy_mode

from impls.torch.formulas import DualFormulas, Formulas, ModuleFormulas
from impls.torch.refusals import explained
from impls.torch.sparse import mend

# What a graph holds where a backward operation has no derivative: a later backward pass will raise there.
DEAD_ENDS = {"NotImplemented", "Error"} | {
    f"{name}BackwardBackward0" for name in ("Cdist", "CudnnRnn", "EmbeddingBag", "MiopenRnn", "Pdist")
}
# Operations whose higher derivatives are wrong, as nodes that formulas leave none of.
UNSEEN = {"NativeLayerNorm", "NativeBatchNorm", "CudnnBatchNorm", "MiopenBatchNorm", "LinalgDet", "LinalgSlogdet"}
SCRIPTED = "DifferentiableGraphBackward"  # of TorchScript, whatever it has in it
UNSEEN |= {"LinalgSolveEx", "LinalgHouseholderProduct", "Logcumsumexp", SCRIPTED}
WRONG_TWICE = {"WeightNormInterfaceBackward0"}  # backward operations whose own derivatives in reverse mode are wrong
WRONG_WHEN_MAPPED = {"CdistBackward0"}  # backward operations of which vmap computes something else


@explained
def vjp(function, x, *, transposed=False):
    """Outputs of the function, and pull(cotangent) -> ∇ₓ⟨outputs, cotangent⟩; pull(K of them, many=True) -> K.

    transposed: pull is going to be differentiated in the cotangent, by `transpose`.
    """
    if _transformed():
        outputs, pull = torch.func.vjp(_by_formulas(function), x)
        return outputs, _mapped(lambda cotangent: pull(cotangent)[0])
    outputs, watched = _record(function, x)
    lasting = torch.is_grad_enabled() and _reaches_beyond(outputs, watched)
    if lasting:
        _check_twice(outputs, watched)
    elif transposed:
        prepare_twice(outputs)
    return outputs if lasting else outputs.detach(), _pulling(outputs, watched, lasting)


@explained
def linearize(function, x, only=None):
    """Outputs, held fixed, push(v) -> Jv and pull(u) -> Jᵀu; only: the one vector v that is going to be pushed.

    Its Jv comes with the outputs, in forward mode, where there is one: fused recurrent layers, functions of one's own
    and others have none. They, several vectors, and a function of which autograd sees nothing are pushed by the
    transpose of pull; so is one that is traced, since a compiler leaves out what the transpose has too much.
    """
    if only is not None and not (_transformed() or being_traced()):
        try:
            outputs, along, pull = _dual_pass(function, _ordinary(x.detach()), only)
            return outputs, lambda _: along, pull
        except RuntimeError:  # what the function itself raises comes again below
            pass
    outputs, pull = vjp(function, x, transposed=True)
    return outputs, transpose(pull, outputs), pull


def transpose(pull, outputs):
    """Push(v) -> Jv from pull(u) -> Jᵀu, which is linear in u; it costs a backward pass, for all v."""
    pulled, push = vjp(pull, torch.zeros_like(outputs))
    return lambda vector: push(vector.to(pulled.dtype))


def _dual_pass(function, x, vector):
    watched = watch(x)
    # Checkpointed activations would be computed again without their tangents.
    hooks = torch.autograd.graph.disable_saved_tensors_hooks("saved tensors hooks")
    with torch.enable_grad(), forward_ad.dual_level(), DualFormulas(), hooks:
        outputs, change = forward_ad.unpack_dual(function(forward_ad.make_dual(watched.clone(), vector)))
    if SCRIPTED in map(_operation, _nodes(outputs)):
        raise RuntimeError("TorchScript drops derivatives in forward mode from its second call on")
    change = torch.zeros_like(outputs) if change is None else change
    return outputs.detach(), change.detach(), _pulling(outputs, watched, lasting=False)


@explained
def fixed_gradient(function, x, weigh, *, copy=True):
    """∇ₓ⟨function(x), w⟩ and w = weigh(function(x)), held fixed: no graph is made for them.

    A table's gradient may be sparse, and needs no copy of the table.
    """
    if _transformed():
        with torch.no_grad():
            outputs, pull = torch.func.vjp(_by_formulas(function), x)
            weights = weigh(outputs)
            return pull(weights)[0], weights
    outputs, watched = _record(function, x.detach(), copy)
    weights = weigh(outputs.detach())
    return _gradient(outputs, watched, weights, keep=False), weights


@explained
def hessian(loss, x):
    """Losses, and product(v) -> each sample's Hv, reverse over reverse; product(K of them, many=True) -> K.

    PyTorch's forward mode would multiply by the weights' zero tangents.
    """
    if _transformed():
        loss = _by_formulas(loss)

        def total(x):
            values = loss(x)
            return values.sum(), values  # rows of the batch do not mix

        _, pull, values = torch.func.vjp(torch.func.grad(total, has_aux=True), x, has_aux=True)
        return values, _mapped(lambda vector: pull(vector)[0])
    with Formulas() if torch.is_grad_enabled() else contextlib.nullcontext():  # Hv alone is right without
        values, watched = _record(loss, x)
    lasting = torch.is_grad_enabled() and _reaches_beyond(values, watched)
    _check_twice(values, watched)
    if lasting:
        _check_formulas(values)
    gradient = _gradient(values, watched, torch.ones_like(values), again=True)
    prepare_twice(gradient)
    return values if lasting else values.detach(), _pulling(gradient, watched, lasting)


@explained
def jvp(function, x, vector, *, lasting):
    """Outputs of the function, and their derivative along the vector, in forward mode; lasting: they have a graph.

    By torch.func everywhere: PyTorch's own dual numbers cannot be differentiated backwards through a softmax.
    """
    outputs, along = torch.func.jvp(_by_formulas(function), (_ordinary(x),), (_ordinary(vector),))
    if lasting and not outputs.requires_grad:  # TorchScript loses it
        raise RuntimeError("higher derivatives of the whole function are wrong")
    _check_formulas(outputs, along)
    return outputs, along


@explained
def second_along(loss, x, vectors):
    """vᵀHv of each sample for each of K vectors, (K, B), forward over forward; a dropout mask is drawn once for all."""
    loss, x = _by_formulas(loss), _ordinary(x)

    def form(v):
        return torch.func.jvp(lambda x: torch.func.jvp(loss, (x,), (v,))[1], (x,), (v,))[1]

    forms = torch.func.vmap(form, randomness="same")(vectors)
    _check_formulas(forms)
    return forms


@explained
def gradient_of_mean(loss, params):
    """∇θ of the mean of the losses, by name, differentiable again."""
    if _transformed():
        return torch.func.grad(lambda params: _by_formulas(loss)(params).mean())(params)
    again = torch.is_grad_enabled()
    with torch.enable_grad(), Formulas() if again else contextlib.nullcontext():
        watched = {name: watch(value) for name, value in params.items()}
        total = loss(watched).mean()
        found = gradients(total, watched.values(), again)
    _check_differentiable(*found)
    return dict(zip(params, found if again else [part.detach() for part in found], strict=True))


def prepare_twice(*results):
    """What stands behind results gets the derivatives of its backward pass that PyTorch leaves out."""
    mend(_nodes(*results))


def watch(tensor):
    """Give the same values a name of their own, so that only what is computed from this name has a gradient in it."""
    return tensor.view_as(tensor) if tensor.requires_grad else tensor.detach().requires_grad_()


def gradients(total, tensors, again, keep=False):
    """The gradients of a number in tensors that are watched, 0 where it does not depend on one."""
    tensors = tuple(tensors)
    if not total.requires_grad:
        return tuple(map(torch.zeros_like, tensors))
    return torch.autograd.grad(total, tensors, create_graph=again, retain_graph=again or keep, materialize_grads=True)


def _by_formulas(function):
    """The function as transforms of torch.func are to see it."""

    def computed(x):
        with ModuleFormulas(), torch.autograd.graph.disable_saved_tensors_hooks("saved tensors hooks"):
            return function(x.clone() if isinstance(x, torch.Tensor) else x)  # in place is allowed, as in `_record`

    return computed


def _transformed():
    """Whether autograd sees nothing here; it does not save arrays that inference mode made."""
    return (
        torch._C._functorch.peek_interpreter_stack() is not None
        or torch.compiler.is_dynamo_compiling()
        or torch.is_inference_mode_enabled()
    )


def being_traced():
    """Whether a graph is being made of what runs, in which numbers have no values."""
    return torch.compiler.is_compiling() or get_proxy_mode() is not None


def _record(function, x, copy=True):
    """What the function returns, with its graph, and the tensor to differentiate in."""
    kept = _ordinary(x if torch.is_grad_enabled() else x.detach())
    with torch.enable_grad():  # an attack works in no_grad, too
        watched = watch(kept)
        # A copy: the function may work in place, which a leaf does not allow, and the caller's array is not to change.
        return function(watched.clone() if copy else watched), watched


def _ordinary(x):
    """An array that inference mode made, as one that autograd saves."""
    return x.clone() if x.is_inference() and not torch.is_inference_mode_enabled() else x


def _reaches_beyond(outputs, watched):
    """Whether the outputs depend on anything else that requires a gradient: results are then to carry a graph."""
    if not watched.is_leaf:
        return True
    return any(getattr(node, "variable", watched) is not watched for node in _nodes(outputs))


def _nodes(*results):
    """Every node of the graph behind results, each once."""
    return _behind(result.grad_fn for result in results if result.grad_fn is not None)


def _behind(nodes):
    """These nodes and all that they lead to, each once."""
    waiting = list(nodes)
    seen = {None, *waiting}
    while waiting:
        node = waiting.pop()
        yield node
        fresh = {after for after, _ in node.next_functions} - seen
        seen |= fresh
        waiting += fresh


def _pulling(outputs, watched, lasting):
    """Pull(cotangent), for outputs that were recorded."""

    @explained
    def pull(cotangents, many=False):
        again = torch.is_grad_enabled() and (lasting or cotangents.requires_grad)
        found = (_rows if many else _gradient)(outputs, watched, cotangents, again)
        if again:
            _check_differentiable(found)
        return found

    return pull


def _rows(outputs, watched, cotangents, again):
    """The gradients along K cotangents, (K, *shape), at once where every backward operation can be mapped."""

    def row(cotangent):
        return _gradient(outputs, watched, cotangent, again)

    if len(cotangents) > 1 and not any(type(node).__name__ in WRONG_WHEN_MAPPED for node in _nodes(outputs)):
        try:
            return torch.func.vmap(row)(cotangents)
        except (RuntimeError, UserWarning):  # an operation has no batching rule, or draws, as recomputed dropout does
            pass
    return torch.stack([row(cotangent) for cotangent in cotangents])


def _gradient(outputs, watched, cotangent, again=False, keep=True):
    """∇⟨outputs, cotangent⟩ in what is watched; 0 where the outputs do not depend on it."""
    found = None
    if outputs.requires_grad:
        (found,) = torch.autograd.grad(
            outputs, watched, cotangent, create_graph=again, retain_graph=again or keep, allow_unused=True
        )
    return torch.zeros_like(watched) if found is None else found


def _check_differentiable(*gradients):
    """PyTorch would say in a later backward pass, in words of its own, that an operation ends the graph: say it now."""
    for node in _nodes(*gradients):
        name = type(node).__name__
        if name == "CompiledFunctionBackwardBackward":
            raise RuntimeError("torch.compile does not currently support double backward")
        if name in DEAD_ENDS:
            node(*gradients[:1] * len(node._input_metadata))  # raises what that pass would


def _check_twice(outputs, watched):
    """No operation on what is watched has a backward operation whose own derivatives are wrong, once it is prepared."""
    prepare_twice(outputs)
    for wrong in (node for node in _nodes(outputs) if type(node).__name__ in WRONG_TWICE):
        if any(node is watched.grad_fn or getattr(node, "variable", None) is watched for node in _behind([wrong])):
            raise RuntimeError("second derivatives of weight normalisation are wrong")


def _check_formulas(*results):
    """Operations that have a formula were seen on their way: not so from TorchScript, or from code in C++."""
    for node in _nodes(*results):
        if (name := _operation(node)) in UNSEEN and getattr(node, "_saved_training", True):
            raise RuntimeError(f"higher derivatives of {name} are wrong")


def _operation(node):
    """The name of the operation that a node of the graph goes back through."""
    return node.name().rpartition(":")[2].removesuffix("Backward0")


def _mapped(pull):
    """What maps a pull of torch.func over K cotangents where it is asked to."""
    return lambda cotangents, many=False: (torch.func.vmap(pull) if many else pull)(cotangents)
