"""What orders, selects by size, clips or compares, and what accumulates."""

from equivalence.atlas.entry import Entries, apart, between, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

TIE = {"tie": {"x": "np.ones(2)", "along": "np.array([1.0, 0])"}}
TWO = {"tie": {"x": "np.ones(1)", "y": "np.ones(1)", "along": "np.array([1.0, 0])"}}
X = apart(2, 4)

for name, call, hand in (
    ("jnp.max", "jnp.max(x, -1)", "x.max(-1)"),
    ("jnp.min", "jnp.min(x, -1)", "x.min(-1)"),
    ("jnp.sort", "jnp.sort(x)", "np.sort(x)"),
    ("jnp.median", "jnp.median(x, -1)", "np.sort(x)[..., len(x.T) // 2 - 1 : len(x.T) // 2 + 1].mean(-1)"),
    ("jnp.ptp", "jnp.ptp(x, -1)", "x.max(-1) - x.min(-1)"),
    ("lax.cummax", "lax.cummax(x, x.ndim - 1)", "np.maximum.accumulate(x, -1)"),
    ("lax.cummin", "lax.cummin(x, x.ndim - 1)", "np.minimum.accumulate(x, -1)"),
):
    add(name, call, hand=hand, kinks=TIE, x=X)
add("lax.top_k", "lax.top_k(x, 2)[0]", hand="np.sort(x)[:, :1:-1]", x=X)
add("lax.approx_max_k", "lax.approx_max_k(x, 2)[0]", hand="np.sort(x)[:, :1:-1]", x=X)
add("lax.sort, with values", "lax.sort((x, x**2), num_keys=1)[1]", x=X)
add(
    "jnp.quantile",
    "jnp.quantile(x, 0.4, -1)",
    hand="np.sort(x)[:, 1] * np.longdouble('0.8') + np.sort(x)[:, 2] * np.longdouble('0.2')",
    x=X,
)
add("jnp.partition", "jnp.partition(x, 1)[:, 1]", hand="np.sort(x)[:, 1]", x=X)
for name, call, hand in (
    ("jnp.maximum", "jnp.maximum(x, y)", "np.maximum(x, y)"),
    ("jnp.minimum", "jnp.minimum(x, y)", "np.minimum(x, y)"),
    ("jnp.fmax", "jnp.fmax(x, y)", "np.maximum(x, y)"),
    ("jnp.clip, arrays", "jnp.clip(x, y, y + 1)", "np.clip(x, y, y + 1)"),
    ("lax.clamp", "lax.clamp(y, x, y + 1)", "np.clip(x, y, y + 1)"),
):
    add(name, call, hand=hand, kinks=TWO, x=apart(4), y=apart(4, low=-1.7, high=1.9))
add("jnp.clip", "jnp.clip(x, -1, 1)", hand="np.clip(x, -1, 1)", kinks={"1": {"x": "np.ones(1)"}}, x=apart(6))
add("jnp.abs", "jnp.abs(x)", hand="abs(x)", kinks={"0": {"x": "np.zeros(1)"}}, x=apart(6))
add("jnp.where", "jnp.where(x > 0, x**2, jnp.sin(x))", hand="np.where(x > 0, x**2, np.sin(x))", x=apart(6))
add(
    "jnp.select",
    "jnp.select([x > 1, x > 0], [x**3, x**2], x)",
    hand="np.where(x > 1, x**3, np.where(x > 0, x**2, x))",
    x=apart(6),
)
add(
    "jnp.piecewise",
    "jnp.piecewise(x, [x < 0, x >= 0], [jnp.sin, lambda x: x**2])",
    hand="np.where(x < 0, np.sin(x), x**2)",
    x=apart(6),
)
add("jnp.nan_to_num", "jnp.nan_to_num(x) ** 3", hand="x**3", x=normal(4))
ZERO, TWO_ZEROS = "np.array([1.5, 0.0, -0.7, 2.0])", "np.array([1.5, 0.0, 0.0, 2.0])"
for name, hand in {"jnp.prod": "np.prod(x)", "jnp.cumprod": "np.cumprod(x)", "lax.cumprod": "np.cumprod(x)"}.items():
    add(name, f"{name}(x)", hand=hand, x=between(0.5, 2, 4))
    add(f"{name}, a zero", f"{name}(x)", hand=hand, x=ZERO)
    add(f"{name}, two zeros", f"{name}(x)", hand=hand, x=TWO_ZEROS)
add("jnp.cumsum", "jnp.cumsum(x**2)", hand="np.cumsum(x**2)", x=normal(4))
add("lax.cumlogsumexp", "lax.cumlogsumexp(x)", hand="np.log(np.cumsum(np.exp(x)))", x=normal(4))
add(
    "jax.scipy.special.logsumexp, weighted",
    "logsumexp(x, b=y)",
    setup="from jax.scipy.special import logsumexp",
    hand="np.log((y * np.exp(x)).sum())",
    x=normal(3),
    y=between(0.5, 2, 3),
)
add("jnp.std", "jnp.std(x, -1)", hand="np.sqrt(((x - x.mean(-1, keepdims=True)) ** 2).mean(-1))", x=normal(2, 3))
add("jnp.var", "jnp.var(x, -1)", hand="((x - x.mean(-1, keepdims=True)) ** 2).mean(-1)", x=normal(2, 3))
add("jnp.corrcoef", "jnp.corrcoef(x)", x=normal(2, 4))
add("jnp.cov", "jnp.cov(x)", x=normal(2, 4))
add("jnp.diff", "jnp.diff(x**2)", hand="np.diff(x**2)", x=normal(4))
add("jnp.trapezoid", "jnp.trapezoid(x**2)", x=normal(4))
