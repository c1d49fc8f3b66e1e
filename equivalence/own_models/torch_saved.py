"""Models that are saved whole: a Hugging Face folder, an exported program. What is missing is made: a batch, labels."""

import json
import pathlib

import torch

from equivalence.protocol import Complaint, describe_error

BATCH, LENGTH = 4, 16  # of tokens that are drawn
NO_CODE = (
    "has weights without the code that computes with them. Write a FILE.py that builds the model, loads them"
    " (model.load_state_dict(torch.load(...))) and defines `loss` and `batch`: `python -m bench check --template torch`"
    " prints one to start from"
)


def read_saved(path):
    """(model, loss, batch) of a folder or a file."""
    path = pathlib.Path(path)
    if path.is_dir():
        return hugging_face(path)
    if path.suffix == ".pt2":
        return exported(path)
    raise Complaint(NO_CODE)


def hugging_face(folder):
    """A classifier of a folder with config.json, on random tokens and labels."""
    if not (folder / "config.json").exists():
        raise Complaint("is a folder without config.json, expected one that save_pretrained wrote, or a Python file")
    try:
        from transformers import AutoConfig, AutoModelForSequenceClassification
    except ModuleNotFoundError:
        raise Complaint(
            "is a Hugging Face folder, and transformers is not installed: pip install transformers"
        ) from None
    try:
        config = AutoConfig.from_pretrained(folder)
        model = AutoModelForSequenceClassification.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, json.JSONDecodeError) as error:
        raise Complaint(f"cannot be read by transformers: {describe_error(error):.300}") from None
    torch.manual_seed(0)
    length = min(LENGTH, getattr(config, "max_position_embeddings", LENGTH))
    tokens = torch.randint(config.vocab_size, (BATCH, length))
    inputs = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
    labels = torch.randint(config.num_labels, (BATCH,))
    return model.train(), lambda outputs, labels: cross_entropy(outputs.logits, labels), (inputs, labels)


def exported(path):
    """An exported program on its own example inputs; the targets of a squared error are what it returns, shifted."""
    try:
        program = torch.export.load(path)
    except Exception as error:  # whatever a damaged archive raises
        raise Complaint(f"cannot be read by torch.export.load: {describe_error(error):.300}") from None
    if program.example_inputs is None:
        raise Complaint("is an exported program without example inputs: expected one that torch.export.save wrote")
    args, kwargs = program.example_inputs
    model = program.module()
    with torch.no_grad():
        outputs = model(*args, **kwargs)
    tensor = outputs if isinstance(outputs, torch.Tensor) else outputs[0]
    torch.manual_seed(0)
    size = len(tensor)
    if tensor.dim() == 2 and tensor.shape[1] > 1:
        labels = torch.randint(tensor.shape[1], (size,))
        return model, lambda outputs, labels: cross_entropy(first(outputs), labels), (args, labels)
    labels = tensor.detach() + torch.randn_like(tensor)
    return model, lambda outputs, labels: (first(outputs) - labels).square().flatten(1).sum(1), (args, labels)


def first(outputs):
    return outputs if isinstance(outputs, torch.Tensor) else outputs[0]


def cross_entropy(logits, labels):
    return torch.nn.functional.cross_entropy(logits, labels, reduction="none")
