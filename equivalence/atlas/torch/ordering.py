"""What orders, selects by size, clips or compares, and what accumulates."""

from equivalence.atlas.entry import Entries, apart, between, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

TIE = {"tie": {"x": "np.ones(2)", "along": "np.array([1.0, 0])"}}
TWO = {"tie": {"x": "np.ones(1)", "y": "np.ones(1)", "along": "np.array([1.0, 0])"}}
X = apart(2, 4)

for name, hand in {
    "torch.amax": "x.max(-1)",
    "torch.amin": "x.min(-1)",
    "torch.max": "x.max(-1)",
    "torch.min": "x.min(-1)",
    "torch.median": "np.sort(x)[:, 1]",
    "torch.sort": "np.sort(x)",
    "torch.cummax": "np.maximum.accumulate(x, -1)",
    "torch.cummin": "np.minimum.accumulate(x, -1)",
}.items():
    pick = "" if name in ("torch.amax", "torch.amin") else "[0]"
    add(name, f"{name}(x, -1){pick}", hand=hand, kinks=TIE, x=X)
add("torch.topk", "torch.topk(x, 2)[0]", hand="np.sort(x)[:, :1:-1]", kinks={}, x=X)
add("torch.kthvalue", "torch.kthvalue(x, 2)[0]", hand="np.sort(x)[:, 1]", kinks={}, x=X)
add("torch.mode", "torch.mode(x, -1)[0]", hand="np.sort(x)[:, 0]", x=X)
add("torch.quantile", "torch.quantile(x, 0.4, -1)", hand="np.sort(x)[:, 1] * 0.8 + np.sort(x)[:, 2] * 0.2", x=X)
add("torch.msort", "torch.msort(x)", hand="np.sort(x, 0)", x=X)
for name, hand in {
    "torch.maximum": "np.maximum(x, y)",
    "torch.minimum": "np.minimum(x, y)",
    "torch.fmax": "np.maximum(x, y)",
    "torch.fmin": "np.minimum(x, y)",
}.items():
    add(name, f"{name}(x, y)", hand=hand, kinks=TWO, x=apart(4), y=apart(4, low=-1.7, high=1.9))
add("torch.clamp", "torch.clamp(x, -1, 1)", hand="np.clip(x, -1, 1)", kinks={"1": {"x": "np.ones(1)"}}, x=apart(6))
add(
    "torch.clamp, tensors",
    "torch.clamp(x, y, y + 1)",
    hand="np.clip(x, y, y + 1)",
    kinks=TWO,
    x=apart(4),
    y=apart(4, low=-1.7, high=1.9),
)
add("torch.clamp_min", "torch.clamp_min(x, 0)", hand="np.maximum(x, 0)", kinks={"0": {"x": "np.zeros(1)"}}, x=apart(6))
add("torch.abs", "torch.abs(x)", hand="abs(x)", kinks={"0": {"x": "np.zeros(1)"}}, x=apart(6))
add("torch.where", "torch.where(x > 0, x**2, x.sin())", hand="np.where(x > 0, x**2, np.sin(x))", x=apart(6))
add("torch.nan_to_num", "torch.nan_to_num(x) ** 3", hand="x**3", x=normal(4))
ZERO = "np.array([1.5, 0.0, -0.7, 2.0])"
TWO_ZEROS = "np.array([1.5, 0.0, 0.0, 2.0])"
for name, hand in {"torch.prod": "np.prod(x)", "torch.cumprod": "np.cumprod(x)"}.items():
    add(name, f"{name}(x, 0)", hand=hand, x=between(0.5, 2, 4))
    add(f"{name}, a zero", f"{name}(x, 0)", hand=hand, x=ZERO)
    add(f"{name}, two zeros", f"{name}(x, 0)", hand=hand, x=TWO_ZEROS)
add("torch.prod, whole", "torch.prod(x)", hand="np.prod(x)", x=ZERO)
add("torch.cumsum", "torch.cumsum(x**2, 0)", hand="np.cumsum(x**2)", x=normal(4))
add("torch.logcumsumexp", "torch.logcumsumexp(x, 0)", hand="np.log(np.cumsum(np.exp(x)))", x=normal(4))
add("torch.logsumexp", "torch.logsumexp(x, -1)", hand="hand.logsumexp(x)", x=normal(2, 3))
add("torch.cumulative_trapezoid", "torch.cumulative_trapezoid(x**2)", x=normal(4))
add("torch.std", "torch.std(x, -1)", hand="np.sqrt(((x - x.mean(-1, keepdims=True)) ** 2).sum(-1) / 2)", x=normal(2, 3))
add("torch.var", "torch.var(x, -1)", hand="((x - x.mean(-1, keepdims=True)) ** 2).sum(-1) / 2", x=normal(2, 3))
add("torch.var_mean", "torch.stack(torch.var_mean(x, -1))", x=normal(2, 3))
add("torch.corrcoef", "torch.corrcoef(x)", x=normal(2, 4))
add("torch.cov", "torch.cov(x)", x=normal(2, 4))
add(
    "torch.renorm",
    "torch.renorm(x, 2, 0, 1.0)",
    hand="x / np.sqrt((x**2).sum(1, keepdims=True))",
    x=normal(2, 4, scale=2),
)
add("torch.diff", "torch.diff(x**2)", hand="np.diff(x**2)", x=normal(4))
