"""What PyTorch's traced mode takes: what torch.compile takes as one graph, and no more."""

import os

import pytest

import impls

if (os.environ.get("EQUIREG_FRAMEWORK") or next(iter(impls.installed()), "")) != "torch":
    pytest.skip("another framework is tested in this process", allow_module_level=True)

import torch
import torch.nn.functional as F

LABELS, ROWS = torch.tensor([0, 2, 1, 1]), torch.arange(12.0).reshape(4, 3)
LOOKED_AT = {
    "one_hot asks for the largest label": lambda x, labels: F.one_hot(labels, 3) * x,
    "a number that only scales": lambda x, labels: x / x.max().item(),
}
BRANCHES = {
    "a branch on values": lambda x, labels: x if (x > 1e9).any() else 2 * x,
    "a row chosen by a number": lambda x, labels: x[labels.argmax()],
    "a size that is a value": lambda x, labels: torch.arange(int(labels.max()) + 1) * x.sum(),
}


@pytest.mark.parametrize("what", LOOKED_AT)
def test_values_that_are_only_read_are_traced_as_torch_compile_does(what, bridge):
    """The graph is that of any values: others than those that it was traced with give what they give."""
    step = LOOKED_AT[what]
    graph = bridge.traced(step, "traced", (ROWS, LABELS))
    for rows, labels in ((ROWS, LABELS), (ROWS**2 + 1, LABELS.flip(0))):
        assert torch.equal(graph(rows, labels), step(rows, labels))


@pytest.mark.parametrize("what", BRANCHES)
def test_what_depends_on_values_otherwise_is_refused(what, bridge):
    with pytest.raises(RuntimeError, match="value out of a tracing tensor"):
        bridge.traced(BRANCHES[what], "traced", (ROWS, LABELS))
