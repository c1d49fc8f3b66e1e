"""matfree: traces and eigenpairs of an operator that is its product alone; here of one sample's Hessian."""

from equivalence.published.package import LIMIT, RIGHT, Package, only

PACKAGE = Package("matfree", "0.6.3", ("matfree.stochtrace", "matfree.eig", "matfree.decomp"))


def product(loss, x, b):
    import jax

    gradient = jax.grad(lambda x: loss(x).sum())
    return lambda row: jax.jvp(gradient, (x,), (jax.numpy.zeros_like(x).at[b].set(row),))[1][b]


@PACKAGE.adapts(
    "stochtrace.monte_carlo_trace",
    "laplacian",
    RIGHT,
    "vᵀHv of the probes that it is given, to rounding",
    compared="hvp, with probes",
)
def trace(loss, x, *, how="hvp", probes=None, with_loss=False):
    import jax
    from matfree import stochtrace

    only(how == "hvp" and probes is not None and not with_loss, "estimates by probes")

    def one(b, own):
        estimate = stochtrace.estimator_monte_carlo(stochtrace.monte_carlo_trace(), lambda key: own)
        return estimate(product(loss, x, b), jax.random.key(0))

    # One sample after the other: each product is of the whole batch, and all of them at once take many gigabytes.
    return jax.lax.map(lambda sample: one(*sample), (jax.numpy.arange(len(x)), jax.numpy.moveaxis(probes, 1, 0)))


@PACKAGE.adapts(
    "eig.eigh_partial(decomp.tridiag_sym)",
    "top_eigenpair",
    LIMIT,
    "the largest Ritz value and its vector, to rounding; values alone",
    compared="lanczos",
    gradients=False,
)
def lanczos(loss, x, start, *, steps, how="power"):
    import jax
    from matfree import decomp, eig

    only(how == "lanczos", "Lanczos's iteration")
    many = min(steps + 1, x[0].size)

    def one(b, first):
        operator = product(loss, x, b)
        flat = lambda v: operator(v.reshape(first.shape)).ravel()  # noqa: E731
        values, vectors = eig.eigh_partial(decomp.tridiag_sym(many))(flat, first.ravel())
        top = jax.numpy.abs(values).argmax()
        return values[top], vectors[top].reshape(first.shape)

    return jax.lax.stop_gradient(jax.lax.map(lambda sample: one(*sample), (jax.numpy.arange(len(x)), start)))


@PACKAGE.adapts(
    "stochtrace.sampler_sphere",
    "uniform_sphere",
    RIGHT,
    "√n times a point of the unit sphere: its probes have covariance I",
)
def sphere(seed, shape, *, like):
    import jax
    from matfree import stochtrace

    rows = stochtrace.sampler_sphere(jax.numpy.zeros(shape[1:], like.dtype), num=shape[0])(jax.random.key(seed))
    size = 1
    for each in shape[1:]:
        size *= each
    return rows / size**0.5
