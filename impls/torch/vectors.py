"""Perturbations of several tensors as the rows of one matrix: (B, N) with a norm a sample, (1, N) with one for all.

Norms are taken in float32 or float64, whatever the tensors are in.
"""

import torch

from impls.torch.norms import _scaled
from impls.torch.sampling import gaussian, uniform_ball


class Vectors:
    """Tensors as rows and rows as tensors, for one batch.

    Args:
        shapes: of the tensors.
        masks: for each tensor one that is 0 where its perturbation is to be, or None.
        one: whether there is one vector for the batch.
        tables: whether the tensors are tables, of which every replica has the whole.
        stream: the replicas between which random starts are dealt out.
        replicas: those that share a norm.
    """

    def __init__(self, shapes, masks, like, *, one, tables, stream, replicas):
        self.shapes, self.masks, self.one, self.tables = shapes, masks, one, tables
        self.stream, self.replicas = stream, replicas
        self.like = like.detach().float() if like.dtype in (torch.float16, torch.bfloat16) else like.detach()
        self.mine = slice(None)

    def rows(self, parts):
        """Tensors as rows, masked. One vector is that of all replicas: for a table their sum, for samples all of
        them."""
        return self.everywhere(self.flat(parts))

    def flat(self, parts):
        """The same of this replica alone."""
        parts = [part if mask is None else part * mask for part, mask in zip(parts, self.masks, strict=True)]
        flat = [part.reshape(1 if self.one else len(part), -1).to(self.like.dtype) for part in parts]
        return flat[0] if len(flat) == 1 else torch.cat(flat, 1)

    def everywhere(self, flat):
        """Rows of all replicas from those of each."""
        if not self.one:
            return flat
        if self.tables:
            return self.replicas.sum(flat)
        joined, self.mine = self.replicas.join(flat[0])
        return joined[None]

    def largest_1(self, array, *, together=False):
        """An array (B, ...) or of rows, divided by the largest entry that each vector's samples have in it; or all."""
        shared = self.one or together
        scaled, largest = _scaled(array.reshape(1 if shared else len(array), -1))
        if self.one:
            everywhere = self.replicas.largest(largest)
            scaled = scaled * torch.where(everywhere == 0, 0, largest / everywhere)
        return scaled.reshape(array.shape)

    def parts(self, rows):
        """Rows as tensors, of which this replica has its own."""
        rows = rows[:, self.mine]
        sizes = [shape.numel() // len(rows) for shape in self.shapes]
        return [part.reshape(shape) for part, shape in zip(rows.split(sizes, 1), self.shapes, strict=True)]

    def uniform(self, seed, norm):
        """Rows that are uniform in the unit ball."""
        return self.draw(lambda shape: uniform_ball(seed, shape, like=self.like, norm=norm))

    def gaussian(self, seed):
        """Rows of normal numbers."""
        return self.draw(lambda shape: gaussian(seed, shape, like=self.like))

    def draw(self, sample):
        """Draw for the whole batch, and take what is this replica's."""
        numbers = sum(shape.numel() for shape in self.shapes)
        if not self.one:
            batch = self.shapes[0][0]
            before, every = self.stream.rows(batch, self.like.device)
            drawn = sample((every, numbers // batch))[before : before + batch]
        elif self.tables or self.replicas.size == 1:
            drawn = sample((1, numbers))
        else:
            mine = self.rows([self.like.new_zeros(shape) for shape in self.shapes])  # for its length and place
            drawn = sample(tuple(mine.shape))
        return self.rows(self.parts(drawn)) if any(mask is not None for mask in self.masks) else drawn
