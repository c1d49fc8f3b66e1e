"""Gathering, scattering, embeddings, and moving numbers about."""

from equivalence.atlas.entry import Entries, between, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

ROW = "i = jnp.array([2, 0, 2])"
add("jnp.ndarray.__getitem__", "x[i]", setup=ROW, hand="x[[2, 0, 2]]", x=normal(3, 2))
add("jnp.take", "jnp.take(x, i)", setup=ROW, hand="x.ravel()[[2, 0, 2]]", x=normal(3, 2))
add("jnp.take_along_axis", "jnp.take_along_axis(x, jnp.array([[0, 2], [1, 1]]), 1)", x=normal(2, 3))
add("lax.dynamic_slice", "lax.dynamic_slice(x, (1,), (2,)) ** 2", hand="x[1:3] ** 2", x=normal(4))
add(
    "lax.dynamic_update_slice",
    "lax.dynamic_update_slice(x, y, (1,))",
    hand="np.concatenate([x[:1], y, x[3:]])",
    x=normal(4),
    y=normal(2),
)
ACCUMULATED = {
    "add": "x + np.array([y[1], 0, y[0] + y[2]])",
    "multiply": "x * np.array([y[1], 1, y[0] * y[2]])",
    "divide": "",
    "min": "np.array([min(x[0], y[1]), x[1], min(x[2], y[0], y[2])])",
    "max": "np.array([max(x[0], y[1]), x[1], max(x[2], y[0], y[2])])",
    "power": "",
}
for name, hand in ACCUMULATED.items():
    add(
        f"jnp.ndarray.at.{name}", f"x.at[i].{name}(y)", setup=ROW, hand=hand, x=between(0.5, 2, 3), y=between(0.5, 2, 3)
    )
add(
    "jnp.ndarray.at.set",
    "x.at[jnp.array([0, 2])].set(y)",
    hand="np.array([y[0], x[1], y[1]])",
    x=normal(3),
    y=normal(2),
)
add(
    "jnp.ndarray.at.apply",
    "x.at[jnp.array([0, 2])].apply(jnp.sin)",
    hand="np.array([np.sin(x[0]), x[1], np.sin(x[2])])",
    x=normal(3),
)
for name, hand in {
    "segment_sum": "np.array([x[1], 0 * x[0], x[0] + x[2]])",
    "segment_prod": "np.array([x[1], 0 * x[0] + 1, x[0] * x[2]])",
    "segment_max": "",
    "segment_min": "",
}.items():
    add(
        f"jax.ops.{name}",
        f"jax.ops.{name}(x, i, 3)[jnp.array([0, 2])]",
        setup=f"import jax.ops; {ROW}",
        hand=f"({hand})[[0, 2]]" if hand else "",
        x=between(0.5, 2, 3),
    )
for name, call, hand, shape in (
    ("jnp.roll", "jnp.roll(x, 1) * x", "np.roll(x, 1) * x", (4,)),
    ("jnp.flip", "jnp.flip(x) * x", "x[::-1] * x", (4,)),
    ("jnp.tril", "jnp.tril(x) @ x", "np.tril(x) @ x", (3, 3)),
    ("jnp.diagonal", "jnp.diagonal(x) ** 2", "np.diagonal(x) ** 2", (3, 3)),
    ("jnp.pad, reflect", "jnp.pad(x, 1, mode='reflect') ** 2", "np.pad(x, 1, mode='reflect') ** 2", (4,)),
    ("jnp.pad, wrap", "jnp.pad(x, 1, mode='wrap') ** 2", "np.pad(x, 1, mode='wrap') ** 2", (4,)),
    ("jnp.pad, linear_ramp", "jnp.pad(x, 1, mode='linear_ramp') ** 2", "", (4,)),
    ("lax.pad, negative", "lax.pad(x, 0.0, [(-1, 1, 1)]) ** 2", "", (4,)),
    ("jnp.repeat", "jnp.repeat(x, jnp.array([2, 1, 1]), total_repeat_length=4) ** 2", "", (3,)),
    ("jnp.tile", "jnp.tile(x, 2) ** 2", "np.tile(x, 2) ** 2", (3,)),
    ("jnp.vander", "jnp.vander(x)", "np.vander(x)", (3,)),
    ("jnp.interp, of the values", "jnp.interp(jnp.array([0.3, 1.2]), jnp.arange(3.0), x) ** 2", "", (3,)),
    ("jnp.histogram, weights", "jnp.histogram(jnp.arange(3.0), 2, weights=x)[0] ** 2", "", (3,)),
    ("jnp.polyval", "jnp.polyval(x, x)", "np.polyval(x, x)", (3,)),
    ("jnp.unwrap", "jnp.unwrap(x) ** 2", "", (3,)),
):
    add(name, call, hand=hand, x=normal(*shape))
add("jnp.interp", "jnp.interp(x, jnp.arange(4.0), y)", x="np.array([0.3, 1.2, 2.6])", y=normal(4))
add(
    "nnx.Embed",
    "table[i]",
    setup=f"{ROW}",
    also=("jnp.take of a table", "nn.Embed"),
    hand="table[[2, 0, 2]]",
    table=normal(3, 2),
)
add("jax.nn.one_hot product", "nn.one_hot(jnp.array([2, 0]), 3) @ table", hand="table[[2, 0]]", table=normal(3, 2))

# Sparse tensors, made of values that are differentiated.
IMPORT_SPARSE = "from jax.experimental import sparse"
WHERE = "jnp.array([[0, 0], [0, 2], [1, 1], [2, 0]])"
SAME_DENSE = "np.array([[x[0], 0, x[1]], [0, x[2], 0], [x[3], 0, 0]])"
SPARSE_OF = {
    "BCOO": f"sparse.BCOO((x, {WHERE}), shape=(3, 3))",
    "COO": f"sparse.COO((x, *{WHERE}.T), shape=(3, 3))",
    "BCSR": "sparse.BCSR((x, jnp.array([0, 2, 1, 0]), jnp.array([0, 2, 3, 4])), shape=(3, 3))",
    "CSR": "sparse.CSR((x, jnp.array([0, 2, 1, 0]), jnp.array([0, 2, 3, 4])), shape=(3, 3))",
}
STORED, FACTOR = normal(4), normal(3, 2)

for name, made in SPARSE_OF.items():
    add(f"sparse.{name}.todense", f"{made}.todense()", setup=IMPORT_SPARSE, hand=SAME_DENSE, x=STORED)
    add(f"sparse.{name}, product", f"{made} @ y", setup=IMPORT_SPARSE, hand=f"{SAME_DENSE} @ y", x=STORED, y=FACTOR)
    add(
        f"sparse.{name}, product with a vector",
        f"{made} @ y",
        setup=IMPORT_SPARSE,
        hand=f"{SAME_DENSE} @ y",
        x=STORED,
        y=normal(3),
    )
add(
    "sparse.BCOO.fromdense, product",
    "sparse.BCOO.fromdense(jnp.outer(x, x), nse=9) @ y",
    setup=IMPORT_SPARSE,
    hand="np.outer(x, x) @ y",
    x=normal(3),
    y=FACTOR,
)
