"""jaxopt: projections."""

from equivalence.published.package import LIMIT, RIGHT, Package, only

PACKAGE = Package("jaxopt", "0.8.5", ("jaxopt",))


@PACKAGE.adapts(
    "projection.projection_l1_ball",
    "project",
    LIMIT,
    "the nearest point, to rounding; a radius of 0 divides by it, and gives NaN",
    compared="L1",
    shows=("radius 0.0",),
)
def project_l1(x, *, radius, norm="l2"):
    return projected("l1", x, radius, norm)


@PACKAGE.adapts("projection.projection_l2_ball", "project", RIGHT, "the nearest point, to rounding", compared="L2")
def project_l2(x, *, radius, norm="l2"):
    return projected("l2", x, radius, norm)


@PACKAGE.adapts("projection.projection_linf_ball", "project", RIGHT, "the nearest point, to rounding", compared="L∞")
def project_linf(x, *, radius, norm="l2"):
    return projected("linf", x, radius, norm)


def projected(own, x, radius, norm):
    import jax
    from jaxopt import projection

    only(norm == own, own)
    project = getattr(projection, f"projection_{own}_ball")
    return jax.vmap(lambda row: project(row.ravel(), radius).reshape(row.shape))(x)
