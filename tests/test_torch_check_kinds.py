"""`check` on kinds of PyTorch models: what is a kind's own way is no fault, and what is one is found and named."""

import pytest
import torch

from bench.check.run import remarks
from equivalence.own_models import load
from equivalence.protocol import Complaint
from tests.own_models.looked import bad, looked, said, verdicts

pytestmark = pytest.mark.usefixtures("bridge")

START = """
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)

def loss(outputs, labels):
    return F.cross_entropy(outputs.float() if outputs.dtype == torch.bfloat16 else outputs, labels, reduction="none")

batch = torch.randn(5, 6), torch.arange(5) % 3
"""


SPECTRAL = {
    "parametrised": "from torch.nn.utils.parametrizations import spectral_norm\n",
    "by a hook": "from torch.nn.utils import spectral_norm\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("where", SPECTRAL.values(), ids=SPECTRAL)
def test_a_spectral_norm_holds_its_vectors_fixed_by_definition(where, write):
    path = write(
        where + "model = nn.Sequential(spectral_norm(nn.Linear(6, 8)), nn.Tanh(), spectral_norm(nn.Linear(8, 3)))"
    )
    section = looked("torch", path, "derivatives")["derivatives"]
    assert set(verdicts(section).values()) == {"right"}
    assert any("power iteration" in text for text in section.numbers["remarks"])


KEEPING = """
class Keeping(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(()), persistent=False)
    def forward(self, x):
        self.seen += 1
        return x * (1 + self.seen)
model = nn.Sequential(nn.Linear(6, 3), Keeping())
"""


def test_a_buffer_that_is_not_saved_is_seen_to_move_and_put_back(write):
    path = write(KEEPING)
    found = looked("torch", path, "samples")["samples"]
    assert "changed what it computes with, 1.seen" in said(found) and not bad(found)
    own = load("torch", path, double=False)
    own.passes()
    assert own.model[1].seen == 0


def test_a_model_of_bfloat16_is_looked_at_in_it(write):
    path = write(
        "model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).bfloat16()\n"
        "batch = batch[0].bfloat16(), batch[1]\n"
    )
    found = looked("torch", path, "precision")["precision"]
    assert found.numbers["dtype"] == "bfloat16" and found.numbers["smallest radius"] > 1e-3


NARROW = """
class Narrow(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(8, 1))
        self.register_buffer("weight", torch.randn(8, 6).to(torch.float8_e4m3fn))
    def forward(self, x):
        assert x.dtype == torch.float32, "float32 alone"
        return F.linear(x, self.weight.to(x.dtype) * self.scale)
model = nn.Sequential(Narrow(), nn.Tanh(), nn.Linear(8, 3))
"""


def test_a_model_that_refuses_float64_is_looked_at_as_it_was(write):
    own = load("torch", write(NARROW), double=True)
    assert own.model[0].weight.dtype == torch.float8_e4m3fn and own.dtype == "float32"
    assert any("float32 alone" in text for text in own.remarks)


@pytest.mark.slow
def test_numbers_of_eight_bits_are_storage_to_forward_mode_too(write):
    path = write(NARROW.replace('        assert x.dtype == torch.float32, "float32 alone"\n', ""))
    assert set(verdicts(looked("torch", path, "derivatives")["derivatives"]).values()) == {"right"}


COMPLEX = """
class Spectrum(nn.Module):
    def __init__(self):
        super().__init__()
        self.filter = nn.Parameter(torch.randn(4, dtype=torch.cfloat))
        self.output = nn.Linear(6, 3)
    def forward(self, x):
        return self.output(torch.tanh(torch.fft.irfft(torch.fft.rfft(x) * self.filter, n=6)))
model = Spectrum()
"""


@pytest.mark.slow
def test_complex_parameters_are_told_not_to_be_looked_at(write):
    section = looked("torch", write(COMPLEX), "derivatives")["derivatives"]
    assert set(verdicts(section).values()) == {"right"}
    assert remarks([section]) == ["derivatives in complex parameters are not looked at: filter"]


@pytest.mark.slow
def test_checkpointed_parts_see_the_parameters_that_are_tried(write):
    path = write(
        "from torch.utils.checkpoint import checkpoint\n"
        "class Block(nn.Linear):\n"
        "    def forward(self, x):\n"
        "        return checkpoint(lambda h: torch.tanh(super(Block, self).forward(h)), x, use_reentrant=False)\n"
        "model = nn.Sequential(Block(6, 8), Block(8, 8), nn.Linear(8, 3))\n"
    )
    assert set(verdicts(looked("torch", path, "derivatives")["derivatives"]).values()) == {"right"}


def test_a_loss_with_weights_is_widened_with_the_model(write):
    own = load("torch", write("model = nn.Linear(6, 3)\nloss = nn.CrossEntropyLoss(torch.ones(3))"), double=True)
    assert own.dtype == "float64" and not own.remarks


def test_probabilities_are_no_logits(write):
    """The metric of what a softmax has made of logits is that of the logits."""
    code = "model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3){softmax})\n"
    plain = looked("torch", write(code.format(softmax="")), "curvature")["curvature"].numbers["λ1"]
    log = "def loss(outputs, labels):\n    return F.nll_loss(outputs.log(), labels, reduction='none')\n"
    path = write(code.format(softmax=", nn.Softmax(1)") + log)
    assert looked("torch", path, "curvature")["curvature"].numbers["λ1"] == pytest.approx(plain, rel=1e-9)
    assert "probabilities" in load("torch", path, double=True).remarks[0]


def test_several_yes_and_no_of_a_sample_are_no_classes(write):
    path = write(
        "model = nn.Linear(6, 3)\n"
        "def loss(outputs, labels):\n"
        "    return F.binary_cross_entropy_with_logits(outputs, labels, reduction='none').mean(1)\n"
        "batch = batch[0], torch.tensor([[1.0, 0, 1]] * 5)\n"
    )
    own = load("torch", path, double=False)
    assert own.problem(own.places()[0]).logits is None


def test_logits_of_every_position_are_not_those_of_one_choice(write):
    path = write(
        "model = nn.Linear(6, 3)\n"
        "def loss(outputs, labels):\n"
        "    return F.cross_entropy(outputs.transpose(1, 2), labels, reduction='none').mean(1)\n"
        "batch = torch.randn(5, 4, 6), torch.randint(3, (5, 4))\n"
    )
    own = load("torch", path, double=False)
    assert own.problem(own.places()[0]).logits is None


def test_a_number_beside_the_samples_is_no_place(write):
    path = write(
        "class Tempered(nn.Linear):\n"
        "    def forward(self, x, temperature):\n"
        "        return super().forward(x) / temperature\n"
        "model = Tempered(6, 3)\n"
        "batch = (batch[0], torch.tensor(2.0)), batch[1]\n"
    )
    assert [place.title for place in load("torch", path, double=True).places()] == ["the input 0"]


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_torchscript_is_refused_with_what_to_give(write):
    with pytest.raises(Complaint, match="give the module that it was made from"):
        load("torch", write("model = torch.jit.trace(nn.Linear(6, 3), batch[0])"), double=False)


@pytest.mark.slow
def test_what_is_not_a_number_is_called_so(write):
    path = write(
        "class Root(nn.Module):\n"
        "    def forward(self, x):\n"
        "        return torch.where(x > 0, x.sqrt(), 0)\n"
        "model = nn.Sequential(nn.Linear(6, 8), Root(), nn.Linear(8, 3))\n"
    )
    section = looked("torch", path, "derivatives")["derivatives"]
    assert "by backward (NaN)" in bad(section) and "1 (Root)" in bad(section)
