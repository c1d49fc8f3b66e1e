"""Data-parallel training: what the replicas of a model share, so that together they train as one does on all samples.

A norm of one sample is a replica's own affair. One vector for the batch needs the gradient of all samples: replicas
sum theirs (`replicas="all"`), or each goes by its own (`replicas="local"`). Random starts come from one stream for
the whole batch, of which a replica takes its rows, those of lower ranks first.
"""

import torch
from torch import distributed
from torch.nn.parallel import DataParallel, DistributedDataParallel


class Replicas:
    """One replica's view of all of them; alone it is the whole."""

    def __init__(self, model):
        self.group = group_of(model)
        self.size = 1 if self.group is None else distributed.get_world_size(self.group)
        self.rank = 0 if self.size == 1 else distributed.get_rank(self.group)

    def sum(self, tensor):
        """Σ over replicas, the same on each."""
        if self.size == 1:
            return tensor
        total = tensor.detach().clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total, group=self.group)
        return total

    def largest(self, tensor):
        """The largest over replicas, the same on each."""
        if self.size == 1:
            return tensor
        most = tensor.detach().clone()
        distributed.all_reduce(most, distributed.ReduceOp.MAX, group=self.group)
        return most

    def rows(self, count, device):
        """How many samples lower replicas have, and how many all have."""
        if self.size == 1:
            return 0, count
        counts = self.counts(count, device)
        return sum(counts[: self.rank]), sum(counts)

    def counts(self, count, device):
        mine = torch.tensor([count], device=device)
        every = [torch.empty_like(mine) for _ in range(self.size)]
        distributed.all_gather(every, mine, group=self.group)
        return [int(one) for one in every]

    def join(self, vector):
        """Vectors (n,) of all replicas as one, and where this replica's stands."""
        if self.size == 1:
            return vector, slice(0, len(vector))
        counts = self.counts(len(vector), vector.device)
        padded = vector.new_zeros(max(counts))
        padded[: len(vector)] = vector.detach()
        every = [torch.empty_like(padded) for _ in counts]
        distributed.all_gather(every, padded, group=self.group)
        before = sum(counts[: self.rank])
        joined = torch.cat([one[:count] for one, count in zip(every, counts, strict=True)])
        return joined, slice(before, before + len(vector))


class Alone(Replicas):
    """Replicas on their own (`replicas="local"`): a norm is over what one replica has."""

    def __init__(self):
        self.group, self.size, self.rank = None, 1, 0


def group_of(model):
    """The processes between which gradients are averaged; None for one process."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return None
    if isinstance(model, DistributedDataParallel):
        return model.process_group
    meshes = {mesh for parameter in model.parameters() if (mesh := getattr(parameter, "device_mesh", None)) is not None}
    if not meshes or all(mesh.size() == distributed.get_world_size() for mesh in meshes):
        return distributed.group.WORLD
    if len(meshes) == 1 and (mesh := meshes.pop()).ndim == 1:
        return mesh.get_group()
    raise RuntimeError(
        'model: got parameters on several device meshes, expected one for data parallelism. With replicas="local" and'
        " per-sample norms no reduction is needed: keep the model on one mesh, or perturb before it is sharded"
    )


def unwrapped(model):
    """The module that computes, without DistributedDataParallel around it."""
    if isinstance(model, DataParallel):
        raise RuntimeError(
            "model: got an nn.DataParallel, whose replicas live for one forward pass; expected the module itself or"
            " DistributedDataParallel"
        )
    if type(model).__name__ == "FullyShardedDataParallel":
        raise RuntimeError(
            "model: got a FullyShardedDataParallel, which flattens parameters; expected fully_shard(model) of"
            " torch.distributed.fsdp, which is its successor"
        )
    if isinstance(getattr(model, "_orig_mod", None), DistributedDataParallel):
        raise RuntimeError(
            "model: got a compiled DistributedDataParallel, expected DistributedDataParallel(torch.compile(model))"
        )
    return model.module if isinstance(model, DistributedDataParallel) else model


def forward(model, arguments, evaluate):
    """Call evaluate(arguments), through DistributedDataParallel's own forward where there is one.

    All passes are then one forward to it, as a training step is that consists of one: buffers are broadcast once, one
    reduction sees the gradients of all passes, and which parameters are unused is looked up in the whole graph.
    """
    if not isinstance(model, DistributedDataParallel):
        return evaluate(*arguments)
    module = model.module
    model._modules["module"] = Evaluated(module, evaluate)
    try:
        return model(*arguments[0], **arguments[1])
    finally:
        model._modules["module"] = module


class Evaluated(torch.nn.Module):
    """Take the place of the module that DistributedDataParallel wraps; its buffers are the module's."""

    def __init__(self, module, evaluate):
        super().__init__()
        self.evaluate = evaluate
        self.inner = [module]  # in a list, so that it is no part of this one

    def forward(self, *args, **kwargs):
        return self.evaluate(args, kwargs)

    def named_buffers(self, *args, **kwargs):
        return self.inner[0].named_buffers(*args, **kwargs)
