"""traceax: traces of an operator; here of one sample's Hessian, from the probes that a sampler gives."""

from equivalence.published.package import RIGHT, Package, only

PACKAGE = Package("traceax", "1.0.2", ("traceax", "lineax"))


@PACKAGE.adapts(
    "HutchinsonEstimator",
    "laplacian",
    RIGHT,
    "vᵀHv of the probes that it is given, to rounding",
    compared="hvp, with probes",
)
def trace(loss, x, *, how="hvp", probes=None, with_loss=False):
    import jax
    import lineax
    import traceax

    only(how == "hvp" and probes is not None and not with_loss, "estimates by probes")
    gradient = jax.grad(lambda x: loss(x).sum())

    def one(b, own):  # own: (K, n)
        def product(v):
            whole = jax.numpy.zeros_like(x).at[b].set(v.reshape(x.shape[1:]))
            return jax.jvp(gradient, (x,), (whole,))[1][b].ravel()

        operator = lineax.FunctionLinearOperator(product, jax.ShapeDtypeStruct(own.shape[1:], own.dtype))

        class Given(traceax.AbstractSampler):
            dtype: object = own.dtype

            def __call__(self, key, n, k):
                return own.T

        return traceax.HutchinsonEstimator(Given()).estimate(jax.random.key(0), operator, len(own))[0]

    rows = jax.numpy.moveaxis(probes, 1, 0).reshape(len(x), len(probes), -1)
    # One sample after the other: each product is of the whole batch, and all of them at once take many gigabytes.
    return jax.lax.map(lambda sample: one(*sample), (jax.numpy.arange(len(x)), rows))


@PACKAGE.adapts(
    "RademacherSampler", "rademacher", RIGHT, "±1 with probability ½, by every test", compared="matrices (n, k)"
)
def signs(seed, shape, *, like):
    import jax
    import traceax

    return traceax.RademacherSampler(like.dtype)(jax.random.key(seed), shape[0], _rest(shape)).reshape(shape)


@PACKAGE.adapts("NormalSampler", "gaussian", RIGHT, "standard normal, by every test", compared="matrices (n, k)")
def normal(seed, shape, *, like):
    import jax
    import traceax

    return traceax.NormalSampler(like.dtype)(jax.random.key(seed), shape[0], _rest(shape)).reshape(shape)


def _rest(shape):
    size = 1
    for each in shape[1:]:
        size *= each
    return size
