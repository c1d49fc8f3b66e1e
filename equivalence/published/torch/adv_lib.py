"""adv-lib: the Euclidean projection onto the L1 ball."""

from equivalence.published.package import RIGHT, Package, only

PACKAGE = Package("adv-lib", "0.2.8", ("adv_lib.utils.projections",))


@PACKAGE.adapts(
    "l1_ball_euclidean_projection", "project", RIGHT, "the nearest point, to rounding", compared="L1", traced=False
)
def project_l1(x, *, radius, norm="l2"):
    import torch
    from adv_lib.utils.projections import l1_ball_euclidean_projection

    only(norm == "l1", "L1")
    return l1_ball_euclidean_projection(x.flatten(1), torch.as_tensor(radius, dtype=x.dtype).expand(len(x))).reshape(
        x.shape
    )
