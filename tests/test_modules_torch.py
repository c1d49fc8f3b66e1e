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
from impls.torch.refusals import explain
from impls.torch.virtual_adversarial import vat_loss, vat_perturbation

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
        X + perturb_output(lambda x: losses(f)(x[:, 0]), X[:, None], torch.ones(BATCH, 1).double(), radius=0.3)[:, 0]
    )
    * f(X).sum(),
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
