"""Projections of one vector, sample by sample: optax's came from jaxopt, and both have the same names."""

import importlib
from typing import Any

from equivalence.published.package import only


def project_rows(module: str, own: str, x: Any, radius: Any, norm: str) -> Any:
    """(B, *S) -> (B, *S), each sample by a module's projection onto its own ball."""
    import jax

    only(norm == own, own)
    project = getattr(importlib.import_module(module), f"projection_{own}_ball")
    return jax.vmap(lambda row: project(row.ravel(), radius).reshape(row.shape))(x)
