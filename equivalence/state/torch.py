"""PyTorch's global state."""

import contextlib
from functools import partial

import numpy as np
import torch
from torch import backends

from equivalence.state import Setting, attribute

seed = torch.manual_seed
SMALLEST, ONE = 5e-324, 1.0  # their product is 0 where denormal numbers are flushed


def default_device():
    """The default device, None where none is set. `torch.get_default_device` makes a tensor to find it out."""
    mode = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)
    return None if mode is None else mode.device


def set_deterministic(mode):
    """Set both flags of deterministic algorithms."""
    torch.use_deterministic_algorithms(mode[0], warn_only=mode[1])


def deterministic():
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def autocast(device):
    """Automatic mixed precision on a device."""
    return Setting(partial(torch.is_autocast_enabled, device), partial(torch.set_autocast_enabled, device), True)


SETTINGS = {
    "PyTorch's default dtype": Setting(torch.get_default_dtype, torch.set_default_dtype, torch.float16),
    "PyTorch's default device": Setting(default_device, torch.set_default_device, torch.device("meta")),
    "PyTorch's grad mode": Setting(torch.is_grad_enabled, torch.set_grad_enabled, False),
    "PyTorch's deterministic algorithms": Setting(deterministic, set_deterministic, (True, True)),
    "PyTorch's number of threads": Setting(torch.get_num_threads, torch.set_num_threads, 3),
    "PyTorch's float32 matmul precision": Setting(
        torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "medium"
    ),
    "PyTorch's anomaly detection": Setting(torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly, True),
    "PyTorch's repeated warnings": Setting(torch.is_warn_always_enabled, torch.set_warn_always, True),
    "PyTorch's flushing of denormal numbers": Setting(lambda: SMALLEST * ONE == 0, torch.set_flush_denormal, True),
    "PyTorch's autocast on the CPU": autocast("cpu"),
    "PyTorch's autocast on the GPU": autocast("cuda"),
    "PyTorch's autocast dtype": Setting(
        partial(torch.get_autocast_dtype, "cpu"), partial(torch.set_autocast_dtype, "cpu"), torch.float16
    ),
    "PyTorch's autocast cache": Setting(torch.is_autocast_cache_enabled, torch.set_autocast_cache_enabled, False),
    "torch.backends.cudnn.enabled": attribute(backends.cudnn, "enabled", False),
    "torch.backends.cudnn.benchmark": attribute(backends.cudnn, "benchmark", True),
    "torch.backends.cudnn.deterministic": attribute(backends.cudnn, "deterministic", True),
    "torch.backends.cudnn.allow_tf32": attribute(backends.cudnn, "allow_tf32", True),
    "torch.backends.mkldnn.enabled": attribute(backends.mkldnn, "enabled", False),
}


def numbers(generator):
    """A generator's state. Not by the tensor's own method, which within a transformation makes another tensor of it."""
    return np.from_dlpack(generator.get_state()).tobytes()


def stir_torch(generator, seed):
    """Put one of PyTorch's generators into a fresh state; what ends the block tells a seed from a draw."""
    before = generator.get_state()
    generator.manual_seed(seed)
    fresh = numbers(generator)

    def end():
        seeded, same = generator.initial_seed(), numbers(generator) == fresh
        generator.set_state(before)
        return "" if same else f"seeded with {seeded}" if seeded != seed else "drawn from"

    return end


GENERATORS = {"PyTorch's random generator": partial(stir_torch, torch.default_generator)} | {
    f"PyTorch's random generator of GPU {number}": partial(stir_torch, generator)
    for number, generator in enumerate(torch.cuda.default_generators)
}

ADDS_TO_GRADS = (
    "calls .backward() without inputs=, which adds to the .grad of all parameters that the loss holds: a training step"
    " would begin with that unless zero_grad comes between"
)


@contextlib.contextmanager
def asides():
    """What code in the block does that is no mistake by itself, and that whoever trains with it should know."""
    said, backward = [], torch.autograd.backward

    def watched(tensors, *arguments, **options):
        if options.get("inputs") is None:
            said.append(ADDS_TO_GRADS)
        return backward(tensors, *arguments, **options)

    torch.autograd.backward = watched
    try:
        yield said
    finally:
        torch.autograd.backward = backward
