"""Counted passes: what a step really does against what its derivation says, to the last multiply-add."""

import functools
from math import prod

import pytest

from bench.costs.cells import LOOP_MODES, LOOPS, QUICK_MODE, Cell
from bench.costs.methods import METHODS
from bench.costs.passes import (
    Operation,
    convolution,
    count,
    counted,
    counter,
    floor,
    optimised,
    pairs,
    total,
    work,
    works,
)
from bench.costs.prepare import problem, uncompiled
from bench.costs.workloads import one_draw
from equivalence import cases
from tests.quick import mostly_slow

NETWORKS = ("digits-mlp", "digits-cnn")
BATCH = 4
MLP = [BATCH * inputs * outputs for inputs, outputs in ((784, 32), (32, 32), (32, 10))]  # multiply-adds of a layer
CNN = [BATCH * prod(sizes) for sizes in ((13, 13, 4, 9), (6, 6, 8, 4, 9), (10, 8, 36))]
LAYERS = {"digits-mlp": MLP, "digits-cnn": CNN}
AT_FLOOR = (
    "plain", "noise", "dropout", "weight_noise", "label_smoothing", "flooding", "consistency", "fgm", "fgsm", "fgm raw",
    "pgd-3", "pgd-10", "vat finite_difference",
)  # fmt: skip
TEXT = ("perturb_table", "perturb_output", "normalize_embedding")
EVERY = [(method, "reviews-text" if method in TEXT else "tanh-mlp") for method in METHODS]
DOUBLED = ("gradient_penalty", "jacobian_penalty", "tikhonov_penalty")  # gradients of gradients


@pytest.fixture
def case(name):
    return one_draw(cases.REGISTRY[name]())


@pytest.fixture
def cell(framework, bridge, name):
    """A cell of a method on the case, in the framework's usual mode."""
    return lambda method: Cell(method, framework, QUICK_MODE[framework], name)


@pytest.fixture(scope="module")
def passes(framework, bridge):
    """The works of a case's passes, by its name."""

    @functools.cache
    def found(name):
        return works(Cell("plain", framework, QUICK_MODE[framework], name), one_draw(cases.REGISTRY[name]()))

    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_passes_are_what_the_layers_sum_to(passes, name):
    """Each layer is a product: once forward, once for its inputs, once for its weights; images need no gradient."""
    found, layers = passes(name), LAYERS[name]
    assert found.forward == found.input_gradient == sum(layers)
    assert found.backward == 2 * sum(layers) - layers[0]
    assert (found.first_layer, found.last_layer) == (layers[0], layers[-1])


def test_behind_an_embedding_the_first_layer_passes_its_gradient_on(passes):
    """Padding is not counted: a token at the edge meets a kernel of 3 twice, and one of 5 three times."""
    found = passes("reviews-text")
    first, last = BATCH * 8 * 8 * ((3 * 24 - 2) + (5 * 24 - 6)), BATCH * 16 * 2
    assert (found.forward, found.first_layer, found.last_layer) == (first + last, first, last)
    assert found.backward == 2 * found.forward


@pytest.mark.parametrize("method", mostly_slow(AT_FLOOR, ["plain", "noise", "fgm", "pgd-3", "vat finite_difference"]))
@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_does_what_it_cannot_do_without(passes, cell, case, name, method):
    assert work(cell(method), case) == passes(name).of(METHODS[method].passes)


@pytest.mark.parametrize("method", ["vat", "vat entropy"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_fisher_product_shares_the_clean_pass_where_a_compiler_sees_both(framework, passes, cell, case, name, method):
    """PyTorch, eager, makes a pass of its own, and the change of the logits in it."""
    found = passes(name)
    more = found.forward if framework == "torch" else 0
    least = found.of(METHODS[method].passes)
    # Of a convolution's transpose, and of what PyTorch computes beyond its edges and cuts off, as below.
    margin = found.forward + least // 20 if (framework, name) == ("torch", "digits-cnn") else 0
    assert 0 <= work(cell(method), case) - least - more <= margin


@pytest.mark.parametrize("method", DOUBLED)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_penalty_takes_one_forward_pass_with_the_loss(framework, passes, cell, case, name, method):
    """PyTorch's convolutions, differentiated twice, compute a margin that they then cut off."""
    least = passes(name).of(METHODS[method].passes)
    margin = least // 20 if (framework, name) == ("torch", "digits-cnn") else 0
    assert 0 <= work(cell(method), case) - least <= margin


@pytest.mark.parametrize(
    ("method", "name"), mostly_slow(EVERY, [each for each in EVERY if each[0] in (*TEXT, "laplacian", "spectral_norm")])
)
def test_no_step_does_less_than_its_floor(passes, cell, case, method, name):
    assert work(cell(method), case) >= passes(name).of(METHODS[method].least(case))


@pytest.mark.parametrize("name", ["digits-cnn"])
def test_work_is_said_in_plain_steps(passes, cell, case, name):
    found = passes(name)
    assert counted(cell("fgm"), case) == floor(cell("fgm"), case) == found.of(METHODS["fgm"].passes) / found.plain


@pytest.mark.parametrize("name", ["digits-cnn"])
def test_several_gradients_at_once_are_counted(passes, cell, case, name):
    """Ten classes: their sizes are not in TensorFlow's graph."""
    exact, probed = (work(cell(method), case) for method in ("jacobian_penalty exact", "jacobian_penalty"))
    more = passes(name).of(METHODS["jacobian_penalty exact"].each) * (10 - 1)
    assert more <= exact - probed <= 1.2 * more


@pytest.mark.parametrize("name", ["digits-mlp"])
@pytest.mark.parametrize("method", TEXT)
def test_a_method_that_does_not_apply_says_why(cell, case, name, method):
    with pytest.raises(ValueError, match="no embedding"):
        work(cell(method), case)


@pytest.mark.parametrize("name", ["digits-mlp"])
def test_an_attack_that_computes_the_parameters_gradients_is_caught(passes, cell, case, name):
    """It needs them for one norm of all gradients, so that no compiler can drop them."""
    p = problem(cell("fgm"), case)

    def attacked(params, *rest):
        def loss(free):
            return p.at({name: free[name] for name in params}, *rest).loss(free["inputs"])

        point = p.at(params, *rest)
        _, gradient = p.bridge.value_and_grad(loss)(params | {"inputs": point.x})
        length = sum(p.methods.l2_norm(part[None])[0] ** 2 for part in gradient.values()) ** 0.5
        return point.loss(point.x + p.bridge.fixed(gradient["inputs"] / length))

    found = passes(name)
    wasted = found.backward + found.first_layer - found.input_gradient
    did = count(cell("fgm"), p.bridge.value_and_grad(attacked), *p.arrays)
    assert did - found.of(METHODS["fgm"].passes) == wasted > 0


@pytest.mark.parametrize("name", NETWORKS)
def test_products_alone_do_the_work_of_a_plain_step(framework, cell, case, name):
    """And they run, which is all that is asked of them."""
    plain = cell("plain")
    p, its = problem(plain, case), counter(plain)
    compute, arrays = its.products(uncompiled(plain, p), *p.arrays, mode=plain.mode)
    assert its.work(compute, *arrays, mode="eager") == work(plain, case)
    p.bridge.synchronise(compute(*arrays))


def test_a_loop_is_counted_too(framework, passes):
    """The usual snippet's attack takes gradients of the parameters that nobody reads: PyTorch computes them all."""
    small, mode = one_draw(cases.REGISTRY["digits-mlp"]()), LOOP_MODES[framework][0]
    plain, ours, snippet = (
        Cell(method, framework, mode, small.name) for method in ("plain", "adversarial_training", "adversarial snippet")
    )
    if framework == "tensorflow":
        with pytest.raises(ValueError, match="Keras"):
            work(plain, small)
        return
    found = passes(small.name)
    assert work(plain, small) == found.plain
    assert work(ours, small) == found.of(LOOPS["adversarial_training"].passes)
    unread = found.backward + found.first_layer - found.input_gradient
    assert work(snippet, small) - work(ours, small) == (unread if framework == "torch" else 0)


def test_pairs_leave_padding_and_inserted_zeros_out():
    assert pairs(5, 3, 5, 1, 1) == 3 * 5 - 2  # "same": the ends meet the kernel's outer entries in padding
    assert pairs(28, 3, 13, 2, 0) == 3 * 13
    assert pairs(13, 3, 28, 1, 2, spread=2) == 3 * 13  # its gradient in the inputs, as a convolution
    assert pairs(28, 13, 3, 1, 0, dilation=2) == 3 * 13  # and in the kernel
    assert convolution((2, 4, 3), [(5, 3, 5, 1, 1), (28, 3, 13, 2, 0)]) == 2 * 4 * 3 * 13 * 39


def test_compilers_drop_what_nobody_reads_and_what_is_there_twice():
    program = [
        Operation("product", (0, 1), (2,), 10),
        Operation("product", (0, 1), (3,), 10),  # the same again
        Operation("tanh", (2,), (4,)),
        Operation("tanh", (3,), (5,)),
        Operation("product", (4, 1), (6,), 100),
        Operation("product", (5, 1), (7,), 100),
        Operation("product", (7, 0), (8,), 1000),  # not read
        Operation("transposed product", (4, 1), (9,), 10000),
    ]
    assert total(optimised(program, [6, 7])) == 110
    assert total(optimised(program, [9, 6])) == 10110
    assert optimised(program, []) == []


@pytest.mark.slow
@pytest.mark.parametrize("method", [name for name in METHODS if METHODS[name].quick])
@pytest.mark.parametrize("name", ["tanh-mlp"])
def test_a_compiled_step_is_traced_once_and_is_one_graph(framework, cell, case, method, name):
    """Python runs when it is traced, and at no later step. Only PyTorch's graphs can break, where fullgraph raises."""
    p, calls = problem(cell(method), case), []
    step = uncompiled(cell(method), p)

    def traced(*arrays):
        calls.append(1)
        return step(*arrays)

    run = p.bridge.compiled(traced, {"torch": "traced"}.get(framework, QUICK_MODE[framework]))
    results = [run(*problem(cell(method), case).arrays) for _ in range(3)]
    assert len(calls) == 1
    if framework == "torch":
        import torch
        from torch.fx.experimental.proxy_tensor import make_fx

        graph = make_fx(step)(*p.arrays)
        values, _ = torch.compile(graph, fullgraph=True, backend="eager")(*p.arrays)
        assert torch.allclose(values, results[0][0])
