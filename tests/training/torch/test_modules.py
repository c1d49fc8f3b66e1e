"""Modules of all kinds: computed weights, checkpoints, hooks, fused attention, tables, wrappers."""

import random
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune
from torch.utils.checkpoint import checkpoint

from impls.torch.objectives import adversarial_objective, gradient_penalty_objective, virtual_adversarial_objective
from tests.training.torch.by_hand import (
    CLASSES,
    EACH,
    MEAN,
    RADIUS,
    VOCABULARY,
    WIDTH,
    Image,
    Language,
    Text,
    batch,
    by_position,
    every_method,
    fgm_by_hand,
    fgm_on_table_by_hand,
    gradients,
    made,
    same,
)

REPARAMETRISED = {
    "weight_norm": lambda part: parametrizations.weight_norm(part),
    "spectral_norm": lambda part: parametrizations.spectral_norm(part),
    "orthogonal": lambda part: parametrizations.orthogonal(part),
    "weight_norm as it was": lambda part: nn.utils.weight_norm(part),
    "spectral_norm as it was": lambda part: nn.utils.spectral_norm(part),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
@pytest.mark.parametrize("wrap", REPARAMETRISED.values(), ids=REPARAMETRISED)
@pytest.mark.parametrize("place", ["table", "head"])
def test_weights_that_are_computed(wrap, place):
    """Also the perturbed table's own. By hand: the table that the look-up sees, and r on top of it."""
    tokens, labels = batch(Text)

    def built():
        model = made(Text)
        wrap(model.embedding if place == "table" else model.head.first)
        return model

    def passed(r=None):
        """One pass with r on the table, from the same buffers."""
        model, seen = built(), []

        def look_up(tokens):
            seen.append(model.embedding.weight)
            return F.embedding(tokens, seen[0] if r is None else seen[0] + r)

        model.embedding.forward = look_up
        return model, MEAN(model(tokens), labels), seen[0]

    clean, loss, table = passed()
    (g,) = torch.autograd.grad(loss, table)
    wanted, model = gradients(*passed(RADIUS * g / g.norm())[:2]), built()
    same(gradients(model, adversarial_objective(model, MEAN, "embedding", radius=RADIUS)(tokens, labels)), wanted)
    assert all(map(torch.equal, model.buffers(), clean.buffers()))
    random = adversarial_objective(built(), MEAN, "embedding", radius=RADIUS, steps=2, start="random")
    assert random(tokens, labels).isfinite()


class Checkpointed(nn.Module):
    """With statistics and dropout within what is computed again."""

    def __init__(self, mode=None):
        super().__init__()
        self.mode, self.text, self.norm, self.drop = mode, Text(), nn.BatchNorm1d(WIDTH), nn.Dropout(0.3)

    def body(self, tokens):
        return self.drop(self.norm(torch.tanh(self.text.embedding(tokens)).mean(1)))

    def forward(self, tokens):
        if self.mode is None:
            return self.text.head(self.body(tokens))
        return self.text.head(checkpoint(self.body, tokens, use_reentrant=self.mode == "reentrant"))


@every_method
@pytest.mark.parametrize("where", ["table", "output"])
def test_activations_that_are_computed_again(method, options, where):
    """The backward pass comes after the objective is over, and after another one."""
    found = {}
    for mode in (None, "not reentrant"):
        model = made(lambda mode=mode: Checkpointed(mode))
        objective = method(model, EACH, "embedding", where=where, **options)
        torch.manual_seed(3)
        first, second = objective(*batch(Text)), objective(*batch(Text, 1))
        found[mode] = gradients(model, first), gradients(model, second), torch.get_rng_state()
    for plain, again in zip(*found.values(), strict=True):
        assert torch.equal(plain, again)
    model = made(lambda: Checkpointed("reentrant"))
    with pytest.raises(RuntimeError, match=r"reentrant activation checkpointing.*use_reentrant=False"):
        method(model, EACH, "embedding", where=where, **options)(*batch(Text))


def test_data_parallel_threads_are_refused():
    model = nn.DataParallel(made(Image))
    with pytest.raises(RuntimeError, match=r"model: got an nn.DataParallel.*DistributedDataParallel"):
        adversarial_objective(model, MEAN, radius=RADIUS)


class Attention(nn.Module):
    """(B, 4) to (B, 3) by PyTorch's fused attention over one head."""

    def __init__(self):
        super().__init__()
        self.project, self.head = nn.Linear(1, 12), nn.Linear(WIDTH, CLASSES)

    def forward(self, x):
        q, k, v = self.project(x[:, :, None]).chunk(3, 2)
        return self.head(F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None]).mean((1, 2)))


def test_a_penalty_on_fused_attention_says_what_to_do():
    model, (x, labels) = made(Attention), batch(Image)
    objective = gradient_penalty_objective(model, EACH, weight=0.5)
    with pytest.raises(RuntimeError, match=r"sdpa_kernel\(SDPBackend.MATH\).*eager.*finite_difference"):
        objective(x, labels)
    with nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH):
        wanted = gradients(model, objective(x, labels))
    way = gradient_penalty_objective(model, EACH, weight=0.5, how="finite_difference", xi=1e-4)
    torch.testing.assert_close(gradients(model, way(x, labels)), wanted, rtol=0, atol=1e-6)


TABLES = {
    "an EmbeddingBag": (lambda: nn.EmbeddingBag(VOCABULARY, WIDTH), r'EmbeddingBag.*where="output"'),
    "max_norm": (lambda: nn.Embedding(VOCABULARY, WIDTH, max_norm=1.0), r'max_norm=1.0.*where="output"'),
    "frozen": (lambda: nn.Embedding.from_pretrained(torch.ones(VOCABULARY, WIDTH)), r'frozen.*where="output"'),
}


@pytest.mark.parametrize(("table", "words"), TABLES.values(), ids=TABLES)
def test_a_table_that_cannot_be_perturbed_has_an_output_that_can(table, words):
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.head = table(), Image()

        def forward(self, tokens):
            x = self.embedding(tokens)
            return self.head(x if x.dim() == 2 else x.mean(1))

    model = made(Reader)
    with pytest.raises((RuntimeError, ValueError), match=f"target: .*{words}"):
        adversarial_objective(model, MEAN, "embedding", radius=RADIUS)(*batch(Text))
    assert adversarial_objective(model, MEAN, "embedding", where="output", radius=RADIUS)(*batch(Text)).isfinite()


SEEN = {  # by the one backward pass: as often as what it differentiates calls the model
    "fgm": (adversarial_objective, {"radius": RADIUS}, 1),
    "pgd": (adversarial_objective, {"radius": RADIUS, "steps": 3, "start": "random"}, 1),
    "vat": (virtual_adversarial_objective, {"radius": RADIUS}, 2),
    "vat by differences": (virtual_adversarial_objective, {"radius": RADIUS, "how": "finite_difference"}, 2),
}


@pytest.mark.parametrize("name", SEEN)
def test_backward_hooks_of_modules_see_the_one_backward_pass(name):
    method, options, count = SEEN[name]
    model, seen = made(Image), []
    wanted = gradients(model, method(model, EACH, **options)(*batch(Image)))
    model.second.register_full_backward_hook(lambda *_: seen.append("after"))
    model.second.register_full_backward_pre_hook(lambda *_: seen.append("before"))
    value = method(model, EACH, **options)(*batch(Image))
    assert not seen
    same(gradients(model, value), wanted)
    assert sorted(seen) == ["after"] * count + ["before"] * count


def test_nothing_is_left_where_a_pass_raises_in_the_middle():
    """Hooks, tables, patches of checkpointing: the next plain step is what it was."""
    model = made(lambda: Checkpointed("not reentrant"))
    before = torch.utils.checkpoint._CheckpointFrame, torch.utils.checkpoint.CheckpointFunction
    weights = {name: id(parameter) for name, parameter in model.named_parameters()}
    buffers = [buffer.clone() for buffer in model.buffers()]

    def loss(outputs, labels):
        loss.calls += 1
        if loss.calls == 2:
            raise KeyboardInterrupt
        return EACH(outputs, labels)

    loss.calls = 0
    with pytest.raises(KeyboardInterrupt):
        adversarial_objective(model, loss, "embedding", radius=RADIUS)(*batch(Text))
    assert before == (torch.utils.checkpoint._CheckpointFrame, torch.utils.checkpoint.CheckpointFunction)
    assert weights == {name: id(parameter) for name, parameter in model.named_parameters()}
    assert all(map(torch.equal, model.buffers(), buffers))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # PyTorch's own, as it loads its compiler
def test_wrappers_that_hide_the_model_are_refused(tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    try:
        parallel = nn.parallel.DistributedDataParallel(made(Image))
        with pytest.raises(RuntimeError, match=r"compiled DistributedDataParallel.*\(torch.compile\(model\)\)"):
            adversarial_objective(torch.compile(parallel), MEAN, radius=RADIUS)
        objective = adversarial_objective(parallel, MEAN, radius=RADIUS)
        same(objective(*batch(Image)), fgm_by_hand(parallel.module, *batch(Image)))
        assert isinstance(parallel.module, Image)
    finally:
        torch.distributed.destroy_process_group()

    class FullyShardedDataParallel(nn.Sequential):
        """By its name alone: the real one needs an accelerator."""

    with pytest.raises(RuntimeError, match=r"fully_shard\(model\)"):
        adversarial_objective(FullyShardedDataParallel(made(Image)), MEAN, radius=RADIUS)


class Bent(nn.Module):
    """A parametrisation that PyTorch computes once within `parametrize.cached()`."""

    def forward(self, weight):
        return weight + 0.1 * torch.tanh(weight)


@pytest.mark.parametrize("place", ["table", "head"])
@pytest.mark.parametrize("options", [{}, {"where": "output", "steps": 2, "start": "random"}])
def test_a_cache_of_computed_weights_serves_one_pass_alone(place, options):
    """Another pass has another table, or no gradients."""
    model, (tokens, labels) = made(Text), batch(Text)
    parametrize.register_parametrization(model.embedding if place == "table" else model.head.first, "weight", Bent())
    wanted, found = (adversarial_objective(model, MEAN, "embedding", radius=RADIUS, **options) for _ in range(2))
    wanted = gradients(model, wanted(tokens, labels))
    with parametrize.cached():
        found = gradients(model, found(tokens, labels))
    same(found, wanted)


class Skipping(Image):
    """Leaves out its scale at random, by a generator that is not PyTorch's, as some models skip layers."""

    def __init__(self, draw):
        super().__init__()
        self.draw = draw

    def forward(self, x):
        return super().forward(x) * (2 if self.draw() < 0.5 else 1)


@pytest.mark.parametrize("draw", [random.random, np.random.random_sample], ids=["Python's", "NumPy's"])
def test_passes_share_what_they_draw_elsewhere(draw):
    model, (x, labels) = made(lambda: Skipping(draw)), batch(Image)
    objective = adversarial_objective(model, MEAN, radius=RADIUS)
    for seed in range(6):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - the global generator is what is tested
        scale = 2 if draw() < 0.5 else 1
        wanted, later = fgm_by_hand(lambda x, scale=scale: Image.forward(model, x) * scale, x, labels), draw()
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        same(gradients(model, objective(x, labels)), gradients(model, wanted))
        assert draw() == later


def test_generators_that_are_not_drawn_from_are_not_looked_at_again():
    model = made(Image)
    objective = adversarial_objective(model, MEAN, radius=RADIUS)
    assert objective.draws_elsewhere
    objective(*batch(Image))
    assert not objective.draws_elsewhere


class Shifting(Image):
    """Centres its inputs in place."""

    def forward(self, x):
        x -= 0.3
        return super().forward(x)


IN_PLACE = {
    "an input, before a random start": ({"start": "random", "clean_weight": 0.5}, EACH, "inputs"),
    "an input, for what lies behind it": ({"target": "first", "where": "output"}, EACH, "inputs"),
    "labels": ({}, lambda outputs, labels: EACH(outputs, labels.add_(1) % CLASSES), "labels"),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_what_passes_share_is_not_to_be_changed_in_place(name):
    options, loss, said = IN_PLACE[name]
    model, (x, labels) = made(Image if said == "labels" else Shifting), batch(Image)
    with pytest.raises(RuntimeError, match=rf"{said}: got some that .* changes in place.*x = x - mean"):
        adversarial_objective(model, loss, radius=RADIUS, **options)(x, labels)


def test_marking_the_same_again_in_place_does_no_harm():
    model, (tokens, labels) = made(Language), batch(Language)

    def loss(outputs, labels):
        labels[labels == 3] = -100
        return by_position(outputs, labels)

    wanted = fgm_on_table_by_hand(model, tokens, torch.where(labels == 3, -100, labels), loss=by_position)
    found = adversarial_objective(model, loss, "embedding", radius=RADIUS)(tokens, labels)
    same(gradients(model, found), gradients(model, wanted))


PRUNED = {"the table": lambda model: model.embedding, "the head": lambda model: model.head.first}


@pytest.mark.parametrize("place", PRUNED)
def test_pruned_weights(place):
    """Which PyTorch computes in a hook before each call."""
    model, (tokens, labels) = made(Text), batch(Text)
    part = PRUNED[place](model)
    prune.l1_unstructured(part, "weight", 0.3)

    def at(r):
        table = part.weight_orig * part.weight_mask if part is model.embedding else model.embedding.weight
        return MEAN(model.head(torch.tanh(F.embedding(tokens, table + r)).mean(1)), labels)

    r = torch.zeros(VOCABULARY, WIDTH, dtype=torch.float64, requires_grad=True)
    (g,) = torch.autograd.grad(at(r), r)
    found = adversarial_objective(model, MEAN, "embedding", radius=RADIUS)(tokens, labels)
    same(gradients(model, found), gradients(model, at((RADIUS * g / g.norm()).detach())))


def test_keras_layers_whose_state_is_in_no_buffer_are_refused(monkeypatch):
    class Layer(nn.Identity):
        """As Keras's own on PyTorch: a module with variables."""

        non_trainable_variables = ("moving_mean",)

    monkeypatch.setitem(sys.modules, "keras", SimpleNamespace(Layer=Layer))
    adversarial_objective(made(Image), MEAN, radius=RADIUS)
    with pytest.raises(RuntimeError, match=r"model: got Keras layers with variables.*KERAS_BACKEND=tensorflow or jax"):
        adversarial_objective(nn.Sequential(made(Image), Layer()), MEAN, radius=RADIUS)
