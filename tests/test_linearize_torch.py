"""One pass in forward mode gives what the transpose of the pullback gives, and stands back where it could not.

The transpose is made by reverse mode twice, and dual numbers by other code of PyTorch's; where both are taken of the
same function, the two agree to rounding. Differences along lines through x are the value that neither enters.
"""

import os

import pytest

import impls

if (os.environ.get("EQUIREG_FRAMEWORK") or next(iter(impls.installed()), "")) != "torch":
    pytest.skip("another framework is tested in this process", allow_module_level=True)

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from impls.torch import derivatives
from impls.torch.derivatives import linearize
from impls.torch.virtual_adversarial import vat_perturbation

pytestmark = pytest.mark.usefixtures("bridge")
X, V, W, KERNEL = (
    torch.randn(shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    for shape in ((4, 6), (4, 6), (6, 6), (3, 1, 2, 2))
)
BIAS = torch.linspace(-1, 1, 6, dtype=torch.float64)
W.requires_grad_()


class Doubled(torch.autograd.Function):
    """Without a derivative in forward mode, as functions of one's own are."""

    @staticmethod
    def forward(context, x):
        return 2 * x

    @staticmethod
    def backward(context, cotangent):
        return 2 * cotangent


def held_scale(x):
    with torch.no_grad():
        scale = x.square().mean(1, keepdim=True)
    return x.tanh() * scale


def detached_scale(x):
    return x.tanh() * x.square().mean(1, keepdim=True).detach()


def images(x):
    return x[:, None, None].expand(-1, 1, 2, 6)


FUNCTIONS = {  # what stands for a kind of code
    "a layer": lambda x: F.linear(x, W, BIAS).tanh(),
    "a layer, its arguments by name": lambda x: F.linear(input=x, weight=W, bias=BIAS).tanh(),
    "a bias by name": lambda x: F.linear(x, W, bias=BIAS).tanh(),
    "a bias that moves": lambda x: F.linear(x, W, x.mean(0)).tanh(),
    "a weight that moves": lambda x: F.linear(W, x @ W[:, :6]).T[:4].tanh(),
    "both move": lambda x: (0.1 * x @ x.T @ x).sin(),
    "x on the right": lambda x: (W[:4, :4] @ x).tanh(),
    "a vector": lambda x: x * torch.mv(x, W[0])[:, None],
    "several matrices": lambda x: torch.bmm(x[:, None], W.expand(4, 6, 6))[:, 0].tanh(),
    "a convolution": lambda x: F.conv2d(images(x), KERNEL, None, 1, 1).flatten(1).tanh(),
    "a convolution with a bias": lambda x: F.conv2d(images(x), KERNEL, BIAS[:3], stride=2).flatten(1).tanh(),
    "a transposed convolution": lambda x: F.conv_transpose2d(images(x), KERNEL.transpose(0, 1), BIAS[:3], 2).flatten(1),
    "in place": lambda x: F.relu_(x.add_(1)) @ W,
    "without a gradient in a part": held_scale,
    "detached in a part": detached_scale,
    "a normalisation": lambda x: F.layer_norm(x, (6,), BIAS, BIAS).sin(),
    "an inverse": lambda x: torch.cholesky_inverse((torch.eye(2) * 3 + x.reshape(-1, 3, 2)[:, :2]).tril()).flatten(1),
    "a determinant of 0": lambda x: torch.linalg.det(x.reshape(-1, 2, 3)[:, :, :2] * torch.tensor([1.0, 0]))[:, None],
    "constant": lambda x: torch.ones(4, 2, dtype=torch.float64),
    "one of its own": lambda x: Doubled.apply(x).tanh(),
    "checkpointed": lambda x: checkpoint(lambda x: (x @ W).tanh(), x, use_reentrant=False),
    "a model that is mapped": lambda x: torch.func.vmap(lambda row: (row @ W).tanh())(x),
    "a gradient of its own": lambda x: torch.func.vmap(torch.func.grad(lambda row: (row @ W).tanh().square().sum()))(x),
    "entries that are set": lambda x: torch.zeros_like(x).index_put((torch.arange(4),), x.sin()),
    "complex numbers on its way": lambda x: torch.fft.rfft(x).abs(),
    "a product by scatter": lambda x: torch.ones_like(x).scatter_reduce(1, (x > 9).long(), x, "prod"),
}
WITHOUT_FORWARD_MODE = [
    "one of its own", "checkpointed", "a product by scatter", "a determinant of 0", "a model that is mapped"
]  # fmt: skip


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_both_ways_give_the_same_maps(kind):
    function = FUNCTIONS[kind]
    with torch.no_grad():
        outputs, push, pull = linearize(function, X)
        at_once, push_only, pull_at_once = linearize(function, X, V)
    cotangent = torch.cos(torch.arange(outputs.numel(), dtype=torch.float64)).reshape(outputs.shape)
    torch.testing.assert_close(at_once, outputs)
    torch.testing.assert_close(push_only(V), push(V), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(pull_at_once(cotangent), pull(cotangent), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close((push(V) * cotangent).sum(), (pull(cotangent) * V).sum())


@pytest.mark.parametrize(
    "kind", [kind for kind in FUNCTIONS if kind not in ("detached in a part", "without a gradient in a part")]
)
def test_maps_are_those_of_differences(kind):
    """Of the functions that have no part held fixed: differences would see through it."""
    function, step = FUNCTIONS[kind], 1e-3
    ends = [function(X + k * step * V).detach() for k in (-2, -1, 1, 2)]
    slope = (ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / (12 * step)
    torch.testing.assert_close(linearize(function, X, V)[1](V), slope, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_forward_mode_is_taken_wherever_there_is_one(kind, monkeypatch):
    calls = []
    monkeypatch.setattr(derivatives, "transpose", lambda *given: calls.append(given))
    linearize(FUNCTIONS[kind], X, V)
    assert bool(calls) == (kind in WITHOUT_FORWARD_MODE)


def test_a_scripted_model_is_pushed_by_the_transpose():
    """From its second call on TorchScript runs a graph of its own, in which forward mode loses some derivatives."""
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    with pytest.warns(DeprecationWarning, match=r"torch\.jit\.script"):
        scripted = torch.jit.script(model)
    x, start = X.float(), V.float()
    wanted = vat_perturbation(model, x, start, radius=1.0)
    for _ in range(4):
        torch.testing.assert_close(vat_perturbation(scripted, x, start, radius=1.0), wanted)


def test_what_the_function_raises_is_said_as_it_is():
    def broken(x):
        raise RuntimeError("shapes of mine do not fit")

    with pytest.raises(RuntimeError, match=r"^shapes of mine do not fit$"):
        vat_perturbation(broken, X, V, radius=1.0)


def test_one_step_and_the_first_of_two_point_alike():
    """One step takes forward mode, two take the transpose."""
    model = nn.Sequential(nn.Linear(6, 8), nn.SiLU(), nn.LayerNorm(8), nn.Linear(8, 3)).double()
    once = vat_perturbation(model, X, V, radius=1.0)
    torch.testing.assert_close(
        vat_perturbation(model, X, once, radius=1.0), vat_perturbation(model, X, V, radius=1.0, steps=2)
    )
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_fused_recurrent_layer_is_pushed_by_the_transpose():
    """On a CPU LSTM has neither forward mode nor a second backward pass within oneDNN, and both without it."""
    torch.manual_seed(0)
    layer = nn.LSTM(6, 3, batch_first=True).double()

    def function(x):
        return layer(x[:, None])[0][:, 0]

    with torch.backends.mkldnn.flags(enabled=False, allow_tf32=None):
        wanted = vat_perturbation(function, X, V, radius=1.0)
    torch.testing.assert_close(vat_perturbation(function, X, V, radius=1.0), wanted)
