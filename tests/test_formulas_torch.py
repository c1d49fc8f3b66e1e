"""Formulas in the place of operations whose higher derivatives PyTorch gets wrong: each against differences.

Every operation is taken of x @ W, and a loss of what it returns. Its first derivatives are right everywhere; so second
ones are differences of those, and third ones differences in W of these: values that no higher derivative enters.
"""

import os

import pytest

import impls

if (os.environ.get("EQUIREG_FRAMEWORK") or next(iter(impls.installed()), "")) != "torch":
    pytest.skip("another framework is tested in this process", allow_module_level=True)

import torch
import torch.nn.functional as F
from torch import nn

from impls.torch.curvature import hvp, laplacian
from impls.torch.formulas import FORMULAS, FORWARD_FORMULAS, Formulas
from impls.torch.penalty import input_gradient_penalty, jacobian_penalty

pytestmark = pytest.mark.usefixtures("bridge")
BATCH, WIDTH, HIDDEN = 3, 2, 12
KNOTS = ((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12))  # of a difference of fourth order
STEP, RIGHT = 2e-3, 2e-6  # rounding leaves 1e-9 of a second difference; what is wrong is off by a percent and more
X, V, W, DIRECTION, LEARNED, SLOPES = (
    torch.randn(shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    for shape in ((BATCH, WIDTH), (BATCH, WIDTH), (WIDTH, HIDDEN), (WIDTH, HIDDEN), (2, HIDDEN), (HIDDEN * HIDDEN,))
)


def square(h):
    return 0.2 * h[:, :9].reshape(-1, 3, 3) + torch.eye(3, dtype=h.dtype)


def sequences(h):
    return h.reshape(-1, 3, 4)


ZERO = torch.ones(HIDDEN, dtype=torch.float64).index_fill(0, torch.tensor([2]), 0)
NORM, INSTANCE, LAYER = nn.BatchNorm1d(HIDDEN), nn.InstanceNorm1d(3, affine=True), nn.LayerNorm(HIDDEN)
LAYERS = nn.ModuleList([NORM, INSTANCE, LAYER]).double()

OPERATIONS = {  # those with a formula
    "layer_norm": lambda h: F.layer_norm(h, (HIDDEN,), *LEARNED),
    "torch.layer_norm": lambda h: torch.layer_norm(h, (HIDDEN,)),
    "native_layer_norm": lambda h: torch.native_layer_norm(h, (HIDDEN,), *LEARNED, 1e-5)[0],
    "nn.LayerNorm": LAYER,
    "batch_norm": lambda h: F.batch_norm(sequences(h), None, None, training=True),
    "nn.BatchNorm1d": NORM,
    "instance_norm": lambda h: F.instance_norm(sequences(h)),
    "nn.InstanceNorm1d": lambda h: INSTANCE(sequences(h)),
    "det": lambda h: torch.linalg.det(square(h))[:, None],
    "slogdet": lambda h: torch.linalg.slogdet(square(h))[1][:, None],
    "logdet": lambda h: torch.logdet(square(h) @ square(h).mT)[:, None],
    "solve": lambda h: torch.linalg.solve(square(h), h[:, 9:]),
    "solve, right": lambda h: torch.linalg.solve(square(h), h[:, None, 9:], left=False),
    "householder_product": lambda h: torch.linalg.householder_product(h.reshape(-1, 4, 3) * 0.3, h[:, :3]),
    "tensorsolve": lambda h: torch.linalg.tensorsolve(square(h)[0], h[0, 9:])[None].expand(len(h), 3),
    "cholesky_inverse": lambda h: torch.cholesky_inverse(torch.linalg.cholesky(square(h) @ square(h).mT)),
    "sinc": torch.sinc,
    "cumprod": lambda h: torch.cumprod(h * ZERO, 1),
    "prod": lambda h: (h * ZERO)[:, :4].prod(1, keepdim=True),
    "logcumsumexp": lambda h: torch.logcumsumexp(h, 1),
    "glu": F.glu,
    "vector_norm": lambda h: torch.linalg.vector_norm(h, 3, dim=1, keepdim=True),
    "norm": lambda h: h.norm(dim=1, keepdim=True),
    "linalg.norm": lambda h: torch.linalg.norm(h, dim=1, keepdim=True),
    "matrix_norm": lambda h: torch.linalg.matrix_norm(square(h))[:, None],
    "dist": lambda h: torch.dist(h, h.flip(1)).expand(len(h), 1),
    "normalize": F.normalize,
    "pairwise_distance": lambda h: F.pairwise_distance(h, h.flip(1) + 1)[:, None],
    "cosine_similarity": lambda h: F.cosine_similarity(h, h.flip(1) + 1)[:, None],
    "std": lambda h: h.std(1, keepdim=True),
    "silu": F.silu,
    "silu, in place": lambda h: F.silu(h * 1, inplace=True),
    "mish": F.mish,
    "hardsigmoid": lambda h: F.hardsigmoid(h, inplace=False),
}
MATH = torch.nn.attention.SDPBackend.MATH
torch.manual_seed(2)
ATTENTION, ENCODER = (
    nn.MultiheadAttention(4, 2, batch_first=True).double(),
    nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, activation="gelu", batch_first=True).double(),
)


def attend(h):
    with torch.nn.attention.sdpa_kernel(MATH):
        return ATTENTION(*[sequences(h)] * 3, need_weights=False)[0]


def encode(h):
    with torch.nn.attention.sdpa_kernel(MATH):
        return ENCODER(sequences(h))


KERNEL = torch.linspace(-1, 1, 12, dtype=torch.float64)
LAYERS_AS_THEY_ARE = {  # what else transformers, convolutional and physics-informed networks are made of
    "linear": lambda h: F.linear(h, LEARNED),
    "group_norm": lambda h: F.group_norm(sequences(h), 3),
    "rms_norm": lambda h: F.rms_norm(h, (HIDDEN,), LEARNED[0]),
    "batch_norm, eval": lambda h: F.batch_norm(h, LEARNED[0], LEARNED[1].exp()),
    "softmax": lambda h: h.softmax(-1),
    "log_softmax": lambda h: h.log_softmax(-1),
    "cross_entropy": lambda h: F.cross_entropy(h, torch.tensor([0, 3, 1]), reduction="none")[:, None],
    "gelu": F.gelu,
    "gelu, tanh": lambda h: F.gelu(h, approximate="tanh"),
    "softplus": F.softplus,
    "elu": F.elu,
    "tanh": torch.tanh,
    "sin": torch.sin,
    "conv1d": lambda h: F.conv1d(sequences(h), KERNEL.reshape(2, 3, 2)),
    "conv2d": lambda h: F.conv2d(h.reshape(-1, 1, 3, 4), KERNEL[:8].reshape(2, 1, 2, 2), padding=1),
    "conv_transpose2d": lambda h: F.conv_transpose2d(h.reshape(-1, 1, 3, 4), KERNEL[:8].reshape(1, 2, 2, 2)),
    "avg_pool2d": lambda h: F.avg_pool2d(h.reshape(-1, 1, 3, 4), 2),
    "embedding": lambda h: F.embedding(torch.tensor([[0], [1], [2]]), h),
    "attention": attend,
    "encoder": encode,
    "inv": lambda h: torch.linalg.inv(square(h)),
    "cholesky": lambda h: torch.linalg.cholesky(square(h) @ square(h).mT),
    "interpolate": lambda h: F.interpolate(h.reshape(-1, 1, 3, 4), scale_factor=2, mode="bilinear"),
}


def losses(operation, weight):
    def loss(x):
        found = operation(x @ weight).reshape(len(x), -1)
        return (found * SLOPES[: found.shape[1]]).sin().sum(1)

    return loss


def difference(function):
    return sum(factor * function(knot * STEP) for knot, factor in KNOTS) / STEP


def gradient(operation, weight, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(losses(operation, weight)(x).sum(), x)[0].detach()


def trace(operation, weight):
    units = torch.eye(WIDTH, dtype=torch.float64)
    return sum(
        difference(lambda t: gradient(operation, weight, X + t * unit)[:, i].sum())  # noqa: B023
        for i, unit in enumerate(units)
    )


def curved(operation, weight):
    return (difference(lambda t: gradient(operation, weight, X + t * V)) * V.flip(0)).sum()


def squared(operation, weight):
    return gradient(operation, weight, X).square().sum()


WAYS = {  # a method, and what it computes, from first derivatives and differences
    "hvp": (lambda loss: (hvp(loss, X, V) * V.flip(0)).sum(), curved),
    "laplacian": (lambda loss: laplacian(loss, X).sum(), trace),
    "laplacian, forward": (lambda loss: laplacian(loss, X, how="forward").sum(), trace),
    "penalty": (lambda loss: input_gradient_penalty(loss, X).sum(), squared),
    "penalty, forward": (
        lambda loss: input_gradient_penalty(loss, X, how="forward_over_reverse").sum(),
        squared,
    ),
    "jacobian": (lambda loss: jacobian_penalty(lambda x: loss(x)[:, None], X).sum(), squared),
}
UNSUPPORTED = {"hardsigmoid"}  # in reverse mode: refused


@pytest.mark.parametrize("name", [*OPERATIONS, *LAYERS_AS_THEY_ARE])
def test_values_and_slopes_are_those_of_differences(name):
    operation = (OPERATIONS | LAYERS_AS_THEY_ARE)[name]
    expected = {
        reference: (
            reference(operation, W),
            difference(lambda t: reference(operation, W + t * DIRECTION)),  # noqa: B023
        )
        for reference in (curved, trace, squared)
    }
    ways = {way: both for way, both in WAYS.items() if name not in UNSUPPORTED or "forward" in way}
    for way, (method, reference) in ways.items():
        if name in UNSUPPORTED and way == "penalty, forward":
            continue
        weight = W.clone().requires_grad_()
        value = method(losses(operation, weight))
        (slope,) = torch.autograd.grad(value, weight, retain_graph=True)
        wanted, steepness = expected[reference]
        found = (slope * DIRECTION).sum()
        assert abs(value - wanted) <= RIGHT * max(1, abs(wanted)), (way, value, wanted)
        assert abs(found - steepness) <= 50 * RIGHT * max(1, abs(steepness)), (way, found, steepness)
        with torch.no_grad():  # other operations may then run
            assert abs(method(losses(operation, W)) - wanted) <= RIGHT * max(1, abs(wanted)), way


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_formula_is_its_operation(name):
    """To rounding: where nothing is differentiated."""
    hidden = X @ W
    with Formulas():
        found = OPERATIONS[name](hidden)
    torch.testing.assert_close(found, OPERATIONS[name](hidden), rtol=1e-12, atol=1e-12)


# They refuse in some way: here, and in test_atlas_torch.py. Sparse tensors have tests of their own.
ELSEWHERE = {"scatter_reduce", "refuse", "weight_norm", "sparse_coo_tensor"}


def test_every_formula_is_tested():
    seen = set()

    class Journal(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            seen.add(function)
            return function(*args, **(kwargs or {}))

    with Journal():
        for operation in OPERATIONS.values():
            operation(X @ W)
    names = {formula.__name__ for function, formula in (FORMULAS | FORWARD_FORMULAS).items() if function in seen}
    assert names == {formula.__name__ for formula in (FORMULAS | FORWARD_FORMULAS).values()} - ELSEWHERE


def test_layer_norm_is_what_is_written_out():
    """The default Laplacian, both its ways, and the penalty: two that agree may be wrong together."""

    def by_hand(h):
        centred = h - h.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * LEARNED[0] + LEARNED[1]

    for way, (method, _) in WAYS.items():
        results = []
        for operation in (OPERATIONS["layer_norm"], by_hand):
            weight = W.clone().requires_grad_()
            value = method(losses(operation, weight))
            results.append((value.detach(), torch.autograd.grad(value, weight)[0]))
        torch.testing.assert_close(*results, rtol=1e-9, atol=1e-9, msg=way)


@pytest.mark.parametrize("how", ["hvp", "forward"])
def test_the_laplacian_of_a_log_determinant_is_its_closed_form(how):
    """Δ log|det X| = -‖X⁻¹‖² (each entry's own second derivative is -(X⁻¹)ⱼᵢ²)."""
    matrices = square(X @ W)
    found = laplacian(lambda x: torch.linalg.slogdet(x)[1], matrices, how=how)
    torch.testing.assert_close(found, -torch.linalg.inv(matrices).square().sum((1, 2)))


def test_determinants_keep_their_sign_and_shape():
    matrices = torch.randn(2, 5, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    matrices[0, 0] = -matrices[0, 0].flip(0)
    with Formulas():
        det, (sign, size), log = torch.linalg.det(matrices), torch.linalg.slogdet(matrices), torch.logdet(matrices)
    torch.testing.assert_close(det, torch.linalg.det(matrices))
    torch.testing.assert_close((sign, size), tuple(torch.linalg.slogdet(matrices)))
    torch.testing.assert_close(log, torch.logdet(matrices), equal_nan=True)


@pytest.mark.parametrize("make", [nn.BatchNorm1d, nn.BatchNorm2d, nn.InstanceNorm1d, nn.InstanceNorm2d])
@pytest.mark.parametrize("momentum", [0.1, None])
def test_running_statistics_move_as_they_do_without(make, momentum):
    if "Instance" in make.__name__ and momentum is None:
        pytest.skip("InstanceNorm has no cumulative mean")
    shape = (4, 3, 5) if make.__name__.endswith("1d") else (4, 3, 2, 5)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    plain, scoped = (make(3, momentum=momentum, affine=True, track_running_stats=True).double() for _ in range(2))
    for _ in range(2):
        expected = plain(x)
        with Formulas():
            found = scoped(x)
        torch.testing.assert_close(found, expected)
    for mine, other in zip(scoped.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(mine, other)
    with Formulas():
        torch.testing.assert_close(scoped.eval()(x), plain.eval()(x))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_normalisation_in_half_precision_is_computed_in_float32(dtype):
    x = torch.randn(4, 64, generator=torch.Generator().manual_seed(0)) + 30
    with Formulas():
        found = F.layer_norm(x.to(dtype), (64,))
    assert found.dtype == dtype
    torch.testing.assert_close(found, F.layer_norm(x.to(dtype), (64,)))
    for enabled in (True, False):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled), Formulas():
            formula = F.layer_norm(x.bfloat16(), (64,)).dtype
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            assert F.layer_norm(x.bfloat16(), (64,)).dtype == formula


def test_a_norm_has_slope_zero_at_zero():
    zero = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    with Formulas():
        total = zero.norm(dim=1).sum() + torch.linalg.vector_norm(zero, 3, dim=1).sum() + zero.std(1).sum()
    assert total == 0 and not torch.autograd.grad(total, zero)[0].any()


def test_what_formulas_cannot_see_is_refused():
    """TorchScript calls its operations from C++; its own graphs are opaque from the second call on."""
    with pytest.warns(DeprecationWarning, match="torch.jit.script"):
        scripted = torch.jit.script(nn.Sequential(nn.Linear(WIDTH, 3), nn.LayerNorm(3))).double()
    for way in ("hvp", "laplacian", "laplacian, forward", "penalty, forward"):
        with pytest.raises(RuntimeError, match="pass the module itself, not a scripted one"):
            WAYS[way][0](lambda x: scripted(x).sin().sum(1))


def test_products_by_scatter_are_refused_in_forward_mode():
    index = torch.zeros(BATCH, WIDTH, dtype=torch.int64)

    def loss(x):
        return torch.ones(BATCH, 1, dtype=x.dtype).scatter_reduce(1, index, x, "prod")[:, 0]

    torch.testing.assert_close(laplacian(loss, X), torch.zeros(BATCH, dtype=torch.float64))
    with pytest.raises(RuntimeError, match="scatter_reduce with 'prod'"):
        laplacian(loss, X, how="forward")
