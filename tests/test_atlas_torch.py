"""What the atlas finds wrong in PyTorch, our methods do not pass on: each is right by a formula, or refuses in words.

Every way of every method is held against differences of the operation's value, which no derivative enters. What is
looked at is what the published atlas has, so that a row that turns wrong is looked at as soon as it is published.
"""

import math
import os

import numpy as np
import pytest

import impls

if (os.environ.get("EQUIREG_FRAMEWORK") or next(iter(impls.installed()), "")) != "torch":
    pytest.skip("another framework is tested in this process", allow_module_level=True)

import torch

from bench.proofs.atlas import stored, wrong_in
from equivalence.atlas import entries, judge
from equivalence.atlas.measure import Probe
from equivalence.atlas.torch import transforms
from impls.torch.curvature import hvp, laplacian
from impls.torch.penalty import input_gradient_penalty
from tests.quick import mostly_slow

NEW = (  # what nobody had reported: looked at whatever is published
    "nn.utils.parametrizations.weight_norm",
    "torch.cholesky_inverse",
    "torch.linalg.tensorsolve",
    "torch.sinc, zero",
    "torch.special.bessel_j0",
)
LATER = {  # what no formula can mend, since it is not an operation of PyTorch, or has no derivative there
    "torch.autograd.Function, intermediate kept": "a rule of the user's own, which nothing can look into",
    "torch.linalg.eigvalsh, equal eigenvalues": "NaN: eigenvectors have no derivative there",
    "torch.linalg.eigh, equal eigenvalues": "NaN: eigenvectors have no derivative there",
    "torch.linalg.svdvals, equal singular values": "NaN: singular vectors have no derivative there",
}
PUBLISHED = {record.operation for record in stored() if record.framework == "torch" and wrong_in(record)}
KNOWN = sorted((PUBLISHED | set(NEW)).intersection(entries("torch")).difference(LATER))


@pytest.fixture(scope="module", autouse=True)
def _double():
    """Layers that entries make are in float64."""
    before = torch.get_default_dtype()
    transforms.configure(threads=1)
    yield
    torch.set_default_dtype(before)


class Ways:
    """Each method on an entry as a function of t, by which the input moves along s: its value, and its slope in t."""

    def __init__(self, entry):
        self.probe = Probe(entry, transforms)
        self.v, self.u, self.s = (torch.tensor(d) for d in self.probe.directions[0])
        self.x = torch.tensor(self.probe.x)[None]

    def found(self, method):
        t = torch.zeros((), requires_grad=True)
        value = method(lambda rows: self.probe.function(rows[0] + t * self.s)[None])
        (slope,) = torch.autograd.grad(value, t)
        return value.item(), slope.item()

    def hessian_product(self, loss):
        return (hvp(loss, self.x, self.v[None]) * self.u).sum()

    def along(self, count):
        """The derivative along v, u and so on, and along s besides."""
        directions = list(self.probe.directions[0])
        return [judge.derivative(self.probe.values, self.probe.x, directions[:n]) for n in (count, count + 1)]

    def trace(self):
        """The Laplacian, and its derivative along s."""
        units, s = np.eye(self.probe.x.size), self.probe.directions[0][2]
        found = [
            [judge.derivative(self.probe.values, self.probe.x, [unit, unit, *more]) for unit in units]
            for more in ((), (s,))
        ]
        return [judge.Estimate(sum(e.value for e in each), sum(e.error for e in each)) for each in found]

    def penalty(self):
        steepest = judge.gradient(self.probe.values, self.probe.x)
        length, s = np.abs(steepest).max() or 1.0, self.probe.directions[0][2]
        half = judge.derivative(self.probe.values, self.probe.x, [steepest / length, s])
        value = judge.Estimate(float(steepest @ steepest), 1e-9 * float(steepest @ steepest))
        return [value, judge.Estimate(2 * length * half.value, 2 * length * half.error)]


def unless_refused(ways, method):
    """What the method gives; None where it refuses, in words of ours or of PyTorch's: no number is passed on."""
    try:
        return ways.found(method)
    except RuntimeError:
        return None


def check(entry):
    ways = Ways(entry)
    for name, method, expected in (
        ("hvp", ways.hessian_product, lambda: ways.along(2)),
        ("laplacian", lambda loss: laplacian(loss, ways.x).sum(), ways.trace),
        ("laplacian, forward", lambda loss: laplacian(loss, ways.x, how="forward").sum(), ways.trace),
        ("penalty", lambda loss: input_gradient_penalty(loss, ways.x).sum(), ways.penalty),
        (
            "penalty, forward",
            lambda loss: input_gradient_penalty(loss, ways.x, how="forward_over_reverse").sum(),
            ways.penalty,
        ),
    ):
        if (found := unless_refused(ways, method)) is None:
            continue
        for number, estimate in zip(found, expected(), strict=True):
            if math.isnan(number):  # whoever trains on it sees it
                continue
            allowed = 1e-5 * max(1.0, abs(estimate.value)) + judge.TRUST * estimate.error
            assert abs(number - estimate.value) <= allowed, (name, number, estimate)


def test_a_refusal_is_in_words_of_ours():
    """Where PyTorch's own number would be wrong: of what is perturbed itself, in reverse mode twice."""
    ways = Ways(entries("torch")["nn.utils.parametrizations.weight_norm"])
    with pytest.raises(RuntimeError, match="the closure: got weight normalisation of what is perturbed"):
        ways.found(lambda loss: input_gradient_penalty(loss, ways.x).sum())


@pytest.mark.parametrize("name", mostly_slow(KNOWN, NEW))
def test_no_method_passes_on_what_the_atlas_finds_wrong(name):
    check(entries("torch")[name])


def test_without_formulas_a_wrong_number_would_be_passed_on(monkeypatch):
    """The check sees it."""
    monkeypatch.setattr("impls.torch.formulas.FORMULAS", {})
    with pytest.raises(AssertionError, match="laplacian, forward"):
        check(entries("torch")["torch.cholesky_inverse"])
