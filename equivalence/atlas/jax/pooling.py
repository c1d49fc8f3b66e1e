"""Pooling, and reductions over windows."""

from equivalence.atlas.entry import Entries, apart, between, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

TIE = {"tie": {"x": "np.ones((2, 2))", "along": "np.array([1.0, 0, 0, 0])"}}
WINDOW = "lax.reduce_window(x, {}, lax.{}, (2, 2), (1, 1), 'VALID')"
add(
    "lax.reduce_window, max",
    WINDOW.format("-jnp.inf", "max"),
    hand="hand.patches(x, 2).max((-1, -2))",
    kinks=TIE,
    x=apart(3, 4),
)
add("lax.reduce_window, min", WINDOW.format("jnp.inf", "min"), hand="hand.patches(x, 2).min((-1, -2))", x=apart(3, 4))
add("lax.reduce_window, add", WINDOW.format("0.0", "add"), hand="hand.patches(x, 2).sum((-1, -2))", x=normal(3, 3))
add(
    "lax.reduce_window, mul",
    WINDOW.format("1.0", "mul"),
    hand="hand.patches(x, 2).prod((-1, -2))",
    x=between(0.5, 1.5, 3, 3),
)
DILATED = "lax.reduce_window(x, -jnp.inf, lax.max, (2, 2), (1, 1), 'VALID', window_dilation=(2, 2))"
add("lax.reduce_window, max, dilated window", DILATED, x=apart(4, 4))
BASE = "lax.reduce_window(x, -jnp.inf, lax.max, (2, 2), (1, 1), 'VALID', base_dilation=(2, 2))"
add("lax.reduce_window, max, dilated input", BASE, x=apart(3, 4))
NNX = "from flax import nnx"
for name, call, shape in (
    ("avg_pool", "nnx.avg_pool(x, (2,))", (1, 4, 2)),
    ("max_pool", "nnx.max_pool(x, (2,))", (1, 4, 2)),
    ("min_pool", "nnx.min_pool(x, (2,))", (1, 4, 2)),
):
    add(f"nnx.{name}", call, setup=NNX, needs="flax", x=apart(*shape))
