"""JAX's own: Taylor mode, losses, samplers."""

from equivalence.published.package import LIMIT, RIGHT, Package, only

PACKAGE = Package("jax", "0.10.2", ("jax", "jax.experimental.jet"))


@PACKAGE.adapts(
    "experimental.jet",
    "laplacian",
    RIGHT,
    "the second coefficient along each vector, to rounding",
    compared="forward, with probes",
)
def laplacian(loss, x, *, how="hvp", probes=None, with_loss=False):
    import jax
    from jax.experimental import jet

    only(how == "forward" and probes is not None and not with_loss, "derivatives along vectors")
    second = lambda v: jet.jet(loss, (x,), ((v, jax.numpy.zeros_like(x)),))[1][1]  # noqa: E731
    return jax.vmap(second)(probes).mean(0)


@PACKAGE.adapts("hessian", "hvp", RIGHT, "the whole matrix, times the vector, to rounding")
def hvp(loss, x, vector):
    import jax

    def one(b, row, v):
        matrix = jax.hessian(lambda row: loss(x.at[b].set(row))[b])(row)
        return jax.numpy.tensordot(matrix, v, v.ndim)

    return jax.vmap(one)(jax.numpy.arange(len(x)), x, vector)


@PACKAGE.adapts("jacrev", "jacobian_penalty", RIGHT, "its squared norm, to rounding", compared="exact, unweighted")
def jacobian(f, x, *, weights=None, probes=None, with_outputs=False):
    import jax

    only(weights is None and probes is None and not with_outputs, "the exact norm")
    found = jax.jacrev(lambda x: f(x).sum(0))(x)  # (C, B, *S)
    return (found**2).reshape(*found.shape[:2], -1).sum((0, 2))


@PACKAGE.adapts(
    "scipy.special.rel_entr",
    "kl_divergence",
    LIMIT,
    "right to a rounding unit of Σ p |log p|: off by 6 % between logits 1e-7 apart; infinite where q is 0",
    shows=("D1", "logits times 200", "logits times 3000"),
)
def divergence(p_logits, q_logits):
    import jax

    return jax.scipy.special.rel_entr(jax.nn.softmax(p_logits), jax.nn.softmax(q_logits)).sum(1)


@PACKAGE.adapts(
    "numpy.linalg.norm",
    "l2_norm",
    LIMIT,
    "squares as they are: 1e-30 in float32 and 1e-200 in float64 give 0; the gradient at 0 is NaN",
    shows=("C6", "a zero"),
)
def l2_norm(x):
    import jax

    return jax.numpy.linalg.norm(x.reshape(len(x), -1), axis=1)


@PACKAGE.adapts("nn.log_softmax", "entropy", RIGHT, "−Σ p log p, to rounding")
def entropy(logits):
    import jax

    return -(jax.nn.softmax(logits) * jax.nn.log_softmax(logits)).sum(1)


@PACKAGE.adapts("random.ball, random.uniform", "uniform_ball", RIGHT, "uniform by every test", compared="L1, L2, L∞")
def ball(seed, shape, *, like, norm="l2"):
    import math

    import jax

    key, size = jax.random.key(seed), math.prod(shape[1:])
    if norm == "linf":
        return jax.random.uniform(key, shape, like.dtype, -1, 1)
    return jax.random.ball(key, size, {"l1": 1, "l2": 2}[norm], shape[:1], like.dtype).reshape(shape)


@PACKAGE.adapts("random.rademacher", "rademacher", RIGHT, "±1 with probability ½, by every test")
def rademacher(seed, shape, *, like):
    import jax

    return jax.random.rademacher(jax.random.key(seed), shape, like.dtype)
