"""`check` on PyTorch models: what is planted is found and named, what is right passes, what is said is so."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.check.template import TEMPLATES
from equivalence.own_models import load
from equivalence.protocol import Complaint
from tests.own_models.looked import bad, looked, said, verdicts

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.usefixtures("bridge")
NAMESPACES = ("http://www.w3.org", "http://purl.org/dc", "http://creativecommons.org/ns")  # of SVG: nobody fetches them


@pytest.mark.slow
def test_a_wrong_double_backward_is_found_and_named():
    section = looked("torch", "torch_wrong_double_backward", "derivatives")["derivatives"]
    assert "2.act (Act)" in bad(section) and "Cube is a torch.autograd.Function" in bad(section)
    found = verdicts(section)
    assert found["gradient in what is perturbed", "backward"] == "right"
    assert found["penalty's gradient in the parameters", "double backward"] == "wrong"
    assert found["penalty's gradient in the parameters", "finite difference"] == "right"


@pytest.mark.slow
def test_a_detached_branch_is_found_and_named():
    section = looked("torch", "torch_detached_branch", "derivatives")["derivatives"]
    assert "2 (Gate): detach at line 23 ends the gradient" in bad(section)
    assert verdicts(section)["gradient in what is perturbed", "backward"] == "wrong"


@pytest.mark.slow
def test_an_operator_with_a_wrong_double_backward_is_found_and_named():
    section = looked("torch", "torch_custom_op", "derivatives")["derivatives"]
    assert "2 (Act)" in bad(section)
    found = verdicts(section)
    assert found["gradient in what is perturbed", "backward"] == "right"
    assert found["penalty's gradient in the parameters", "double backward"] == "wrong"


def test_a_buffer_that_moves_within_a_pass_is_named():
    section = looked("torch", "torch_moving_buffer", "samples")["samples"]
    assert "changed what it computes with, 1.scale" in said(section)
    assert not bad(section)  # the methods give each pass a copy


def test_a_state_that_is_no_buffer_is_wrong_and_named():
    section = looked("torch", "torch_counting", "samples")["samples"]
    assert "1 (Count) keeps something in an attribute" in bad(section)


@pytest.mark.slow
def test_batch_norm_is_named_and_is_no_fault():
    found = looked("torch", "torch_batch_norm", "samples")["samples"]
    assert found.numbers["coupled"] and "1 (BatchNorm1d)" in said(found) and not bad(found)
    section = looked("torch", "torch_batch_norm", "derivatives")["derivatives"]
    assert not bad(section)
    assert verdicts(section)["penalty's gradient in the parameters", "finite difference"] == "not for this model"


def test_negatives_within_the_batch_are_seen():
    found = looked("torch", "torch_in_batch_negatives", "samples")["samples"]
    assert found.numbers["coupled"] and "loss" in said(found)


@pytest.mark.slow
def test_a_layer_norm_is_right_by_the_methods_and_named_where_pytorch_is_wrong(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(TEMPLATES["torch"])
    section = looked("torch", str(path), "derivatives")["derivatives"]
    assert not bad(section) and "1 (LayerNorm)" in said(section)
    assert set(verdicts(section).values()) == {"right", "wrong"}


def test_the_spectrum_is_that_of_the_metric():
    """Against the Jacobian by PyTorch's own function for it, and NumPy's eigenvalues."""
    own = load("torch", "tests/own_models/torch_wrong_double_backward.py", double=True)
    section = looked("torch", "torch_wrong_double_backward", "curvature")["curvature"]
    model, (x, _) = own.model, (own.arguments[0][0], None)
    first, second = [], []
    for row in x:
        jacobian = torch.autograd.functional.jacobian(lambda x: model(x[None])[0], row).numpy()
        p = torch.softmax(model(row[None])[0], 0).detach().numpy()
        values = np.linalg.eigvalsh(jacobian.T @ (np.diag(p) - np.outer(p, p)) @ jacobian)
        first.append(values[-1]), second.append(values[-2])
    assert section.numbers["λ1"] == pytest.approx(np.median(first), rel=1e-9)
    assert section.numbers["λ2"] == pytest.approx(np.median(second), rel=1e-9)


@pytest.mark.slow
def test_the_radius_is_where_the_first_order_is_lost():
    """The loss at the radius that is said, along the gradient, is 10 % off from ε‖g‖."""
    section = looked("torch", "torch_batch_norm", "radius")["radius"]
    own = load("torch", "tests/own_models/torch_batch_norm.py", double=True)
    x, labels = own.arguments[0][0], own.labels
    x.requires_grad_()
    losses = own.loss(own.model(x), labels)
    (g,) = torch.autograd.grad(losses.sum(), x)
    norms = g.flatten(1).norm(dim=1)
    radius = section.numbers["10 % lost"]
    with torch.no_grad():
        gain = (own.loss(own.model(x + radius * g / norms[:, None]), labels) - losses).sum()
    assert abs(float(gain / (radius * norms.sum())) - 1) == pytest.approx(0.1, abs=0.01)


def test_what_can_be_perturbed_is_named_as_the_one_liners_name_it():
    found = looked("torch", "torch_lstm", "places")
    rows = {row[0]: row for row in found["places"].rows}
    assert {"the output of embedding", "the table of embedding"} <= rows.keys()


@pytest.mark.slow
def test_what_tokens_are_embedded_to_is_what_the_radius_is_of():
    section = looked("torch", "torch_lstm", "radius")["radius"]
    assert section.numbers["place"] == "the output of embedding"


@pytest.mark.slow
def test_every_step_is_timed_beside_its_floor():
    section = looked("torch", "torch_lstm", "cost", "lines")
    names = [row[0] for row in section["cost"].rows]
    assert names[0] == "plain" and {"fgm", "vat", "gradient penalty, double backward"} <= set(names)
    assert section["cost"].numbers["floors"]["fgm"] == pytest.approx(5 / 3, rel=0.05)
    line = section["lines"].numbers["lines"]["fgm"]
    assert line == 'step = adversarial_training(model, optimizer, loss, "embedding", where="output", radius=RADIUS)'


@pytest.mark.slow
def test_a_loss_that_is_one_number_is_taken_as_such(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(TEMPLATES["torch"].replace(', reduction="none"', ""))
    found = looked("torch", str(path), "samples", "lines")
    assert found["samples"].numbers["one number"] and "mean of what each sample has alone" in said(found["samples"])
    assert not bad(looked("torch", str(path), "derivatives")["derivatives"])


UNUSABLE = {
    "no batch": ("import torch\nmodel = torch.nn.Linear(2, 2)\n", "defines no batch"),
    "no module": ("import torch\nmodel, loss, batch = 3, 4, 5\n", "model is a int, expected a torch.nn.Module"),
    "fails": ("import torch\n\nraise ValueError('hm')\n", r"cannot be imported: ValueError: hm \(line 3\)"),
    "shapes": (
        "import torch\nmodel, loss = torch.nn.Linear(2, 2), torch.nn.CrossEntropyLoss()\n"
        "batch = torch.ones(3, 5), torch.zeros(3).long()\n",
        "do not fit together",
    ),
    "nothing to train": (
        "import torch\nmodel, loss = torch.nn.Flatten(), lambda outputs, labels: outputs.sum(1)\n"
        "batch = torch.ones(3, 5), None\n",
        "depends on no parameter",
    ),
}


@pytest.mark.parametrize(("code", "words"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_file_that_cannot_be_used_says_why(code, words, tmp_path):
    path = tmp_path / "own.py"
    path.write_text(code)
    with pytest.raises(Complaint, match=words):
        load("torch", str(path), double=False)


@pytest.mark.slow
def test_an_exported_program_is_looked_at(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
    torch.export.save(torch.export.export(model, (torch.randn(4, 5),)), tmp_path / "model.pt2")
    section = looked("torch", str(tmp_path / "model.pt2"), "derivatives")["derivatives"]
    assert not bad(section) and "right" in verdicts(section).values()


def test_weights_alone_are_refused_with_what_to_do(tmp_path):
    torch.save({}, tmp_path / "weights.pt")
    with pytest.raises(Complaint, match="weights without the code"):
        load("torch", str(tmp_path / "weights.pt"), double=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["torch_lstm", "torch_critic", "torch_pinn"])
def test_models_that_it_was_not_written_for_are_right(name):
    section = looked("torch", name, "derivatives")["derivatives"]
    found = verdicts(section)
    assert not bad(section)
    assert found["penalty's gradient in the parameters", "double backward"] == "right"
    assert set(found.values()) <= {"right", "raises", "wrong"}  # PyTorch's own instance norm is
    assert "undecided" not in found.values()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "status"), [("torch_lstm", 0), ("torch_wrong_double_backward", 1)])
def test_the_command_ends_with_what_it_found(name, status, tmp_path):
    command = [
        sys.executable,
        "-m",
        "bench",
        "check",
        f"tests/own_models/{name}.py",
        "--json",
        str(tmp_path / "a.json"),
    ]
    done = subprocess.run([*command, "--html", str(tmp_path / "a.html")], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == status, done.stdout + done.stderr
    told = json.loads((tmp_path / "a.json").read_text())
    assert told["right"] is (status == 0) and set(told["sections"]) >= {"derivatives", "samples", "radius", "cost"}
    page = (tmp_path / "a.html").read_text()
    for name in NAMESPACES:
        page = page.replace(name, "")
    assert "<svg" in page and "http://" not in page and "https://" not in page


@pytest.mark.slow
def test_a_file_that_fails_ends_the_command_with_2(tmp_path):
    (tmp_path / "own.py").write_text("import torch\nprint('x' * 9)\nmodel = 3\n")
    command = [sys.executable, "-m", "bench", "check", str(tmp_path / "own.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "defines no batch" in done.stderr, done.stdout + done.stderr
    assert "xxxx" not in done.stdout
