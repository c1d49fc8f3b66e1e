"""Embeddings: the table's rows, the padding, and the frequencies."""

import numpy as np

from equivalence.mutant import Mutant, collect
from equivalence.parts.composed import total

MUTANTS: list[Mutant] = []
mistake = collect(MUTANTS, "embedding")
PADDED = "digits-mlp"  # whose padding matters to the loss: the text model masks its own


@mistake("perturb_table: one norm a row", "fgm's scope a sample, where rows are tokens: rare words get as much as all")
def one_norm_a_row(m, bridge):
    def perturb_table(loss, table, *, radius, norm="l2"):
        gradient = m.perturb_table(loss, table, radius=1.0, norm="raw")
        return radius * m.steepest(gradient, norm=norm)

    return {"perturb_table": perturb_table}


@mistake("perturb_table: of the mean loss", "foolbox issue 439; shows where the gradient is left as it is")
def mean_reduced_table(m, bridge):
    def perturb_table(loss, table, *, radius, norm="l2"):
        return m.perturb_table(lambda table: loss(table) / loss(table).shape[0], table, radius=radius, norm=norm)

    return {"perturb_table": perturb_table}


@mistake("perturb_table: of the first sample", "a batch of one, where the snippet was tried")
def of_the_first_sample(m, bridge):
    def perturb_table(loss, table, **options):
        return m.perturb_table(lambda table: loss(table)[:1], table, **options)

    return {"perturb_table": perturb_table}


@mistake("perturb_table: 3 % too long", "as wrong as a slope does not see")
def table_slightly_long(m, bridge):
    def perturb_table(loss, table, *, radius, **options):
        return m.perturb_table(loss, table, radius=1.03 * radius, **options)

    return {"perturb_table": perturb_table}


@mistake(
    "perturb_table: a sparse gradient's slices are assigned, not added",
    "dense[indices] = values: of a token that repeats the last slice stays",
    called=True,
    impossible={"jax": "a gradient is a dense array there, however rows are looked up"},
)
def slices_assigned(m, bridge):
    def perturb_table(loss, table, *, radius, norm="l2"):
        tokens, slices = sparse(bridge.gradient(loss, table))
        if slices is None:
            return m.perturb_table(loss, table, radius=radius, norm=norm)
        rows = m.smooth_labels(tokens, smoothing=0.0, like=0 * slices[:, :1] + 0 * table[:, 0])  # one-hot
        gradient, unset = 0 * table, 1 + 0 * rows[0]
        for k in reversed(range(slices.shape[0])):
            gradient = gradient + (unset * rows[k])[:, None] * slices[k]
            unset = unset * (1 - rows[k])
        return bridge.fixed(radius * m.steepest(gradient, norm=norm, scope="tensor"))

    return {"perturb_table": perturb_table}


@mistake(
    "perturb_table: as many of a sparse gradient's slices as the table has rows",
    "values[: len(table)]: enough for tokens that do not repeat",
    called=True,
    impossible={"jax": "a gradient is a dense array there, however rows are looked up"},
)
def slices_cut_off(m, bridge):
    def perturb_table(loss, table, *, radius, norm="l2"):
        tokens, slices = sparse(bridge.gradient(loss, table))
        if slices is None or norm == "l2":
            return m.perturb_table(loss, table, radius=radius, norm=norm)
        rows = m.smooth_labels(tokens, smoothing=0.0, like=0 * slices[:, :1] + 0 * table[:, 0])  # one-hot
        gradient = sum(rows[k][:, None] * slices[k] for k in range(table.shape[0]))
        return bridge.fixed(radius * m.steepest(gradient, norm=norm, scope="tensor"))

    return {"perturb_table": perturb_table}


def sparse(gradient):
    """The tokens (K,) and slices (K, D) of a gradient that is stored as such, PyTorch's or TensorFlow's."""
    if getattr(gradient, "is_sparse", False):
        return gradient._indices()[0], gradient._values()
    return (gradient.indices, gradient.values) if hasattr(gradient, "dense_shape") else (None, None)


@mistake("perturb_output: padding is perturbed", "mt-dnn perturbation.py", case=PADDED)
def padding_perturbed(m, bridge):
    return {"perturb_output": lambda loss, x, mask, **options: m.perturb_output(loss, x, 0 * mask + 1, **options)}


@mistake("perturb_output: the norm is taken before the mask", "mt-dnn perturbation.py, mended at the end", case=PADDED)
def norm_before_mask(m, bridge):
    def perturb_output(loss, x, mask, **options):
        return m.perturb_output(loss, x, 0 * mask + 1, **options) * mask[:, :, None]

    return {"perturb_output": perturb_output}


@mistake("perturb_output: the mask is inverted", "PyTorch's key_padding_mask is 1 at padding", case=PADDED)
def mask_inverted(m, bridge):
    return {"perturb_output": lambda loss, x, mask, **options: m.perturb_output(loss, x, 1 - mask, **options)}


@mistake("perturb_output: one norm for the whole batch", "adversarial-attacks-pytorch issue 12", case=PADDED)
def one_norm_for_all_texts(m, bridge):
    def perturb_output(loss, x, mask, *, scope="sample", **options):
        return m.perturb_output(loss, x, mask, scope="tensor", **options)

    return {"perturb_output": perturb_output}


@mistake("perturb_output: one norm a position", "a norm over the last axis alone", case=PADDED)
def one_norm_a_position(m, bridge):
    def perturb_output(loss, x, mask, *, radius, norm="l2", scope="sample"):
        gradient = m.perturb_output(loss, x, mask, radius=1.0, norm="raw")
        if norm != "l2":
            return m.perturb_output(loss, x, mask, radius=radius, norm=norm, scope=scope)
        lengths = total_of_squares(gradient) ** 0.5
        return radius * gradient / (lengths + 1e-30)

    def total_of_squares(gradient):
        width = gradient.shape[2]
        return sum(gradient[:, :, d : d + 1] ** 2 for d in range(width))

    return {"perturb_output": perturb_output}


@mistake("normalize_embedding: frequencies are ignored", "batch normalisation over the vocabulary")
def frequencies_ignored(m, bridge):
    return {"normalize_embedding": lambda table, frequencies: m.normalize_embedding(table, 0 * frequencies + 1)}


@mistake("normalize_embedding: V-1 in place of V", "torch.std's default is the unbiased one")
def unbiased_variance(m, bridge):
    def normalize_embedding(table, frequencies):
        tokens = table.shape[0]
        return m.normalize_embedding(table, frequencies) * ((tokens - 1) / tokens) ** 0.5

    return {"normalize_embedding": normalize_embedding}


@mistake("normalize_embedding: 1e-5 is added to the variance", "batch normalisation's eps")
def variance_with_epsilon(m, bridge):
    def normalize_embedding(table, frequencies):
        centred, variance = moments(table, frequencies)
        return centred / (variance + 1e-5) ** 0.5

    return {"normalize_embedding": normalize_embedding}


@mistake("normalize_embedding: the variance is not rooted", "(v - E v)/Var v")
def variance_not_rooted(m, bridge):
    def normalize_embedding(table, frequencies):
        centred, variance = moments(table, frequencies)
        return centred / variance

    return {"normalize_embedding": normalize_embedding}


@mistake("normalize_embedding: mean and variance are held fixed", "running statistics, as in evaluation mode")
def moments_fixed(m, bridge):
    def normalize_embedding(table, frequencies):
        centred, variance = moments(table, frequencies)
        return (table - bridge.fixed(table - centred)) / bridge.fixed(variance) ** 0.5

    return {"normalize_embedding": normalize_embedding}


def moments(table, frequencies):
    """The table less its mean, and the variance, under the frequencies."""
    share = (frequencies / total(frequencies))[:, None]
    centred = table - total(share * table)
    return centred, total(share * centred**2)


@mistake(
    "normalize_embedding: a variance of rounding size is one",
    "var > 0 is taken for varies: a component that does not comes out as ±1",
    called=True,
)
def rounding_varies(m, bridge):
    def normalize_embedding(table, frequencies):
        centred, variance = moments(table, frequencies)
        constant = 1 - m.steepest(variance[None], norm="linf")[0]
        return centred / (variance + constant) ** 0.5

    return {"normalize_embedding": normalize_embedding}


@mistake(
    "perturb_output: the mask is taken for lengths",
    "sequence_mask of its sums: right where padding is last",
    called=True,
)
def mask_of_lengths(m, bridge):
    def perturb_output(loss, x, mask, **options):
        lengths = sum(mask[:, k] for k in range(mask.shape[1]))
        within = m.steepest(lengths[:, None] - bridge.from_numpy(np.arange(mask.shape[1]) + 0.5), norm="linf")
        return m.perturb_output(loss, x, (1 + within) / 2, **options)

    return {"perturb_output": perturb_output}


@mistake(
    "perturb_output: the tensor's one norm is taken before the mask",
    "g * mask in the branch for samples alone",
    called=True,
)
def tensor_masked_late(m, bridge):
    def perturb_output(loss, x, mask, *, radius, norm="l2", scope="sample"):
        if scope == "sample":
            return m.perturb_output(loss, x, mask, radius=radius, norm=norm, scope=scope)
        return m.fgm(loss, x, radius=radius, norm=norm, scope=scope) * mask[:, :, None]

    return {"perturb_output": perturb_output}
