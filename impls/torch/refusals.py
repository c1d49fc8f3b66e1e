"""What PyTorch cannot differentiate, in words that say what to do. It says it in the names of its kernels."""

import contextlib
import functools
import re

CLOSURE = "the closure"
CANNOT = "which PyTorch cannot differentiate so"
FIRST_ALONE = 'take first derivatives alone, as input_gradient_penalty(how="finite_difference") and fgm do'
COMPILED = "got a compiled model, which cannot be differentiated twice, expected the module itself, or " + FIRST_ALONE
BACKWARDS = 'Call the method outside of torch.func, with how="hvp" or "double_backward"'

REFUSALS = {  # what PyTorch says: what was wrong with the closure, what was expected, what to do
    r"scaled_dot_product|flash_attention|efficient_attention|cudnn_attention": (
        f"got fused attention, {CANNOT}, expected attention that it can. Compute it within"
        " `torch.nn.attention.sdpa_kernel(SDPBackend.MATH)`, load the model with"
        f' attn_implementation="eager", or {FIRST_ALONE}'
    ),
    r"_cudnn_rnn|miopen_rnn|mkldnn_rnn|CuDNN RNN": (
        f"got a fused recurrent layer, {CANNOT}, expected one that it can. Compute it within"
        " `torch.backends.cudnn.flags(enabled=False)`, on a CPU `torch.backends.mkldnn.flags(enabled=False)`, or"
        f" {FIRST_ALONE}"
    ),
    r"_embedding_bag": (
        f"got an EmbeddingBag, {CANNOT}, expected nn.Embedding and a sum or mean over its output, or {FIRST_ALONE}"
    ),
    r"use_reentrant|[Cc]heckpointing is not compatible with \.grad": (
        "got activations checkpointed with use_reentrant=True, which gives no gradient of an input alone, expected"
        " use_reentrant=False. Hugging Face:"
        ' model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})'
    ),
    r"torch\.utils\.checkpoint: ": (
        "got checkpointed activations that hold an operation of which higher derivatives are taken by a formula,"
        " normalisation for instance: it is not there when they are recomputed. Expected none: leave out the checkpoint"
    ),
    r"would mutate a captured Tensor": (
        "got one that changes in place what a transform of torch.func must leave alone, expected a pure function."
        f" {BACKWARDS}"
    ),
    r"[Ss]aved tensors? hooks": (
        "got checkpointed activations, or other hooks on saved tensors, under a transform of torch.func, expected none."
        f" {BACKWARDS}"
    ),
    r"must override the setup_context": (
        "got an autograd.Function that transforms of torch.func cannot see into (a checkpoint with use_reentrant=True,"
        " DistributedDataParallel, or one of your own without setup_context), expected operations that they can."
        f" {BACKWARDS}"
    ),
    r"higher derivatives of ([\w ]+) are wrong": (
        "got OPERATION from TorchScript or C++, whose higher derivatives are wrong in PyTorch and are taken by a"
        " formula, which is not seen there. Expected it to be called from Python: pass the module itself, not a"
        " scripted one"
    ),
    r"second derivatives of weight normalisation": (
        "got weight normalisation of what is perturbed, whose second derivatives are wrong in PyTorch, expected it"
        " written out as v * (g / torch.linalg.vector_norm(v, dim=axes, keepdim=True)), or weights that are held fixed"
    ),
    r"scatter_reduce with 'prod'": (
        "got scatter_reduce with 'prod', of which PyTorch drops derivatives in forward mode, expected sums."
        f" {BACKWARDS}"
    ),
    r"Inference tensors cannot be saved for backward": (
        "got an array that was made in inference mode, expected one that a derivative can be taken beside. Make it"
        " outside of torch.inference_mode, or pass its clone()"
    ),
    r"once_differentiable": (
        "got an autograd.Function marked @once_differentiable, expected one whose backward can be differentiated, or"
        f" {FIRST_ALONE}"
    ),
    r"does not currently support double backward|donated buffer": COMPILED,
    r"derivative for '?(?:aten::)?(\w+)'? is not implemented|forward AD with (?:aten::)?(\w+) that": (
        f"got OPERATION, {CANNOT}, expected operations that it can. Write it from others, or {FIRST_ALONE}"
    ),
}


def explained(function):
    """A function in which PyTorch's refusals are said in words; what it raises otherwise goes on as it is."""

    @functools.wraps(function)
    def run(*args, **kwargs):
        with explaining(CLOSURE):
            return function(*args, **kwargs)

    return run


@contextlib.contextmanager
def explaining(whom):
    """Within, the same; whom: the closure or the model, of which PyTorch speaks."""
    try:
        yield
    except RuntimeError as error:
        words = explain(str(error), whom)
        if words is None:
            raise
        raise RuntimeError(words) from error


def explain(said, whom):
    """What one of PyTorch's messages means to a method's caller; None if nothing is to be added."""
    if said.startswith(f"{CLOSURE}: "):
        return said.replace(CLOSURE, whom, 1) if whom != CLOSURE else None
    for pattern, words in REFUSALS.items():
        if found := re.search(pattern, said):
            return f"{whom}: " + words.replace("OPERATION", "".join(filter(None, found.groups())))
    return None
