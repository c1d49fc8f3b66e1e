"""cleverhans in JAX, which needs `jax.experimental.stax`: now `jax.example_libraries.stax`."""

from equivalence.published.logits import of_jax
from equivalence.published.package import LIMIT, RIGHT, WRONG, Package, only

PACKAGE = Package(
    "cleverhans",
    "4.0.0",
    ("cleverhans.jax.attacks.fast_gradient_method", "cleverhans.jax.utils"),
    before=(
        "import sys, types, jax",
        "stax = sys.modules['jax.experimental.stax'] = types.ModuleType('jax.experimental.stax')",
        "stax.logsoftmax = jax.nn.log_softmax",
    ),
)


def attacked(loss, x, norm):
    import jax
    from cleverhans.jax.attacks.fast_gradient_method import fast_gradient_method

    def model(at):  # of one sample, as the method calls it: at is (1, *S), and knows which by a last number
        b = jax.lax.stop_gradient(at[0, -1]).astype(int)
        return of_jax(loss(x.at[b].add(at[0, :-1].reshape(x.shape[1:])))[b][None])

    n = x[0].size
    zeros = jax.numpy.concatenate(
        [jax.numpy.zeros((len(x), n), x.dtype), jax.numpy.arange(len(x), dtype=x.dtype)[:, None]], 1
    )
    labels = jax.numpy.tile(jax.numpy.array([[1.0, 0.0]], x.dtype), (len(x), 1))
    moved = fast_gradient_method(model, zeros, 0.5, norm, y=labels) - zeros
    return jax.lax.stop_gradient(moved[:, :-1].reshape(x.shape))


@PACKAGE.adapts(
    "fast_gradient_method, L2",
    "fgm",
    WRONG,
    "eps is never used: ‖r‖ = 1 for every eps",
    compared="L2, a sample",
    witness="cleverhans_jax_eps",
    since="3.1.0",
)
def fast_gradient_l2(loss, x, *, radius, norm="l2", scope="sample"):
    only(norm == "l2" and scope == "sample", "L2, a sample")
    import jax

    return jax.lax.stop_gradient(radius / 0.5 * attacked(loss, x, 2))


@PACKAGE.adapts("fast_gradient_method, L∞", "fgm", RIGHT, "sign g, to rounding", compared="L∞")
def fast_gradient_linf(loss, x, *, radius, norm="l2", scope="sample"):
    import jax

    only(norm == "linf", "L∞")
    return jax.lax.stop_gradient(radius / 0.5 * attacked(loss, x, jax.numpy.inf))


@PACKAGE.adapts(
    "clip_eta",
    "project",
    LIMIT,
    "‖x‖² is not taken below 1e-12; in L∞ it raises since jnp.clip has no a_min and a_max any more",
    compared="L2",
    shows=("numbers of 1e-15",),
)
def clip(x, *, radius, norm="l2"):
    from cleverhans.jax.utils import clip_eta

    only(norm == "l2", "L2")
    return clip_eta(x, 2, radius)
