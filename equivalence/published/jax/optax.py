"""optax: losses, projections, power iteration."""

from equivalence.published.package import CONVENTION, LIMIT, RIGHT, Package, only
from equivalence.published.projections import project_rows

PACKAGE = Package("optax", "0.2.8", ("optax", "optax.projections"))
PROJECTIONS = "optax.projections"


@PACKAGE.adapts("softmax_cross_entropy", "cross_entropy", RIGHT, "to rounding", compared="soft labels")
def soft_cross_entropy(logits, labels):
    import optax

    only(labels.ndim == 2, "soft labels")
    return optax.softmax_cross_entropy(logits, labels)


@PACKAGE.adapts("softmax_cross_entropy_with_integer_labels", "cross_entropy", RIGHT, "to rounding", compared="classes")
def cross_entropy(logits, labels):
    import optax

    only(labels.ndim == 1, "class numbers")
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


@PACKAGE.adapts(
    "kl_divergence_with_log_targets",
    "kl_divergence",
    LIMIT,
    "right to a rounding unit of Σ p |log p|: off by 4 % of itself between logits 1e-7 apart",
    shows=("D1",),
)
def divergence(p_logits, q_logits):
    import jax
    import optax

    return optax.losses.kl_divergence_with_log_targets(jax.nn.log_softmax(q_logits), jax.nn.log_softmax(p_logits))


@PACKAGE.adapts("squared_error", "squared_error", RIGHT, "to rounding, summed over the outputs")
def squared_error(outputs, targets):
    import optax

    return optax.squared_error(outputs, targets).sum(1)


@PACKAGE.adapts("smooth_labels", "smooth_labels", RIGHT, "to rounding")
def smooth_labels(labels, *, smoothing, like):
    import jax
    import optax

    labels = jax.nn.one_hot(labels, like.shape[1], dtype=like.dtype) if labels.ndim == 1 else labels.astype(like.dtype)
    return optax.smooth_labels(labels, smoothing)


@PACKAGE.adapts(
    "projections.projection_l1_ball",
    "project",
    LIMIT,
    "the nearest point, to rounding; float32 raises where x64 is on, as a branch has float64; radius 0 gives NaN",
    compared="L1",
    shows=("radius 0.0", "another precision"),
)
def project_l1(x, *, radius, norm="l2"):
    return project_rows(PROJECTIONS, "l1", x, radius, norm)


@PACKAGE.adapts(
    "projections.projection_l2_ball",
    "project",
    LIMIT,
    "the nearest point, to rounding; 0/0 is NaN where x and the radius are 0",
    compared="L2",
    shows=("radius 0.0",),
)
def project_l2(x, *, radius, norm="l2"):
    return project_rows(PROJECTIONS, "l2", x, radius, norm)


@PACKAGE.adapts("projections.projection_linf_ball", "project", RIGHT, "the nearest point, to rounding", compared="L∞")
def project_linf(x, *, radius, norm="l2"):
    return project_rows(PROJECTIONS, "linf", x, radius, norm)


@PACKAGE.adapts(
    "power_iteration",
    "top_eigenpair",
    CONVENTION,
    "num_iters=K takes K + 1 products; the value is the quotient of the vector before; its loop has no reverse mode",
    compared="power",
    gradients=False,
)
def power(loss, x, start, *, steps, how="power"):
    import jax
    import optax

    only(how == "power", "power iteration")
    gradient = jax.grad(lambda x: loss(x).sum())

    def one(b):
        def product(row):
            return jax.jvp(gradient, (x,), (jax.numpy.zeros_like(x).at[b].set(row),))[1][b]

        return optax.power_iteration(product, v0=start[b], num_iters=max(steps, 1), error_tolerance=0.0)

    values, vectors = jax.lax.map(one, jax.numpy.arange(len(x)))
    return jax.lax.stop_gradient((values, vectors))
