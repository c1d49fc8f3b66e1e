"""Perturbations of embeddings: of the table, or of the output with its padding left alone."""

from typing import Literal

from impls.contract.types import Frequencies, Loss, Padding, Scale, Sequences, Table


def normalize_embedding(table: Table, frequencies: Frequencies) -> Table:
    """Rows with mean 0 and variance 1 in every component under the tokens' frequencies (Miyato et al. 2017, eq. 1-2).

    (vₖ - E v)/√Var v, E and Var weighted by the frequencies. Without it a network can make any radius harmless by
    making its embeddings large.

    Args:
        table: (V, D).
        frequencies: (V,) floating point, ≥ 0, not all 0; they are divided by their sum.

    Returns:
        (V, D), differentiable in the table; 0 in a component that does not vary.
    """


def perturb_table(loss: Loss, table: Table, *, radius: Scale, norm: Literal["l2", "linf", "l1", "raw"] = "l2") -> Table:
    """FGM on an embedding's table: `fgm` of the batch's total loss, one norm for the whole table.

    What the usual snippets for text do (Su, 对抗训练浅谈). A token's perturbation is one, wherever it stands, along the
    sum of the gradients at all its positions; samples that share tokens share perturbations.

    Args:
        loss: table (V, D) -> (B,), tokens closed over. Its gradient may be sparse.
        table: (V, D).
        radius: ≥ 0, length of the whole perturbation in units of the table ("raw": times ∇Σℓ, B times the gradient of
            the mean).
        norm: as for `fgm`.

    Returns:
        (V, D), held fixed; 0 for tokens that do not occur.

    Cost: that of `fgm`.
    """


def perturb_output(
    loss: Loss,
    x: Sequences,
    mask: Padding,
    *,
    radius: Scale,
    norm: Literal["l2", "linf", "l1", "raw"] = "l2",
    scope: Literal["sample", "tensor"] = "sample",
) -> Sequences:
    """FGM on an embedding's output with padding left alone (Miyato et al. 2017, eq. 5).

    The gradient at padding is set to 0 before its norm is taken.

    Args:
        loss: x (B, T, D) -> (B,).
        x: (B, T, D), an embedding's output.
        mask: (B, T) floating point, 1 for tokens and 0 for padding.
        radius: ≥ 0, in units of x.
        norm: as for `fgm`.
        scope: as for `fgm`.

    Returns:
        (B, T, D), held fixed; 0 at padding.

    Cost: that of `fgm`.
    """
