"""Batches divided in PyTorch: `.grad` accumulates over micro-batches, DistributedDataParallel averages over replicas.

The replicas are threads of this process, between which PyTorch's own threaded process group carries what they send.
One at a time computes, until it waits for the others: what the process shares is then as in a process of its own.
"""

import contextlib
import threading
from unittest import mock

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from equivalence import divided
from impls.torch import objectives

LOSS = nn.CrossEntropyLoss(reduction="none")


def prepare(replicas):
    """Threads stand for devices."""


class Network(nn.Module):
    def __init__(self, parameters):
        super().__init__()
        if divided.TABLE in parameters:
            self.tokens = nn.Embedding.from_pretrained(tensor(parameters[divided.TABLE]), freeze=False)
        self.hidden, self.output = (nn.Parameter(tensor(parameters[name])) for name in ("hidden", "output"))

    def forward(self, x):  # (B, T), or (B, T, D) -> (B, C)
        x = self.tokens(x) if hasattr(self, "tokens") else x
        return torch.tanh(torch.tanh(x).mean(1) @ self.hidden) @ self.output


class Divided(divided.Divided):
    framework = "torch"

    def by_micro_batches(self, method, options):
        model = self.network(options)
        objective, total = begun(model, method, options), 0
        for part in self.parts:
            value = objective(*self.tensors(part, options)) * self.share(part)
            value.backward()
            total += value.item()
        return total, gradients(model)

    def by_replicas(self, method, options):
        def train(rank):
            model = self.network(options)
            objective = begun(DistributedDataParallel(model), method, options)
            value = objective(*self.tensors(self.parts[rank], options))
            value.backward()
            mean = value.detach().clone()
            distributed.all_reduce(mean)
            return mean.item() / len(self.parts), gradients(model)

        return in_threads(train, len(self.parts))

    def network(self, options):
        return Network(self.parameters(options.get("target")))

    def tensors(self, part, options):
        inputs, labels = self.batch(part, options.get("target"))
        return torch.from_numpy(inputs), torch.from_numpy(labels).long()


def begun(model, method, options):
    """The objective under a one-liner."""
    target = options.get("target")
    options = {name: value for name, value in options.items() if name != "target"}
    if target and method == "virtual_adversarial_training":
        options["where"] = "table"
    return getattr(objectives, method.replace("training", "objective"))(model, LOSS, target, **options)


def gradients(model):
    return {name: parameter.grad.numpy().copy() for name, parameter in model.named_parameters()}


def tensor(array):
    return torch.from_numpy(array.copy())


def in_threads(train, count):
    """train(rank) in a thread for each rank of one process group: what they return."""
    from torch.testing._internal.distributed import multi_threaded_pg as threaded

    turn, store, group = threading.Lock(), distributed.HashStore(), threaded.ProcessLocalGroup
    found, errors, join = [None] * count, [], threaded.Collective.join

    def wait_for_others(collective, rank, data):
        turn.release()
        try:
            return join(collective, rank, data)
        finally:
            turn.acquire()

    def run(rank):
        distributed.init_process_group("threaded", rank=rank, world_size=count, store=store)
        try:
            with turn:
                found[rank] = train(rank)
        except BaseException as error:
            errors.append(error)
            group.exception_handle(error)  # wakes those that wait for this one
        finally:
            distributed.destroy_process_group()

    with world_of_threads(threaded), mock.patch.object(threaded.Collective, "join", wait_for_others):
        threads = [threading.Thread(target=run, args=(rank,)) for rank in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        group.reset()
    if errors:
        raise errors[0]
    return found


@contextlib.contextmanager
def world_of_threads(threaded):
    """Within, each thread has a process group of its own."""
    isolate = torch._C._distributed_c10d._set_thread_isolation_mode
    threaded._install_threaded_pg()
    isolate(True)
    try:
        yield
    finally:
        isolate(False)
        threaded._uninstall_threaded_pg()
