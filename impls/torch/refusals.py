"""What PyTorch cannot differentiate, in words that say what to do. It says it in the names of its kernels."""

import functools
import re

FIRST_ALONE = 'take first derivatives alone, as input_gradient_penalty(how="finite_difference") and fgm do'
REFUSALS = (
    (
        r"scaled_dot_product|flash_attention|efficient_attention|cudnn_attention|_fused_sdp",
        "got fused attention, which PyTorch cannot differentiate so, expected attention that it can. Compute it within"
        " `torch.nn.attention.sdpa_kernel(SDPBackend.MATH)`, load the model with attn_implementation=\"eager\", or "
        + FIRST_ALONE,
    ),
    (
        r"_cudnn_rnn|miopen_rnn|mkldnn_rnn|_thnn_fused|cudnn RNN|CuDNN RNN",
        "got a fused recurrent layer, which PyTorch cannot differentiate so, expected one that it can. Compute it within"
        " `torch.backends.cudnn.flags(enabled=False)`, or " + FIRST_ALONE,
    ),
    (
        r"_embedding_bag",
        "got an EmbeddingBag, which PyTorch cannot differentiate so, expected nn.Embedding and a sum or mean over its"
        " output, or " + FIRST_ALONE,
    ),
    (
        r"use_reentrant|[Cc]heckpointing is not compatible with \.grad",
        "got activations checkpointed with use_reentrant=True, which gives no gradient of an input alone, expected"
        " use_reentrant=False. Hugging Face:"
        ' model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})',
    ),
    (
        r"would mutate a captured Tensor",
        "got one that changes a buffer in place, as BatchNorm in train mode does, within a transform of torch.func or a"
        " derivative in forward mode over forward mode, expected a pure function. Call the method outside of torch.func,"
        " not with how=\"forward\", or put the module into eval mode",
    ),
    (
        r"saved tensor hooks",
        "got checkpointed activations within a transform of torch.func or a derivative in forward mode over forward"
        ' mode, expected none. Call the method outside of torch.func, and not with how="forward"',
    ),
    (
        r"Inference tensors cannot be saved for backward",
        "got an array that was made in inference mode, expected one that a derivative can be taken beside. Make it"
        " outside of torch.inference_mode, or hand on its clone() made there",
    ),
    (
        r"once_differentiable",
        "got an autograd.Function marked @once_differentiable, expected one whose backward can be differentiated, or "
        + FIRST_ALONE,
    ),
    (
        r"does not currently support double backward",
        "got a compiled model, which cannot be differentiated twice, expected the module itself, or " + FIRST_ALONE,
    ),
    (
        r"derivative for '?(?:aten::)?(\w+)'? is not implemented|forward AD with (?:aten::)?(\w+) that",
        "got {0}, which PyTorch cannot differentiate so, expected operations that it can. Write it from others, or "
        + FIRST_ALONE,
    ),
)


def explained(function):
    """A function in which PyTorch's refusals are said in words; what it raises otherwise goes on as it is."""

    @functools.wraps(function)
    def run(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except RuntimeError as error:
            words = explain(str(error))
            if words is None:
                raise
            raise RuntimeError(words) from error

    return run


def explain(said):
    """What one of PyTorch's messages means to the caller of a method; None if nothing is to be added."""
    for pattern, words in REFUSALS:
        found = re.search(pattern, said)
        if found:
            return "the closure: " + words.format(*filter(None, found.groups()))
    return None
