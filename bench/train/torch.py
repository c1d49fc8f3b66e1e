"""A run in PyTorch: an nn.Module, torch.optim, and a line of `training.py` where there is one."""

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

import impls
from bench.train.regimes import MOMENTUM, Regime
from equivalence.cases import Case
from equivalence.measure import mixing
from equivalence.problem import Problem
from impls.checks import within
from impls.torch import training

OPTIMIZERS = {"adam": partial(torch.optim.Adam, fused=True), "momentum": partial(torch.optim.SGD, momentum=MOMENTUM)}


class Network(nn.Module):
    """A function of parameters under their names, an embedding's table in an nn.Embedding."""

    def __init__(self, start: Case, model: Callable[..., Any], dtype: str, device: str):
        super().__init__()
        self.function, self.dtype = partial(model, **start.options), getattr(torch, dtype)
        self.embedding_name = "" if start.tokens is None else str(start.table).removesuffix(".weight")
        for name, value in start.params.items():
            path, _, last = name.rpartition(".")
            parameter = nn.Parameter(torch.tensor(value, dtype=self.dtype, device=device))
            if path and path == self.embedding_name:
                self.place(path, nn.Embedding(*parameter.shape, _weight=parameter.detach()))
            else:
                self.place(path, nn.Module()).register_parameter(last, parameter)

    def place(self, path: str, fresh: nn.Module) -> nn.Module:
        """The module of that path, made with those on the way to it where there is none."""
        module: nn.Module = self
        *parts, last = path.split(".")
        for part in parts:
            module = module._modules.setdefault(part, nn.Module())
        return module._modules.setdefault(last, fresh) if last else self

    def forward(self, x: Any, *masks: Any) -> Any:
        if self.embedding_name:
            x = self.get_submodule(self.embedding_name)(x)
        logits = self.function(dict(self.named_parameters()), x, *masks)
        return logits.to(self.dtype)  # of mixed precision, too: a loss is computed in float32


class Trainer:
    """Trains a model with a regime, a batch at a time; batches are NumPy's."""

    def __init__(
        self, start: Case, regime: Regime, strength: float, *, optimizer: str, rate: float, dtype: str, device: str
    ):
        self.bridge = impls.load("torch")
        methods = SimpleNamespace(**vars(impls.methods("torch")), mean=torch.mean)  # flooding takes the batch's mean
        self.problem = Problem(start, self.bridge, methods, mixing(dtype), device)
        self.model = Network(start, self.problem.model, self.problem.held_in, device)
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters(), lr=rate)
        self.objective: Any = None  # where a line of `training.py` has one, which counts its calls
        self.train = self.wrapped(regime, strength) if regime.wrapper else self.functional(regime, strength)

    def wrapped(self, regime: Regime, strength: float) -> Any:
        wrapper = regime.wrapper
        loss = nn.CrossEntropyLoss(reduction="none")
        target = self.model.embedding_name or None
        where = "table" if wrapper.where == "table" else "output"
        options = {**wrapper.options, wrapper.option: strength, "where": where}
        step = getattr(training, wrapper.function)(self.model, self.optimizer, loss, target, **options)
        self.objective = step.objective

        def train(data: Any, unlabelled: Any, extra: Any) -> Any:
            return step(inputs(data), data["labels"].long())

        return train

    def functional(self, regime: Regime, strength: float) -> Any:
        def objective(params: Any, data: Any, unlabelled: Any, extra: Any) -> Any:
            labelled, other = (self.problem.at(params, each, extra) for each in (data, unlabelled))
            return regime.objective(self.problem.methods, labelled, other, strength)

        differentiated = self.bridge.value_and_grad(objective)

        def train(data: Any, unlabelled: Any, extra: Any) -> Any:
            params = dict(self.model.named_parameters())
            with within(True):  # arguments are right by construction, and a loss that is no number is a result
                values, gradients = differentiated({k: v.detach() for k, v in params.items()}, data, unlabelled, extra)
            for name, parameter in params.items():
                parameter.grad = gradients[name]
            self.optimizer.step()
            return values.mean()

        return train

    def step(self, data: dict[str, Any], unlabelled: dict[str, Any], extra: dict[str, Any]) -> float:
        """One step; the objective before it."""
        return float(self.train(*(self.arrays(each) for each in (data, unlabelled, extra))))

    def arrays(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        return {name: self.problem.array(array) for name, array in batch.items()}

    def logits(self, data: dict[str, np.ndarray]) -> np.ndarray:
        with torch.no_grad():
            return self.bridge.to_numpy(self.model(*inputs(self.arrays(data))))

    def parameters(self) -> dict[str, Any]:
        """The parameters as the framework has them."""
        return {name: value.detach() for name, value in self.model.named_parameters()}

    def state(self) -> dict[str, np.ndarray]:
        """All that the next steps depend on, to be kept."""
        found = {f"model {name}": value for name, value in self.model.state_dict().items()}
        for number, own in self.optimizer.state_dict()["state"].items():
            found |= {f"optimizer {number} {name}": value for name, value in own.items() if value is not None}
        found |= {f"generator {number}": state for number, state in enumerate(generators(self.problem.device))}
        wide = {name: value.float() if value.dtype == torch.bfloat16 else value for name, value in found.items()}
        arrays = {name: value.detach().cpu().numpy() for name, value in wide.items()}  # NumPy has no bfloat16
        return arrays | {"calls": np.array(self.objective.calls if self.objective else 0)}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Go on where the trainer was whose `state` this is."""
        tensors = {name: torch.tensor(array) for name, array in arrays.items()}
        self.model.load_state_dict({name: tensors[f"model {name}"] for name in self.model.state_dict()})
        moments: dict[int, dict[str, Any]] = {}
        for name in tensors:
            kind, _, rest = name.partition(" ")
            if kind == "optimizer":
                number, _, what = rest.partition(" ")
                moments.setdefault(int(number), {})[what] = tensors[name]
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": moments})
        torch.set_rng_state(tensors["generator 0"])
        if self.problem.device == "cuda":
            torch.cuda.set_rng_state(tensors["generator 1"])
        if self.objective:
            self.objective.load_state_dict({"calls": int(arrays["calls"])})


def generators(device: str) -> list[Any]:
    """The states of PyTorch's own generators, of the CPU and of the GPU where that is used."""
    return [torch.get_rng_state()] + ([torch.cuda.get_rng_state()] if device == "cuda" else [])


def inputs(data: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(data[name] for name in ("x", "tokens", "mask") if name in data)
