"""Methods on closures over real modules: what they compute is what they compute of a plain function, value and slope.

The plain function says the same model in elementary operations, without modules, buffers, checkpoints or hooks; that
methods are right on such functions is proved by `python -m bench verify`, against NumPy.
"""

import os
import re

import pytest

import impls

if (os.environ.get("EQUIREG_FRAMEWORK") or next(iter(impls.installed()), "")) != "torch":
    pytest.skip("another framework is tested in this process", allow_module_level=True)

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from impls.torch.adversarial import adversarial_loss, fgm, freelb_loss, pgd
from impls.torch.curvature import hvp, laplacian, top_eigenpair
from impls.torch.embedding import perturb_output, perturb_table
from impls.torch.losses import kl_divergence
from impls.torch.noise import consistency_loss, dropout_loss, noisy_loss
from impls.torch.parameter import parameter_gradient_penalty, weight_noise
from impls.torch.penalty import input_gradient_penalty, jacobian_penalty, tikhonov_penalty, wgan_gradient_penalty
from impls.torch.refusals import CLOSURE, explain
from impls.torch.virtual_adversarial import vat_loss, vat_perturbation

pytestmark = pytest.mark.usefixtures("bridge")
BATCH, WIDTH, CLASSES, RATE = 5, 4, 3, 0.4


class Network(nn.Module):
    """Inputs (B, 4) to logits (B, C), with what real models have."""

    def __init__(self, *, checkpointed=False):
        super().__init__()
        self.lower = nn.Linear(WIDTH, 6)
        self.norm = nn.BatchNorm1d(6)
        self.body = nn.Sequential(nn.Linear(6, 6), nn.SiLU(inplace=True), nn.Dropout(RATE))
        self.upper = nn.Linear(6, CLASSES)
        self.checkpointed = checkpointed

    def forward(self, x):
        hidden = torch.sin_(self.norm(self.lower(x.mul_(1))))  # in place, on the input too
        hidden = checkpoint(self.body, hidden, use_reentrant=False) if self.checkpointed else self.body(hidden)
        return self.upper(hidden)


def written_out(model):
    """The network as a plain function of its parameters; it draws what dropout draws."""

    def f(x, params=None):
        p = dict(model.named_parameters()) if params is None else params
        hidden = x @ p["lower.weight"].T + p["lower.bias"]
        centred = hidden - hidden.mean(0)
        normal = centred / (centred.square().mean(0) + model.norm.eps).sqrt()
        hidden = torch.sin(normal * p["norm.weight"] + p["norm.bias"])
        hidden = hidden @ p["body.0.weight"].T + p["body.0.bias"]
        hidden = hidden * hidden.sigmoid()
        hidden = hidden * F.dropout(torch.ones_like(hidden), RATE)
        return hidden @ p["upper.weight"].T + p["upper.bias"]

    return f


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Network().double()


X, OTHER, DRAWS, PROBES = (
    torch.randn(shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    for shape in ((BATCH, WIDTH), (BATCH, WIDTH), (3, BATCH, WIDTH), (2, BATCH, CLASSES))
)
MIX = torch.linspace(0, 1, BATCH, dtype=torch.float64)
LABELS = torch.tensor([0, 2, 1, 1, 0])


def losses(f):
    return lambda x: F.cross_entropy(f(x), LABELS, reduction="none")


def summed(values):
    return sum(part.sum() for part in values) if isinstance(values, tuple) else values.sum()


METHODS = {  # of outputs f, as one number
    "fgm": lambda f: losses(f)(X + fgm(losses(f), X, radius=0.3)),
    "pgd": lambda f: losses(f)(X + pgd(losses(f), X, OTHER, radius=0.3, step=0.2, steps=2)),
    "adversarial_loss": lambda f: adversarial_loss(losses(f), X, OTHER, clean_weight=0.3),
    "freelb_loss": lambda f: freelb_loss(losses(f), X, OTHER, radius=0.3, step=0.2, steps=2),
    "penalty": lambda f: input_gradient_penalty(losses(f), X, with_loss=True),
    "penalty, forward": lambda f: input_gradient_penalty(losses(f), X, how="forward_over_reverse"),
    "penalty, difference": lambda f: input_gradient_penalty(losses(f), X, how="finite_difference", norm="l2"),
    "jacobian_penalty": lambda f: jacobian_penalty(f, X, with_outputs=True),
    "jacobian_penalty, probes": lambda f: jacobian_penalty(f, X, probes=PROBES),
    "tikhonov_penalty": lambda f: tikhonov_penalty("kl_divergence", f, X),
    "wgan_gradient_penalty": lambda f: wgan_gradient_penalty(lambda x: f(x)[:, 0], X, OTHER, MIX),
    "hvp": lambda f: hvp(losses(f), X, OTHER),
    "laplacian": lambda f: laplacian(losses(f), X, with_loss=True),
    "laplacian, forward": lambda f: laplacian(losses(f), X, how="forward"),
    "top_eigenpair": lambda f: top_eigenpair(losses(f), X, OTHER, steps=2)[0],
    "vat_loss": lambda f: vat_loss(f, X, OTHER, radius=0.5, entropy_weight=0.2),
    "vat_loss, exact": lambda f: vat_loss(f, X, OTHER, radius=0.5, how="exact"),
    "noisy_loss": lambda f: noisy_loss(losses(f), X, DRAWS),
    "consistency_loss": lambda f: consistency_loss(kl_divergence, f, X, DRAWS),
    "dropout_loss": lambda f: dropout_loss(losses(f), X, DRAWS),
    "perturb_output": lambda f: (
        (X + perturb_output(lambda x: losses(f)(x[:, 0]), X[:, None], torch.ones(BATCH, 1).double(), radius=0.3)[:, 0])
        * f(X).sum()
    ),
}


def value_and_slopes(call, f, params):
    torch.manual_seed(3)
    value = summed(call(f))
    slopes = torch.autograd.grad(value, list(params), allow_unused=True, materialize_grads=True)
    return [value.detach(), *slopes], torch.get_rng_state()


def assert_same(found, expected, **options):
    for mine, other in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-11, **options)


@pytest.mark.parametrize("call", METHODS.values(), ids=METHODS)
def test_a_module_in_train_mode_is_its_plain_function(model, call):
    params = list(model.parameters())
    expected, drawn = value_and_slopes(call, written_out(model), params)
    found, state = value_and_slopes(call, model, params)
    assert_same(found, expected)
    assert torch.equal(state, drawn)
    assert all(parameter.grad is None for parameter in params)


# Forward mode over forward mode does not see what is recomputed in a backward pass; and is refused.
CHECKPOINTED = {name: call for name, call in METHODS.items() if "forward" not in name}


@pytest.mark.parametrize("call", CHECKPOINTED.values(), ids=CHECKPOINTED)
def test_checkpointed_activations_change_nothing(model, call):
    checkpointed = Network(checkpointed=True).double()
    checkpointed.load_state_dict(model.state_dict())
    params = list(checkpointed.parameters())
    expected, drawn = value_and_slopes(call, written_out(checkpointed), params)
    found, state = value_and_slopes(call, checkpointed, params)
    assert_same(found, expected)
    assert torch.equal(state, drawn)


# Forward mode is torch.func's, which cannot see into hooks of saved tensors, nor an autograd.Function of the old kind.


@pytest.mark.parametrize("how", [name for name in METHODS if "forward" in name])
def test_checkpoints_in_forward_mode_are_refused(how):
    with pytest.raises(RuntimeError, match=r"checkpointed activations.*double_backward"):
        METHODS[how](Network(checkpointed=True).double())


REENTRANT = {name: METHODS[name] for name in ("fgm", "penalty", "jacobian_penalty", "hvp", "laplacian")}


@pytest.mark.parametrize("call", REENTRANT.values(), ids=REENTRANT)
def test_reentrant_checkpoints_are_refused_in_words(model, call):
    with pytest.raises(RuntimeError, match=r'use_reentrant=False.*\{"use_reentrant": False\}'):
        call(lambda x: model.upper(checkpoint(lambda x: torch.tanh(model.lower(x)), x, use_reentrant=True)))


def test_normalisation_within_a_checkpoint_is_refused_where_a_formula_is_needed(model):
    def f(x):
        return model.upper(checkpoint(lambda x: F.layer_norm(model.lower(x), (6,)), x, use_reentrant=False))

    with pytest.raises(RuntimeError, match="leave out the checkpoint"):
        laplacian(losses(f), X)
    with torch.no_grad():  # Hv alone is right without
        hvp(losses(f), X, OTHER)


# What a method leaves alone.


def test_statistics_move_once_a_pass(model):
    for name, passes in {"penalty": 1, "laplacian": 1, "penalty, forward": 2, "laplacian, forward": 1}.items():
        plain = Network().double()
        plain.load_state_dict(model.state_dict())
        for _ in range(passes):
            plain(X.clone())
        METHODS[name](model)
        for buffer, expected in zip(model.buffers(), plain.buffers(), strict=True):
            torch.testing.assert_close(buffer, expected, rtol=1e-13, atol=0, msg=name)


def test_hooks_of_parameters_see_no_attack(model):
    seen = []
    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(seen.append)
        parameter.register_hook(seen.append)
    fgm(losses(model), X, radius=1.0)
    vat_perturbation(model, X, OTHER, radius=1.0)
    hvp(losses(model), X, OTHER)
    assert not seen and all(parameter.grad is None for parameter in model.parameters())
    losses(model)(X).mean().backward()
    assert len(seen) == 2 * len(list(model.parameters()))


@pytest.mark.parametrize("call", METHODS.values(), ids=METHODS)
def test_a_frozen_module_and_a_caller_without_gradients_get_no_graph(model, call):
    torch.manual_seed(0)
    with torch.no_grad():
        assert not summed(call(model)).requires_grad
    assert not summed(call(model.requires_grad_(False))).requires_grad


@pytest.mark.parametrize("call", METHODS.values(), ids=METHODS)
def test_inference_mode_is_no_other(model, call):
    model.norm.momentum = 0.0
    torch.manual_seed(0)
    expected = summed(call(model)).detach()
    with torch.inference_mode():
        torch.manual_seed(0)
        made_there = LABELS.clone()
        found = summed(call(lambda x: model(x) + 0 * made_there[:, None]))
    torch.testing.assert_close(found.clone(), expected, rtol=1e-10, atol=1e-11)


def test_gradients_flow_through_x_and_what_the_closure_holds():
    """x has a graph of its own, and the loss holds the very tensor that is passed."""
    early = X.clone().requires_grad_()
    by_hand_of = {
        lambda loss, x: hvp(loss, x, OTHER): lambda x: -torch.sin(x) * x * OTHER,
        laplacian: lambda x: -torch.sin(x) * x,
        input_gradient_penalty: lambda x: (torch.cos(x) * x).square(),
        lambda loss, x: freelb_loss(loss, x, 0 * X, radius=0, step=0, steps=2)[0]: lambda x: torch.sin(x) * x,
    }
    for call, by_hand in by_hand_of.items():
        x = 2 * early
        (found,) = torch.autograd.grad(call(lambda z: (torch.sin(z) * x).sum(1), x).sum(), early)  # noqa: B023
        z = X.clone().requires_grad_()
        (expected,) = torch.autograd.grad(by_hand(2 * z).sum(), z)
        torch.testing.assert_close(found, expected)
    assert early.grad is None


def test_a_graph_that_was_there_before_is_not_used_up(model):
    """An encoder's graph, shared by the clean loss and by what the closure holds."""
    early = torch.randn(WIDTH, WIDTH, dtype=torch.float64, requires_grad=True)
    hidden = torch.tanh(X @ early)
    for _ in range(2):
        r = fgm(lambda h: (model.lower(h) * hidden.exp().sum(1, keepdim=True)).sum(1), hidden, radius=0.1)
        values = freelb_loss(lambda h: model.lower(h).sin().sum(1), hidden, r, radius=1.0, step=0.1, steps=2)[0]
        values.sum().backward(retain_graph=True)
    hidden.sum().backward()
    assert early.grad.any()


@pytest.mark.parametrize("sparse", [True, False])
def test_a_table_of_an_embedding_gets_dense_rows(sparse):
    torch.manual_seed(0)
    layer, tokens = nn.Embedding(6, 3, sparse=sparse).double(), torch.tensor([[0, 2, 2], [5, 0, 2]])
    bag = nn.EmbeddingBag(6, 3, mode="sum", sparse=sparse).double().requires_grad_(False)
    bag.weight.copy_(layer.weight)

    def by_bag(table):
        return torch.sin(torch.func.functional_call(bag, {"weight": table}, tokens)).sum(1)

    def by_lookup(table):
        return torch.sin(F.embedding(tokens, table, sparse=sparse).sum(1)).sum(1)

    table = layer.weight
    slope = torch.cos(table[tokens].sum(1)).detach()  # (B, D), of every token's row
    raw = torch.zeros(6, 3, dtype=torch.float64).index_put_((tokens,), slope[:, None].expand(2, 3, 3), accumulate=True)
    for loss in (by_bag, by_lookup):
        torch.testing.assert_close(perturb_table(loss, table, radius=0.5), 0.5 * raw / raw.norm())
    assert table.grad is None


def test_autocast_casts_the_weights_of_attack_and_training_alike():
    """A cast that was cached in an attack without a graph would leave the weights without a gradient."""
    torch.manual_seed(0)
    layer = nn.Linear(WIDTH, CLASSES)
    x, start = X.float(), OTHER.float()
    slopes = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            value = vat_loss(layer, x, start, radius=0.5, xi=1.0).mean()
            value = value + losses(layer)(x + fgm(losses(layer), x, radius=0.3)).mean()
        slopes.append(torch.autograd.grad(value, layer.weight)[0])
    torch.testing.assert_close(slopes[1], slopes[0], rtol=0.05, atol=0.02)


def test_data_parallel_training_is_training(model, tmp_path):
    """One process is enough to see hooks fire: the reducer counts each parameter's, and fails if there are two."""
    torch.distributed.init_process_group("gloo", f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        parallel, reduced = nn.parallel.DistributedDataParallel(model), []

        def hook(state, bucket):
            reduced.append(bucket.index())
            return _done(bucket.buffer())

        parallel.register_comm_hook(None, hook)
        for name, call in METHODS.items():
            if "forward" in name or name in SOME_PARAMETERS:
                continue  # forward mode is refused
            expected, _ = value_and_slopes(call, written_out(model), model.parameters())
            torch.manual_seed(3)
            value = summed(call(parallel))
            assert not reduced, name
            value.backward()
            assert reduced, name
            assert_same([value.detach(), *(p.grad for p in model.parameters())], expected, msg=name)
            reduced.clear()
            parallel.zero_grad()
    finally:
        torch.distributed.destroy_process_group()


SOME_PARAMETERS = ("jacobian_penalty, probes", "wgan_gradient_penalty")  # not the last bias: DDP waits for it


def _done(value):
    future = torch.futures.Future()
    future.set_result(value)
    return future


# What PyTorch cannot differentiate.


class Attention(nn.Module):
    """Inputs (B, 4), as sequences of two, to logits (B, C), by PyTorch's fused attention."""

    def __init__(self):
        super().__init__()
        self.mix, self.upper = nn.Linear(2, 12), nn.Linear(4, CLASSES)

    def forward(self, x):
        query, key, value = self.mix(x.reshape(-1, 2, 2)).chunk(3, -1)
        mixed = F.scaled_dot_product_attention(query[:, None], key[:, None], value[:, None])
        return self.upper(mixed[:, 0].mean(1))


TWICE = ("penalty", "penalty, forward", "jacobian_penalty", "hvp", "laplacian", "laplacian, forward", "vat_loss, exact")


@pytest.mark.parametrize("name", TWICE)
def test_fused_attention_is_refused_with_three_ways_out(name):
    torch.manual_seed(0)
    attention = Attention().double()
    with pytest.raises(RuntimeError, match=r'sdpa_kernel\(SDPBackend.MATH\).*="eager".*how="finite_difference"'):
        METHODS[name](attention)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        summed(METHODS[name](attention)).backward()


def test_what_needs_first_derivatives_alone_takes_fused_attention():
    torch.manual_seed(0)
    attention = Attention().double()
    for name in ("fgm", "freelb_loss", "vat_loss", "penalty, difference"):
        summed(METHODS[name](attention)).backward()
    value = METHODS["penalty"](attention.requires_grad_(False))  # which is no second derivative
    assert not summed(value).requires_grad


def test_an_embedding_bag_is_refused_where_it_is_differentiated_twice():
    torch.manual_seed(0)
    bag = nn.EmbeddingBag(6, 3, mode="sum").double()

    def loss(params):
        return torch.func.functional_call(bag, params, torch.tensor([[0, 2, 2], [5, 0, 2]])).sin().sum(1)

    params = dict(bag.named_parameters())
    with pytest.raises(RuntimeError, match=r"EmbeddingBag.*nn\.Embedding"):
        parameter_gradient_penalty(loss, params, rate=0.1)
    weight_noise(loss, params, {"weight": torch.ones(2, 6, 3, dtype=torch.float64)})


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # Dynamo looks at it, and hides the warning
def test_a_compiled_model_is_attacked_and_not_penalised():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(WIDTH, CLASSES), nn.Tanh()).double()
    compiled = torch.compile(model, backend="aot_eager")
    torch.testing.assert_close(fgm(losses(compiled), X, radius=1.0), fgm(losses(model), X, radius=1.0))
    for name in ("penalty", "hvp", "laplacian"):
        with pytest.raises(RuntimeError, match="got a compiled model"):
            METHODS[name](compiled)


SAID = {  # by PyTorch on devices that are not here
    "Double backwards is not supported for CuDNN RNNs due to limitations in the CuDNN API.": r"cudnn\.flags",
    "derivative for aten::_scaled_dot_product_efficient_attention_backward is not implemented": "SDPBackend.MATH",
    "derivative for aten::_flash_attention_backward is not implemented": "SDPBackend.MATH",
    "derivative for aten::_ctc_loss_backward is not implemented": "got _ctc_loss_backward",
}


@pytest.mark.parametrize(("said", "words"), SAID.items())
def test_messages_of_other_kernels_are_explained(said, words):
    assert re.search(words, explain(said, CLOSURE))
    assert explain("size mismatch, got 4, expected 3", CLOSURE) is None


def test_a_model_that_returns_a_tuple_is_told_to_return_its_logits(model):
    with pytest.raises(ValueError, match=r"got a tuple.* \(B C\): one result a sample.*model\(x\)\.logits"):
        jacobian_penalty(lambda x: (model(x), None), X)


# torch.func around a method, and in it.


@pytest.mark.parametrize("name", ["penalty", "hvp", "laplacian", "laplacian, forward", "penalty, forward"])
def test_a_transform_around_a_method_sees_a_module_too(model, name):
    """BatchNorm counts its batches within the transform, which forbids changes in place."""
    torch.manual_seed(3)
    scale = torch.ones((), dtype=torch.float64)
    before = int(model.norm.num_batches_tracked)
    found = torch.func.grad(lambda scale: summed(METHODS[name](lambda x: model(x) * scale)))(scale)
    assert int(model.norm.num_batches_tracked) > before
    torch.manual_seed(3)
    leaf = scale.clone().requires_grad_()
    (expected,) = torch.autograd.grad(summed(METHODS[name](lambda x: written_out(model)(x) * leaf)), leaf)
    torch.testing.assert_close(found, expected)


class Cubed(torch.autograd.Function):
    """Of the old kind, which torch.func refuses; its backward cannot be mapped over rows."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return 3 * gradient * (Squared.apply(x))


class Squared(torch.autograd.Function):
    """What it calls in its backward pass is one, too."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient * ctx.saved_tensors[0]


def test_rows_that_cannot_be_mapped_are_taken_one_by_one():
    found = laplacian(lambda x: Cubed.apply(x).sum(1), X)
    torch.testing.assert_close(found, 6 * X.sum(1))
    found = jacobian_penalty(lambda x: Cubed.apply(x)[:, :2], X)
    torch.testing.assert_close(found, (3 * X[:, :2] ** 2).square().sum(1))
    with pytest.raises(RuntimeError, match=r"autograd\.Function"):
        laplacian(lambda x: Cubed.apply(x).sum(1), X, how="forward")


def test_rows_that_are_mapped_wrongly_are_taken_one_by_one():
    """torch.func.vmap of the backward of cdist computes something else, silently."""
    points = OTHER.reshape(BATCH, 2, 2)

    def f(x):
        return torch.cdist(x.reshape(BATCH, 2, 2), points).flatten(1)

    found = jacobian_penalty(f, X)
    leaf = X.clone().requires_grad_()
    apart = [torch.autograd.grad(f(leaf)[:, c].sum(), leaf)[0].square().sum(1) for c in range(4)]
    torch.testing.assert_close(found, sum(apart))
