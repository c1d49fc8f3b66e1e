"""PyTorch: sparse tensors made of values that are differentiated have the right derivatives in our methods."""

import numpy as np
import pytest
import torch

from impls.torch.formulas import Formulas
from impls.torch.objectives import gradient_penalty_objective, virtual_adversarial_objective
from tests.quick import mostly_slow

RNG = np.random.default_rng(0)
X, KERNEL, OTHER = (torch.tensor(RNG.standard_normal(shape)) for shape in ((3, 4), (4, 5), (4, 3)))
ROWS, COLUMNS = torch.tensor([0, 0, 1, 2, 2]), torch.tensor([0, 3, 1, 2, 2])  # the last two are one place
PLACES, ELSEWHERE = torch.stack([ROWS, COLUMNS]), torch.tensor([[0, 1], [3, 2]])
SCALE = torch.arange(1.0, 13, dtype=torch.float64).reshape(3, 4)


def dense(values, rows=ROWS, columns=COLUMNS):
    return values.new_zeros(3, 4).index_put((rows, columns), values, accumulate=True)


def sparse(values, places=PLACES, **options):
    return torch.sparse_coo_tensor(places, values, (3, 4), **{"check_invariants": False} | options)


# What is computed of five values by sparse tensors, and the same by dense ones.
MODELS = {
    "to_dense": (lambda v: sparse(v).to_dense(), dense),
    "product": (lambda v: torch.sparse.mm(sparse(v), OTHER * v.sum()), lambda v: dense(v) @ (OTHER * v.sum())),
    "@": (lambda v: sparse(v) @ (OTHER * v.sum()), lambda v: dense(v) @ (OTHER * v.sum())),
    "sum": (
        lambda v: (sparse(v) + sparse(v[:2] * v[2:4], ELSEWHERE)).to_dense(),
        lambda v: dense(v) + dense(v[:2] * v[2:4], *ELSEWHERE),
    ),
    "scaled": (lambda v: (sparse(v) * v.sum()).to_dense(), lambda v: dense(v) * v.sum()),
    "coalesced values": (
        lambda v: sparse(v).coalesce().values(),
        lambda v: dense(v)[ROWS[:4], COLUMNS[:4]],
    ),
    "vectors": (
        lambda v: torch.sparse_coo_tensor(PLACES[:1], torch.outer(v, v), (3, 5), check_invariants=True).to_dense(),
        lambda v: v.new_zeros(3, 5).index_put((ROWS,), torch.outer(v, v), accumulate=True),
    ),
}
METHODS = {
    "penalty": lambda m, loss, f: m.input_gradient_penalty(loss, X),
    "hvp": lambda m, loss, f: m.hvp(loss, X, X.flip(0)),
    "laplacian": lambda m, loss, f: m.laplacian(loss, X),
    "jacobian": lambda m, loss, f: m.jacobian_penalty(f, X),
    "vat": lambda m, loss, f: m.vat_loss(f, X, torch.ones_like(X), radius=1.0),
}


def value_and_gradient(method, m, model):
    kernel = KERNEL.clone().requires_grad_()

    def f(x):  # each sample its own sparse tensor
        found = [model(row).reshape(-1) for row in torch.tanh(x @ kernel)]
        return torch.stack([torch.sin(each * torch.arange(1, len(each) + 1)) for each in found])

    value = method(m, lambda x: f(x).sum(1), f)
    total = (value * torch.arange(1.0, value.shape[0] + 1).reshape(-1, *[1] * (value.dim() - 1))).sum()
    return value.detach(), *torch.autograd.grad(total, kernel)


REFUSED = [("product", method) for method in ("hvp", "laplacian")]
TRIED = [(name, method) for name in MODELS for method in METHODS if (name, method) not in REFUSED]


@pytest.mark.parametrize(("name", "method"), REFUSED)
def test_third_derivatives_of_products_raise_in_pytorch(methods, name, method):
    with pytest.raises(RuntimeError, match="expected sparse coordinate tensor layout"):
        value_and_gradient(METHODS[method], methods, MODELS[name][0])


@pytest.mark.parametrize(
    ("name", "method"),
    mostly_slow(TRIED, [(name, method) for name, method in TRIED if method == "penalty" or name == "coalesced values"]),
)
def test_a_model_is_the_same_by_dense_tensors(methods, name, method):
    found, expected = (value_and_gradient(METHODS[method], methods, model) for model in MODELS[name])
    for a, b in zip(found, expected, strict=True):
        assert b.abs().max() > 1e-3
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9 * float(b.abs().max()))


@pytest.mark.parametrize("options", [{}, {"dtype": torch.float32}, {"check_invariants": True}])
def test_what_is_made_is_pytorchs(options):
    values = torch.ones(5, dtype=torch.float64, requires_grad=True)
    own = sparse(values, **options)
    with Formulas():
        ours = sparse(values, **options)
        sizeless = torch.sparse_coo_tensor(PLACES, values, check_invariants=True)
    assert (ours.dtype, ours.shape, ours.is_coalesced()) == (own.dtype, own.shape, own.is_coalesced())
    assert torch.equal(ours.to_dense(), own.to_dense()) and sizeless.shape == (3, 4)
    for made in (own, ours):
        (gradient,) = torch.autograd.grad((made.to_dense() * SCALE).sum(), values)
        assert gradient.tolist() == SCALE[ROWS, COLUMNS].tolist()


def test_what_cannot_be_made_is_refused_as_pytorch_does():
    values = torch.ones(5, dtype=torch.float64, requires_grad=True)
    with Formulas(), pytest.raises(RuntimeError, match="size is inconsistent with indices"):
        torch.sparse_coo_tensor(PLACES, values, (2, 4), check_invariants=True)


def test_what_has_no_second_derivative_is_refused_in_words(methods):
    kernel = KERNEL.clone().requires_grad_()

    def loss(x):
        return torch.stack([torch.sparse.softmax(sparse(row), 1).to_dense().square().sum() for row in x @ kernel])

    with pytest.raises(RuntimeError, match="which PyTorch cannot differentiate so"):
        methods.input_gradient_penalty(loss, X).sum()


class Model(torch.nn.Module):
    """A learned weight an edge of a small graph, which the input moves, and a layer."""

    def __init__(self, product):
        super().__init__()
        self.product, self.weight = product, torch.nn.Parameter(KERNEL.clone())

    def forward(self, x):
        rows = torch.tanh(x @ self.weight)
        return torch.stack([torch.sin(self.product(row)).reshape(-1)[:2] * (1 + row.sum()) for row in rows])


OBJECTIVES = {
    "penalty": lambda model, loss: gradient_penalty_objective(model, loss, weight=1.0),
    "vat": lambda model, loss: virtual_adversarial_objective(model, loss, radius=1.0),
}


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_model_is_trained_as_with_dense_tensors(objective):
    loss, found = torch.nn.CrossEntropyLoss(reduction="none"), []
    for product in MODELS["product"]:
        model = Model(product)
        value = OBJECTIVES[objective](model, loss)(X, torch.tensor([0, 1, 0]))
        found.append((value.detach(), *torch.autograd.grad(value, model.weight)))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
