"""Arithmetic on nested tuples and dicts of arrays, the form in which gradients come."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


def tree_map(function: Callable[..., Any], *trees: Any) -> Any:
    """Apply a function to the corresponding arrays of trees that have the same form."""
    first = trees[0]
    if isinstance(first, dict):
        if any(tree.keys() != first.keys() for tree in trees):  # a forgotten entry must not vanish from a sum
            raise ValueError(f"trees with different entries: {[sorted(tree) for tree in trees]}")
        return {key: tree_map(function, *(tree[key] for tree in trees)) for key in first}
    if isinstance(first, tuple):
        return tuple(tree_map(function, *parts) for parts in zip(*trees, strict=True))
    return function(*trees)


def leaves(tree: Any) -> Iterator[np.ndarray]:
    """The arrays of a tree."""
    if isinstance(tree, dict | tuple):
        for branch in tree.values() if isinstance(tree, dict) else tree:
            yield from leaves(branch)
    else:
        yield np.asarray(tree)


def add(*trees: Any) -> Any:
    """The sum of trees that have the same form."""
    return tree_map(lambda *arrays: sum(arrays[1:], start=arrays[0]), *trees)


def scaled(factor: Any, tree: Any) -> Any:
    """The factor times the tree."""
    return tree_map(lambda array: factor * array, tree)
