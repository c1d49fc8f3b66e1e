"""Objectives in other people's loops, in at most fifteen lines of the user's, each against the same loop by hand.

Runs where the packages are: tox's environment ecosystem-torch. Elsewhere each test says which one is missing.
"""

import contextlib
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from impls.torch.objectives import adversarial_objective, gradient_penalty_objective, virtual_adversarial_objective
from impls.torch.training import adversarial_training

RADIUS, RATE, BATCH, LENGTH, VOCABULARY = 0.5, 0.1, 4, 6, 50


def missing(*names):
    """Skip, and say so, where a package is missing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [pytest.importorskip(name, reason=f"{name} is missing: tox -e ecosystem-torch has it") for name in names]


@pytest.fixture(autouse=True)
def _others_warnings():
    """What other packages warn of is their own affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def examples(count=16):
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(VOCABULARY, (count, LENGTH), generator=generator)
    mask = torch.ones_like(tokens)
    mask[::2, 4:] = 0
    labels = torch.randint(2, (count,), generator=generator)
    names = ("input_ids", "attention_mask", "labels")
    return [dict(zip(names, row, strict=True)) for row in zip(tokens, mask, labels, strict=True)]


def collated(rows):
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


def batches(count=16):
    rows = examples(count)
    return [collated(rows[begin : begin + BATCH]) for begin in range(0, count, BATCH)]


def bert(transformers, **options):
    """A BERT of two layers with random weights."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.BertConfig(
        vocab_size=VOCABULARY,
        max_position_embeddings=16,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        **sizes,
    )
    config._attn_implementation = options.get("attention", "sdpa")
    return transformers.BertForSequenceClassification(config).train()


def table_of(model):
    """The name and the table of a BERT's words."""
    name = "bert.embeddings.word_embeddings.weight"
    return name, model.get_parameter(name)


def fgm_by_hand(model, inputs):
    """The model's own loss at its table and r."""
    name, table = table_of(model)
    leaf = table.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(functional_call(model, {name: leaf}, (), inputs).loss, leaf)
    return functional_call(model, {name: table + RADIUS * g / g.norm()}, (), inputs).loss


def own_loss(outputs, labels):
    """The loss that the model computes from labels among its inputs."""
    return outputs.loss


def trained_by_hand(model, steps, *, micro=1, value=fgm_by_hand):
    """Plain SGD over the batches in order, `micro` of them to a step."""
    optimizer = torch.optim.SGD(model.parameters(), RATE)
    every = batches()
    for step in range(steps):
        optimizer.zero_grad()
        for inputs in every[step * micro : (step + 1) * micro]:
            (value(model, inputs) / micro).backward()
        optimizer.step()
    return weights(model)


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def same(found, wanted, start):
    """To a small part of what training moved."""
    assert (found - wanted).abs().max() <= 1e-5 * (wanted - start).abs().max()


def test_transformers_objectives(tmp_path):
    (transformers,) = missing("transformers")
    model, [inputs, *_] = bert(transformers), batches()
    words = "word_embeddings"
    value = adversarial_objective(model, own_loss, words, radius=RADIUS)(transformers.BatchEncoding(inputs))
    torch.testing.assert_close(value, fgm_by_hand(model, inputs))
    unlabelled = {name: part for name, part in inputs.items() if name != "labels"}
    vat = virtual_adversarial_objective(model, None, words, mask="attention_mask", radius=RADIUS, xi=0.1)
    vat(unlabelled).backward()
    penalty = gradient_penalty_objective(
        model, lambda o, y: F.cross_entropy(o.logits, y, reduction="none"), words, weight=1
    )
    with pytest.raises(RuntimeError, match='attn_implementation="eager"'):
        penalty(unlabelled, inputs["labels"])
    eager = bert(transformers, attention="eager")
    penalty = gradient_penalty_objective(
        eager, lambda o, y: F.cross_entropy(o.logits, y, reduction="none"), words, weight=1
    )
    penalty(unlabelled, inputs["labels"]).backward()


def test_transformers_checkpointing():
    (transformers,) = missing("transformers")
    found = []
    for again in (False, True):
        model, inputs = bert(transformers), batches()[0]
        if again:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        adversarial_objective(model, own_loss, "word_embeddings", radius=RADIUS)(inputs).backward()
        found.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("micro", [1, 2])
def test_transformers_trainer(tmp_path, micro):
    transformers, _ = missing("transformers", "accelerate")

    class Trainer(transformers.Trainer):
        objective = None

        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            if return_outputs or not model.training:
                return super().compute_loss(model, inputs, return_outputs)
            if self.objective is None:  # the model as it is wrapped for training
                self.objective = adversarial_objective(model, own_loss, "word_embeddings", radius=RADIUS)
            return self.objective(inputs)

    class InOrder(Trainer):
        def _get_train_sampler(self, *_):
            return torch.utils.data.SequentialSampler(self.train_dataset)

    model = bert(transformers)
    start = weights(model)
    arguments = transformers.TrainingArguments(
        str(tmp_path),
        per_device_train_batch_size=BATCH,
        gradient_accumulation_steps=micro,
        num_train_epochs=1,
        max_grad_norm=0,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
    )
    optimizer = torch.optim.SGD(model.parameters(), RATE)
    constant = torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)
    trainer = InOrder(
        model, arguments, train_dataset=examples(), data_collator=collated, optimizers=(optimizer, constant)
    )
    trainer.model_accepts_loss_kwargs = False  # the objective is a mean over its batch: the trainer divides it
    trainer.train()
    same(weights(model), trained_by_hand(bert(transformers), 4 // micro, micro=micro), start)


def test_accelerate():
    transformers, accelerate = missing("transformers", "accelerate")
    model = bert(transformers)
    start = weights(model)
    # the recipe:
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
    model, optimizer = accelerator.prepare(model, torch.optim.SGD(model.parameters(), RATE))
    objective = adversarial_objective(model, own_loss, "word_embeddings", radius=RADIUS)
    for inputs in batches():
        with accelerator.accumulate(model):
            accelerator.backward(objective(inputs))
            optimizer.step()
            optimizer.zero_grad()
    # its end
    same(weights(accelerator.unwrap_model(model)), trained_by_hand(bert(transformers), 2, micro=2), start)
    step = adversarial_training(model, optimizer, own_loss, "word_embeddings", radius=RADIUS)
    with (
        accelerator.accumulate(model),
        pytest.raises(RuntimeError, match=r"did not call its closure.*accelerator.backward"),
    ):
        step(batches()[0])


class Image(nn.Module):
    """Inputs (B, 4) to logits (B, 3)."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))

    def forward(self, x):
        return self.layers(x)


def images():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(16, 4, generator=generator), torch.randint(3, (16,), generator=generator)


def image_by_hand(model, x, labels):
    leaf = x.clone().requires_grad_()
    (g,) = torch.autograd.grad(F.cross_entropy(model(leaf), labels), leaf)
    return F.cross_entropy(model(x + RADIUS * g / g.norm(dim=1, keepdim=True)), labels)


def images_trained_by_hand(micro=1):
    torch.manual_seed(0)
    model = Image()
    optimizer = torch.optim.SGD(model.parameters(), RATE)
    x, labels = images()
    parts = list(zip(x.split(BATCH), labels.split(BATCH), strict=True))
    for begin in range(0, len(parts), micro):
        optimizer.zero_grad()
        for part in parts[begin : begin + micro]:
            (image_by_hand(model, *part) / micro).backward()
        optimizer.step()
    return weights(model)


@pytest.mark.parametrize("micro", [1, 2])
def test_lightning(tmp_path, micro):
    (lightning,) = missing("lightning")

    class Classifier(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = Image()
            self.objective = adversarial_objective(self.model, nn.CrossEntropyLoss(), radius=RADIUS)

        def training_step(self, batch, number):
            return self.objective(*batch)

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), RATE)

    torch.manual_seed(0)
    module = Classifier()
    start = weights(module)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*images()), batch_size=BATCH)
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    trainer = lightning.Trainer(
        max_epochs=1, accelerator="cpu", accumulate_grad_batches=micro, default_root_dir=tmp_path, **quiet
    )
    trainer.fit(module, loader)
    same(weights(module), images_trained_by_hand(micro), start)


def test_mixed_precision_loop():
    torch.manual_seed(0)
    model = Image()
    start = weights(model)
    x, labels = images()
    # the recipe:
    optimizer, scaler = torch.optim.SGD(model.parameters(), RATE), torch.amp.GradScaler("cpu", init_scale=256.0)
    objective = adversarial_objective(model, nn.CrossEntropyLoss(), radius=RADIUS)
    for inputs, targets in zip(x.split(BATCH), labels.split(BATCH), strict=True):
        with torch.autocast("cpu", torch.bfloat16):
            value = objective(inputs, targets)
        scaler.scale(value).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 100.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
    # its end
    wanted = images_trained_by_hand()
    assert (weights(model) - wanted).abs().max() < 0.05 * (wanted - start).abs().max()  # bfloat16


def test_moving_average_loop():
    torch.manual_seed(0)
    model = Image()
    x, labels = images()
    # the recipe:
    average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.5))
    optimizer = torch.optim.SGD(model.parameters(), RATE)
    step = adversarial_training(model, optimizer, nn.CrossEntropyLoss(), radius=RADIUS)
    for inputs, targets in zip(x.split(BATCH), labels.split(BATCH), strict=True):
        step(inputs, targets)
        average.update_parameters(model)
    # its end
    torch.testing.assert_close(weights(model), images_trained_by_hand())
    assert not torch.equal(weights(average.module), weights(model))


def test_data_parallel_loop(tmp_path):
    """In one process; `test_replicas` has two."""
    from torch import distributed
    from torch.nn.parallel import DistributedDataParallel

    torch.manual_seed(0)
    x, labels = images()
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    with contextlib.closing(Closing()):
        # the recipe:
        model = DistributedDataParallel(Image())
        optimizer = torch.optim.SGD(model.parameters(), RATE)
        step = adversarial_training(model, optimizer, nn.CrossEntropyLoss(), radius=RADIUS)
        for inputs, targets in zip(x.split(BATCH), labels.split(BATCH), strict=True):
            step(inputs, targets)
        # its end
        torch.testing.assert_close(weights(model), images_trained_by_hand())


class Closing:
    def close(self):
        torch.distributed.destroy_process_group()
