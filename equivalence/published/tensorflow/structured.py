"""Neural Structured Learning, which imports `tf.estimator` for what is not needed here: its `lib` is loaded alone."""

from equivalence.published.package import LIMIT, WRONG, Package, only

PACKAGE = Package(
    "neural-structured-learning",
    "1.4.0",
    ("tensorflow", "neural_structured_learning.lib.regularizer", "neural_structured_learning.lib.utils"),
    before=(
        "import importlib.util, sys, types",
        "folder = importlib.util.find_spec('neural_structured_learning').submodule_search_locations",
        "own = sys.modules['neural_structured_learning'] = types.ModuleType('neural_structured_learning')",
        "own.__path__ = list(folder)",
    ),
)
KINDS = {"l2": "l2", "linf": "infinity", "l1": "l1"}


@PACKAGE.adapts(
    "lib.utils.maximize_within_unit_norm",
    "steepest",
    LIMIT,
    "a gradient's norm is not taken below 1e-6, so that a smaller one gives less than 1",
    compared="L1, L2, L∞, a sample",
    shows=("C6", "numbers of 1e-15"),
)
def steepest(x, *, norm="l2", scope="sample"):
    from neural_structured_learning.lib.utils import maximize_within_unit_norm

    only(norm in KINDS and scope == "sample", "L1, L2 and L∞, a sample")
    return maximize_within_unit_norm(x, KINDS[norm])


@PACKAGE.adapts(
    "lib.utils.project_to_ball",
    "project",
    LIMIT,
    "a norm is not taken below 1e-6: at a smaller radius what is within is shortened or left",
    compared="L2, L∞",
    shows=("numbers of 1e-15",),
)
def project(x, *, radius, norm="l2"):
    from neural_structured_learning import configs
    from neural_structured_learning.lib.utils import project_to_ball

    only(norm != "l1", "L2 and L∞")
    return project_to_ball(x, radius, configs.NormType(KINDS[norm]))


@PACKAGE.adapts(
    "lib.regularizer.virtual_adv_regularizer",
    "vat_perturbation",
    WRONG,
    "the gradient of a batch's mean, ξ = 1e-6 by default, is below the floor of 1e-6 of its norm: r is far too short",
    compared="finite_difference, its own ξ where none is given",
    witness="structured_virtual",
)
def virtual(f, x, start, *, radius, xi=None, steps=1, how="fisher"):
    import tensorflow as tf
    from neural_structured_learning import configs
    from neural_structured_learning.lib import regularizer

    only(how == "finite_difference", "finite differences")
    seen = []

    def embed(at):
        seen.append(at)
        return tf.nn.softmax(f(at))

    neighbour = configs.AdvNeighborConfig(adv_step_size=1.0, adv_grad_norm=configs.NormType.L2)
    distance = configs.DistanceConfig(distance_type=configs.DistanceType.KL_DIVERGENCE, sum_over_axis=-1)
    difference = {} if xi is None else {"approx_difference": xi}
    config = configs.VirtualAdvConfig(neighbour, distance, num_approx_steps=steps, **difference)
    regularizer._virtual_adv_regularizer(x, embed, config, tf.nn.softmax(f(x)), start)
    return tf.stop_gradient(radius * (seen[-1] - x))
