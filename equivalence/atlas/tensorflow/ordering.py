"""What orders, selects by size, clips or compares, and what accumulates."""

from equivalence.atlas.entry import Entries, apart, between, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

TIE = {"tie": {"x": "np.ones(2)", "along": "np.array([1.0, 0])"}}
TWO = {"tie": {"x": "np.ones(1)", "y": "np.ones(1)", "along": "np.array([1.0, 0])"}}
X = apart(2, 4)
for name, call, hand in (
    ("tf.reduce_max", "tf.reduce_max(x, -1)", "x.max(-1)"),
    ("tf.reduce_min", "tf.reduce_min(x, -1)", "x.min(-1)"),
    ("tf.sort", "tf.sort(x)", "np.sort(x)"),
    ("tf.math.top_k", "tf.math.top_k(x, 2)[0]", "np.sort(x)[..., :-3:-1]"),
):
    add(name, call, hand=hand, kinks=TIE, x=X)
for name in ("max", "min", "median", "sort"):
    add(f"keras.ops.{name}", f"keras.ops.{name}(x, -1)", x=X)
for name, call, hand in (
    ("tf.maximum", "tf.maximum(x, y)", "np.maximum(x, y)"),
    ("tf.minimum", "tf.minimum(x, y)", "np.minimum(x, y)"),
    ("tf.clip_by_value, tensors", "tf.clip_by_value(x, y, y + 1)", "np.clip(x, y, y + 1)"),
):
    add(name, call, hand=hand, kinks=TWO, x=apart(4), y=apart(4, low=-1.7, high=1.9))
add(
    "tf.clip_by_value",
    "tf.clip_by_value(x, -1, 1)",
    hand="np.clip(x, -1, 1)",
    kinks={"1": {"x": "np.ones(1)"}},
    x=apart(6),
)
add("tf.clip_by_norm", "tf.clip_by_norm(x, 0.5)", hand="x / np.sqrt((x**2).sum()) / 2", x=normal(3))
add(
    "tf.clip_by_global_norm",
    "tf.clip_by_global_norm([x], 0.5)[0][0]",
    hand="x / np.sqrt((x**2).sum()) / 2",
    x=normal(3),
)
add("tf.abs", "tf.abs(x)", hand="abs(x)", kinks={"0": {"x": "np.zeros(1)"}}, x=apart(6))
add("tf.where", "tf.where(x > 0, x**2, tf.sin(x))", hand="np.where(x > 0, x**2, np.sin(x))", x=apart(6))
ZERO, TWO_ZEROS = "np.array([1.5, 0.0, -0.7, 2.0])", "np.array([1.5, 0.0, 0.0, 2.0])"
for name, hand in {"tf.reduce_prod": "np.prod(x)", "tf.math.cumprod": "np.cumprod(x)"}.items():
    add(name, f"{name}(x)", hand=hand, x=between(0.5, 2, 4))
    add(f"{name}, a zero", f"{name}(x)", hand=hand, x=ZERO)
    add(f"{name}, two zeros", f"{name}(x)", hand=hand, x=TWO_ZEROS)
add("tf.math.cumsum", "tf.math.cumsum(x**2)", hand="np.cumsum(x**2)", x=normal(4))
add("tf.math.cumulative_logsumexp", "tf.math.cumulative_logsumexp(x)", hand="np.log(np.cumsum(np.exp(x)))", x=normal(4))
add("tf.reduce_logsumexp", "tf.reduce_logsumexp(x, -1)", hand="hand.logsumexp(x)", x=normal(2, 3))
add(
    "tf.math.reduce_std",
    "tf.math.reduce_std(x, -1)",
    hand="np.sqrt(((x - x.mean(-1, keepdims=True)) ** 2).mean(-1))",
    x=normal(2, 3),
)
add(
    "tf.math.reduce_variance",
    "tf.math.reduce_variance(x, -1)",
    hand="((x - x.mean(-1, keepdims=True)) ** 2).mean(-1)",
    x=normal(2, 3),
)
add(
    "tf.math.reduce_euclidean_norm",
    "tf.math.reduce_euclidean_norm(x)",
    hand="np.sqrt((x**2).sum())",
    kinks={"zero": {"x": "np.zeros(2)"}},
    x=normal(3),
)
for name in ("std", "var", "logsumexp", "prod", "cumprod", "mean"):
    add(f"keras.ops.{name}", f"keras.ops.{name}(x)", x=between(0.5, 2, 4))
