"""folx: the forward Laplacian."""

from equivalence.published.package import RIGHT, Package, only

PACKAGE = Package("folx", "0.2.30", ("folx",))


@PACKAGE.adapts("forward_laplacian", "laplacian", RIGHT, "to rounding", compared="forward, exact")
def laplacian(loss, x, *, how="hvp", probes=None, with_loss=False):
    import folx
    import jax

    only(how == "forward" and probes is None and not with_loss, "the exact Laplacian")

    def one(b, row):
        value = lambda flat: loss(x.at[b].set(flat.reshape(row.shape)))[b]  # noqa: E731
        found = folx.forward_laplacian(value)(row.ravel())
        return found.laplacian if hasattr(found, "laplacian") else 0 * found

    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):  # it needs both
        return jax.vmap(one)(jax.numpy.arange(len(x)), x)
