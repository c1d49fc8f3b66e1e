"""Half precision: norms over the whole range, directions of networks that compute in it, and what is refused."""

import numpy as np
import pytest

from equivalence import cases, oracle, precision
from equivalence.measure import HALF, ROUNDING_UNIT, mixing
from equivalence.problem import Problem
from tests.quick import mostly_slow

COSINE = 0.99
WAYS = ("fisher", "finite_difference", "exact")
VIRTUAL = ("vat_perturbation", "vat_loss")
LARGEST = {"float16": 65504.0, "bfloat16": 2.0**127 * (2 - 2.0**-7), "float32": 2.0**127 * (2 - 2.0**-23)}
SMALLEST = {"float16": 2.0**-24, "bfloat16": 2.0**-133, "float32": 2.0**-149}  # above 0
NORMAL = {"float16": 2.0**-14, "bfloat16": 2.0**-126, "float32": 2.0**-126}
NETWORKS = ("digits-mlp", "digits-cnn", "transformer")


@pytest.fixture
def array(bridge):
    """NumPy's numbers in one of the framework's dtypes."""
    return lambda numbers, dtype: bridge.cast(bridge.from_numpy(np.asarray(numbers, np.float64)), dtype)


@pytest.fixture
def rows(array, bridge, dtype):
    """Samples of every size that the dtype has, normal numbers and some beside 0; and the same in float64."""
    sizes = 2.0 ** np.linspace(np.log2(NORMAL[dtype]) + 8, np.log2(LARGEST[dtype]) - 8, 40)
    x = array(sizes[:, None] * np.random.default_rng(0).standard_normal((40, 33)), dtype)
    return x, bridge.to_numpy(x).astype(np.float64)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_norms_and_directions_are_right_over_the_whole_range(methods, bridge, rows, dtype):
    x, exact = rows
    sizes = oracle.values.l2_norm(exact)
    for name, found, expected in (
        ("l2_norm", bridge.to_numpy(methods.l2_norm(x)).astype(float) / sizes, np.ones(40)),
        ("unit", bridge.to_numpy(methods.unit(x)), oracle.values.unit(exact)),
        ("steepest l1", bridge.to_numpy(methods.steepest(x, norm="l1")), oracle.values.steepest(exact, norm="l1")),
        ("steepest linf", bridge.to_numpy(methods.steepest(x, norm="linf")), np.sign(exact)),
    ):
        assert np.abs(found.astype(float) - expected).max() <= 4 * ROUNDING_UNIT[dtype], name


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("norm", ["l2", "linf", "l1"])
def test_projections_are_right_over_the_whole_range(methods, bridge, rows, dtype, norm):
    x, exact = rows
    for radius in (0.0, 2.0**-10, 0.5, 1000.0):
        found = bridge.to_numpy(methods.project(x, radius=radius, norm=norm)).astype(float)
        expected = oracle.values.project(exact, radius=radius, norm=norm)
        assert np.abs(found - expected).max() <= 8 * ROUNDING_UNIT[dtype] * max(radius, SMALLEST[dtype] / 2**-8)
        length = np.linalg.norm(found, {"l2": 2, "linf": np.inf, "l1": 1}[norm], axis=1)
        assert length.max() <= radius * (1 + 33 * ROUNDING_UNIT[dtype])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("end", ["largest", "smallest normal", "smallest"])
def test_directions_of_the_ends_of_the_range(methods, bridge, array, dtype, end):
    """One number alone, and four alike. What a framework takes for 0 has the direction 0, and no other."""
    size = {"largest": LARGEST, "smallest normal": NORMAL, "smallest": SMALLEST}[end][dtype]
    x = array(size * np.array([[1.0, 0, 0, 0], [-1, 1, 1, -1]]), dtype)
    found = bridge.to_numpy(methods.unit(x)).astype(float)
    expected = np.array([[1, 0, 0, 0], [-0.5, 0.5, 0.5, -0.5]])
    flushed = end == "smallest" and dtype != "float16" and not found.any()
    assert flushed or np.abs(found - expected).max() <= 2 * ROUNDING_UNIT[dtype]


@pytest.mark.parametrize("name", ["unit", "steepest", "project", "l2_norm"])
def test_gradients_are_finite_wherever_they_are_taken(methods, bridge, name):
    """At 0, at numbers whose squares vanish or overflow, and with a ball of radius 0."""
    options = {"project": {"radius": 0.0}}.get(name, {})
    size = np.array([0.0, 1e-30, 1.0, 1e30])[:, None]
    for dtype, scale in (("float32", size), ("float64", size**5)):  # 1e-150 to 1e150
        x = bridge.from_numpy((scale * np.array([[0.3, -0.4, 1.2]])).astype(dtype))
        found = bridge.to_numpy(bridge.gradient(lambda x: getattr(methods, name)(x, **options), x))
        assert np.isfinite(found).all()
        assert name == "project" or not found[0].any()  # 0 is in every ball


def test_a_projection_onto_nothing_has_a_gradient(methods, bridge):
    x = bridge.from_numpy(np.full((1, 3), 1e-200))
    assert not bridge.to_numpy(bridge.gradient(lambda x: methods.project(x, radius=0.0)[:, 0], x)).any()


def test_many_small_numbers_are_all_added_up(methods, bridge, array):
    """100,000 ones: their sum is beyond float16, and bfloat16 alone does not count beyond 256."""
    for dtype in HALF:
        assert float(bridge.to_numpy(methods.l2_norm(array(np.ones((1, 100_000)), dtype)))[0]) == pytest.approx(
            316.2, rel=2 * ROUNDING_UNIT[dtype]
        )


@pytest.mark.parametrize("name", mostly_slow(NETWORKS, NETWORKS[:1]))
@pytest.mark.parametrize("dtype", HALF)
def test_virtual_adversarial_directions_survive(methods, bridge, name, dtype):
    """A network all of half precision, every sample of it, against the same network in float64."""
    problem = Problem(cases.REGISTRY[name](), bridge, methods, dtype)
    exact = widened(problem)

    def direction(problem, **options):
        def step(point):
            r = methods.vat_perturbation(point.f, point.x, point.extra.start, radius=1.0, **options)
            assert problem.dtype in str(r.dtype)
            return r

        return problem.compile(step, sweep=False)()

    assert cosines(direction(problem), direction(exact, how="exact")).min() >= COSINE


@pytest.mark.parametrize("name", mostly_slow(NETWORKS, NETWORKS[:1]))
@pytest.mark.parametrize("dtype", HALF)
def test_virtual_adversarial_directions_survive_a_model_that_hides_its_precision(methods, bridge, name, dtype):
    """Parameters, inputs and logits in float32, computed in half precision: a mixed policy with a wide head."""
    problem = Problem(cases.REGISTRY[name](), bridge, methods, "float32")

    def mixed(x):
        half = {key: bridge.cast(array, dtype) for key, array in problem.params.items()}
        data = {key: bridge.cast(value, dtype) if key == "mask" else value for key, value in problem.data.items()}
        return bridge.cast(problem.at(half, data, problem.extra).f(bridge.cast(x, dtype)), "float32")

    def direction(problem, f=None, **options):
        def step(point):
            return methods.vat_perturbation(f or point.f, point.x, point.extra.start, radius=1.0, **options)

        return problem.compile(step, sweep=False)()

    assert cosines(direction(problem, mixed), direction(widened(problem), how="exact")).min() >= COSINE


@pytest.mark.parametrize("dtype", HALF)
def test_directions_survive_the_frameworks_own_mixed_precision(framework, methods, bridge, dtype):
    f, wide = MIXED[framework](dtype)
    rng = np.random.default_rng(0)
    x, start = rng.uniform(size=(16, 12, 12, 1)), rng.standard_normal((16, 12, 12, 1))

    def direction(f, dtype):
        arrays = (bridge.from_numpy(array.astype(dtype)) for array in (x, start))
        return bridge.to_numpy(methods.vat_perturbation(f, *arrays, radius=1.0))

    assert cosines(direction(f, "float32"), direction(wide, "float32")).min() >= COSINE


def torch_autocast(dtype):
    import torch

    torch.manual_seed(0)
    body = torch.nn.Sequential(torch.nn.Conv2d(1, 8, 3), torch.nn.GELU(), torch.nn.Flatten(1))
    model = torch.nn.Sequential(body, torch.nn.Linear(800, 32), torch.nn.LayerNorm(32), torch.nn.Linear(32, 10))

    def mixed(x):
        with torch.autocast("cpu", getattr(torch, dtype)):
            return wide(x)

    def wide(x):
        return model(x.permute(0, 3, 1, 2))

    return mixed, wide


def jax_policy(dtype):
    import jax

    keys = jax.random.split(jax.random.key(0), 3)
    kernel, first, last = (
        jax.random.normal(key, shape, "float32") / size**0.5
        for key, shape, size in zip(keys, ((3, 3, 1, 8), (800, 32), (32, 10)), (9, 800, 32), strict=True)
    )

    def network(x, dtype):
        x, *weights = (array.astype(dtype) for array in (x, kernel, first, last))
        hidden = jax.lax.conv_general_dilated(
            x, weights[0], (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return jax.nn.gelu(jax.nn.gelu(hidden).reshape(len(x), -1) @ weights[1]) @ weights[2]

    return lambda x: network(x, dtype), lambda x: network(x, "float32")


def keras_policy(dtype):
    import keras

    def model(policy):
        keras.utils.set_random_seed(0)
        layers = keras.layers
        return keras.Sequential(
            [
                layers.Input((12, 12, 1)),
                layers.Conv2D(8, 3, activation="gelu", dtype=policy),
                layers.Flatten(dtype=policy),
                layers.Dense(32, activation="gelu", dtype=policy),
                layers.Dense(10, dtype=policy),
            ]
        )

    return model(f"mixed_{dtype}"), model("float32")


MIXED = {"torch": torch_autocast, "jax": jax_policy, "tensorflow": keras_policy}


def test_a_difference_chooses_its_step(methods, bridge):
    """√u·max(‖x‖, 1), by what the model returns: half precision needs a step of 1 where float32 has 0.004."""
    problem = Problem(cases.REGISTRY["digits-mlp"](), bridge, methods, "float64")
    point = problem.at(*problem.arrays)
    size = np.maximum(oracle.values.l2_norm(problem.case.x), 1)

    def found(f, **options):
        given = (f, point.x, point.extra.start)
        return bridge.to_numpy(methods.vat_perturbation(*given, radius=1.0, how="finite_difference", **options))

    for dtype in ("float64", "float32", *HALF):
        steps = ROUNDING_UNIT[dtype] ** 0.5 * size
        rounded = found(lambda x, dtype=dtype: bridge.cast(point.f(x), dtype))
        asked = [found(lambda x, dtype=dtype: bridge.cast(point.f(x), dtype), xi=float(xi)) for xi in steps]
        for sample in range(len(size)):
            np.testing.assert_allclose(rounded[sample], asked[sample][sample], atol=1e-6)


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize(
    ("given", "returned"),
    mostly_slow([("float32", "bfloat16"), ("float16", "float32"), ("bfloat16", "float16")], [("float32", "bfloat16")]),
)
def test_a_model_may_return_another_dtype(methods, bridge, how, given, returned):
    problem = Problem(cases.REGISTRY["tanh-mlp"](), bridge, methods, given)

    def step(point):
        arguments = (lambda x: bridge.cast(point.f(x), returned)), point.x, point.extra.start
        r, smoothness = (getattr(methods, name)(*arguments, radius=0.5, how=how) for name in VIRTUAL)
        assert given in str(r.dtype) and "float32" in str(smoothness.dtype)
        return r

    r = problem.compile(step, sweep=False)().astype(float)
    np.testing.assert_allclose(np.linalg.norm(r.reshape(len(r), -1), axis=1), 0.5, rtol=4 * ROUNDING_UNIT[given])


@pytest.mark.parametrize("dtype", HALF)
def test_numbers_a_sample_are_float32_and_right(methods, bridge, dtype):
    """Losses, divergences and penalties of half precision, against those of the same numbers in float64."""
    problem = Problem(cases.REGISTRY["digits-mlp"](), bridge, methods, dtype)
    wide = widened(problem)

    def numbers(point):
        found = {name: call(methods, point) for name, call in NUMBERS.items()}
        assert point.x.dtype == wide.data["x"].dtype or all("float32" in str(each.dtype) for each in found.values())
        return found

    found, exact = (each.compile(numbers, sweep=False)() for each in (problem, wide))
    for name in NUMBERS:
        np.testing.assert_allclose(found[name], exact[name], rtol=0.05, err_msg=name)


def divergence_of_neighbours(m, p):
    logits = p.f(p.x)
    return m.kl_divergence(logits, logits * 1.25)


NUMBERS = {
    "cross_entropy": lambda m, p: m.cross_entropy(p.f(p.x), p.labels),
    "squared_error": lambda m, p: m.squared_error(p.f(p.x), p.extra.targets),
    "entropy": lambda m, p: m.entropy(p.f(p.x)),
    "kl_divergence": divergence_of_neighbours,
    **{
        f"input_gradient_penalty {norm} {how}": lambda m, p, norm=norm, how=how: m.input_gradient_penalty(
            p.loss, p.x, norm=norm, how=how
        )
        for norm in ("l2_squared", "l2", "l1")
        for how in ("double_backward", "forward_over_reverse", "finite_difference")
    },
    "jacobian_penalty": lambda m, p: m.jacobian_penalty(p.f, p.x),
    "jacobian_penalty probes": lambda m, p: m.jacobian_penalty(
        p.f, p.x, weights=p.extra.class_weights, probes=p.extra.class_probes
    ),
    "tikhonov_penalty": lambda m, p: m.tikhonov_penalty("kl_divergence", p.f, p.x),
    "tikhonov_penalty probes": lambda m, p: m.tikhonov_penalty("kl_divergence", p.f, p.x, probes=p.extra.class_probes),
    "wgan_gradient_penalty": lambda m, p: m.wgan_gradient_penalty(p.loss, p.x, p.extra.vector, p.extra.mix, target=0.0),
}


@pytest.mark.parametrize("dtype", HALF)
def test_perturbations_have_the_dtype_of_x(methods, bridge, dtype):
    problem = Problem(cases.REGISTRY["digits-mlp"](), bridge, methods, dtype)

    def perturbations(point):
        found = {name: call(methods, point) for name, call in PERTURBATIONS.items()}
        assert all(r.dtype == point.x.dtype for r in found.values())
        return found

    found, exact = (each.compile(perturbations, sweep=False)() for each in (problem, widened(problem)))
    assert all(cosines(found[name], exact[name]).min() >= COSINE for name in PERTURBATIONS)


PERTURBATIONS = {
    "fgm": lambda m, p: m.fgm(p.loss, p.x, radius=0.5),
    "fgm raw": lambda m, p: m.fgm(p.loss, p.x, radius=0.5, norm="raw"),
    "fgm tensor": lambda m, p: m.fgm(p.loss, p.x, radius=0.5, scope="tensor"),
    "pgd": lambda m, p: m.pgd(p.loss, p.x, p.extra.start, radius=0.5, step=0.25, steps=3),
    "freelb_loss": lambda m, p: m.freelb_loss(p.loss, p.x, p.extra.start, radius=0.5, step=0.25, steps=3)[1],
}


@pytest.mark.parametrize(
    ("dtype", "framework_dtype"),
    [("float8", {"torch": "float8_e4m3fn", "jax": "float8_e4m3fn", "tensorflow": "float8_e4m3fn"}), ("int32", {})],
)
def test_what_cannot_be_computed_in_is_refused_in_words(framework, methods, bridge, dtype, framework_dtype):
    x = bridge.cast(bridge.from_numpy(np.ones((2, 3), "float32")), framework_dtype.get(framework, dtype))
    for name in ("unit", "l2_norm", "steepest"):
        with pytest.raises(TypeError, match=rf"x: got .*{dtype}.*, expected floating point of 16 bits or more"):
            getattr(methods, name)(x)


@pytest.mark.parametrize("dtype", HALF)
def test_a_step_that_the_dtype_does_not_hold_is_refused(methods, array, dtype):
    x, smallest = array(np.ones((2, 3)), dtype), SMALLEST[dtype]

    def difference(xi):
        methods.vat_perturbation(lambda x: x, x, x, radius=1.0, how="finite_difference", xi=xi)
        methods.input_gradient_penalty(lambda x: x[:, 0], x, how="finite_difference", xi=xi)

    difference(2.0**-6)
    with pytest.raises(ValueError, match=rf"xi: got .*, which is 0 in .*{dtype}"):
        difference(smallest / 4)


@pytest.mark.parametrize(("given", "returned"), [("float32", "bfloat16"), ("float16", "float32")])
def test_attacks_and_penalties_of_a_model_that_returns_another_dtype(methods, bridge, given, returned):
    problem = Problem(cases.REGISTRY["tanh-mlp"](), bridge, methods, given)

    def numbers(point):
        def f(x):
            return bridge.cast(point.f(x), returned)

        def loss(x):
            return methods.cross_entropy(f(x), point.labels)

        found = [
            methods.input_gradient_penalty(loss, point.x),
            methods.jacobian_penalty(f, point.x),
            methods.tikhonov_penalty("kl_divergence", f, point.x),
        ]
        r = methods.fgm(loss, point.x, radius=0.5)
        assert r.dtype == point.x.dtype and all("float32" in str(each.dtype) for each in found)
        return [*found, r]

    found, exact = (each.compile(numbers, sweep=False)() for each in (problem, problem.in_dtype("float32")))
    for one, other in zip(found[:3], exact[:3], strict=True):
        np.testing.assert_allclose(one, other, rtol=0.05)
    assert cosines(found[3], exact[3]).min() >= COSINE


@pytest.mark.parametrize("name", ["digits-mlp", "digits-cnn", "bert"])
def test_mixed_precision_computes_in_half(methods, bridge, name):
    """Off by rounding of that dtype, and by no less: a cast that does nothing would agree all too well."""
    case = cases.REGISTRY[name]()
    exact = Problem(case, bridge, methods, "float64").compile(lambda p: p.f(p.x), sweep=False)()
    for dtype in HALF:
        found = Problem(case, bridge, methods, mixing(dtype)).compile(lambda p: p.f(p.x), sweep=False)()
        off = np.abs(found.astype(float) - exact).max() / np.abs(exact).max()
        assert ROUNDING_UNIT[dtype] / 16 < off < 16 * ROUNDING_UNIT[dtype]


@pytest.mark.slow
def test_precision_tells_what_is_kept_from_what_is_lost(methods, bridge):
    found = precision.measure(bridge, methods, "cpu", "digits-mlp", "bfloat16")
    assert found.keys() == {precision.SWEEP, *precision.METHODS, *precision.GRADIENTS}
    assert min(found[precision.DEFAULT]["cosines"]) >= precision.COSINE > min(found[precision.FIXED_STEP]["cosines"])
    assert 0 < found["fgm"]["moved"] < 1  # pixels of 0 move, and those of 1 do not
    swept = dict(zip(found[precision.SWEEP]["xi"], found[precision.SWEEP]["cosines"], strict=True))
    assert swept[1.0] > 0.95 > swept[0.01] and swept[1e-7] == 0  # the middle of two errors, and one alone


@pytest.mark.parametrize("name", ["fgm", "pgd", "vat_perturbation", "input_gradient_penalty"])
def test_inputs_that_nothing_is_computed_in_are_refused(methods, bridge, name):
    x = bridge.cast(bridge.from_numpy(np.ones((2, 3), "float32")), "int32")
    options = {} if name == "input_gradient_penalty" else {"radius": 1.0}
    options |= {"step": 1.0, "steps": 1} if name == "pgd" else {}
    more = (x,) if name in ("pgd", "vat_perturbation") else ()
    with pytest.raises(TypeError, match=r"x: got .*int32.*, expected floating point of 16 bits or more"):
        getattr(methods, name)(lambda x: x[:, 0], x, *more, **options)


def widened(problem):
    """The same numbers in float64."""
    wide = problem.in_dtype("float64")
    for arrays, own in ((wide.params, problem.params), (wide.data, problem.data), (wide.extra, problem.extra)):
        arrays |= {
            name: problem.bridge.cast(array, "float64") for name, array in own.items() if "float" in str(array.dtype)
        }
    return wide


def cosines(*directions):
    a, b = (r.astype(float).reshape(len(r), -1) for r in directions)
    return (a * b).sum(1) / np.maximum(np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1), 1e-300)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_what_is_drawn_is_drawn_in_float32_and_rounded(methods, bridge, array, dtype):
    """In bfloat16 alone a rate of 0.001 drops 0.8 % of the numbers, and a normal one never lies beyond 2.9."""
    draws = {
        "rademacher": lambda like: methods.rademacher(3, (4000, 2), like=like),
        "gaussian": lambda like: methods.gaussian(3, (4000, 2), like=like),
        "uniform": lambda like: methods.uniform(3, (4000, 2), like=like),
        "uniform_sphere": lambda like: methods.uniform_sphere(3, (4000, 2), like=like),
        "l2": lambda like: methods.uniform_ball(3, (4000, 2), like=like, norm="l2"),
        "l1": lambda like: methods.uniform_ball(3, (4000, 2), like=like, norm="l1"),
        "linf": lambda like: methods.uniform_ball(3, (4000, 2), like=like, norm="linf"),
        "dropout_mask": lambda like: methods.dropout_mask(3, (4000, 2), rate=0.001, like=like),
    }
    for name, draw in draws.items():
        found, exact = (bridge.to_numpy(draw(array([0.0], each))).astype(float) for each in (dtype, "float32"))
        assert (np.abs(found - exact) <= ROUNDING_UNIT[dtype] * np.abs(exact) + SMALLEST[dtype]).all(), name
        assert ((found == 0) == (exact == 0)).all(), name
    assert bridge.to_numpy(draws["uniform"](array([0.0], dtype))).max() < 1
