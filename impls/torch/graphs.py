"""A step as a graph of operations."""

from torch._guards import TracingContext, tracing
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx


def graph_of(step, arguments):
    """All operations of a step, traced with its arguments' values, or without where something asks for a value.

    `F.one_hot` asks for the largest of its labels, which torch.compile does not; what branches on a value is refused by
    either.
    """
    try:
        # make_fx notes a tensor without numbers for each result: of one mode, or else each has one, which is slow.
        with tracing(TracingContext(FakeTensorMode(allow_fallback_kernels=True))):
            return make_fx(step)(*arguments)
    except Exception as error:  # one of another type, perhaps, that was made of PyTorch's
        if "value out of a tracing tensor" not in str(error):
            raise
        try:
            return make_fx(step, tracing_mode="fake", _allow_non_fake_inputs=True)(*arguments)
        except Exception:
            raise error from None
