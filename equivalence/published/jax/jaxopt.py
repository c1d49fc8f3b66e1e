"""jaxopt: projections."""

from equivalence.published.package import LIMIT, RIGHT, Package
from equivalence.published.projections import project_rows

PACKAGE = Package("jaxopt", "0.8.5", ("jaxopt",))
PROJECTIONS = "jaxopt.projection"


@PACKAGE.adapts(
    "projection.projection_l1_ball",
    "project",
    LIMIT,
    "the nearest point, to rounding; a radius of 0 divides by it, and gives NaN",
    compared="L1",
    shows=("radius 0.0",),
)
def project_l1(x, *, radius, norm="l2"):
    return project_rows(PROJECTIONS, "l1", x, radius, norm)


@PACKAGE.adapts("projection.projection_l2_ball", "project", RIGHT, "the nearest point, to rounding", compared="L2")
def project_l2(x, *, radius, norm="l2"):
    return project_rows(PROJECTIONS, "l2", x, radius, norm)


@PACKAGE.adapts("projection.projection_linf_ball", "project", RIGHT, "the nearest point, to rounding", compared="L∞")
def project_linf(x, *, radius, norm="l2"):
    return project_rows(PROJECTIONS, "linf", x, radius, norm)
