"""Rules that are written by hand, and what wraps operations."""

from equivalence.atlas.entry import Entries, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

VJP = "cube = jax.custom_vjp(lambda x: x**3); cube.defvjp(lambda x: (x**3, x), lambda x, g: (3 * x**2 * g,))"
add(
    "jax.custom_vjp",
    "cube(x)",
    setup=VJP,
    hand="x**3",
    documented="jax.custom_vjp: forward mode is not supported",
    x=normal(3),
)
KEPT = "cube = jax.custom_vjp(lambda x: x**3); cube.defvjp(lambda x: (x**3, x**2), lambda s, g: (3 * s * g,))"
add(
    "jax.custom_vjp, intermediate kept",
    "cube(x)",
    setup=KEPT,
    hand="x**3",
    documented="jax.custom_vjp: forward mode is not supported",
    x=normal(3),
)
JVP = "cube = jax.custom_jvp(lambda x: x**3); cube.defjvp(lambda p, t: (p[0]**3, 3 * p[0]**2 * t[0]))"
add("jax.custom_jvp", "cube(x)", setup=JVP, hand="x**3", x=normal(3))
add(
    "jax.custom_jvp, defjvps",
    "cube(x)",
    setup="cube = jax.custom_jvp(lambda x: x**3); cube.defjvps(lambda t, y, x: 3 * x**2 * t)",
    hand="x**3",
    x=normal(3),
)
add(
    "jax.custom_gradient",
    "cube(x)",
    setup="cube = jax.custom_gradient(lambda x: (x**3, lambda g: 3 * x**2 * g))",
    hand="x**3",
    documented="jax.custom_gradient: forward mode is not supported",
    x=normal(3),
)
add(
    "jax.closure_convert",
    "jax.closure_convert(lambda a: a * x, x)[0](x, *jax.closure_convert(lambda a: a * x, x)[1])",
    hand="x * x",
    x=normal(3),
)
SOLVE = (
    "lax.custom_linear_solve(lambda v: a @ v, b, lambda f, b: jnp.linalg.solve(a, b),"
    " lambda f, b: jnp.linalg.solve(a.T, b))"
)
add("lax.custom_linear_solve", SOLVE, hand="hand.solve(a, b)", a=f"np.eye(3) + {normal(3, 3, scale=0.3)}", b=normal(3))
ROOT = (
    "lax.custom_root(lambda y: y**3 - x, jnp.ones_like(x), lambda f, y: jnp.cbrt(x),"
    " lambda g, y: y / g(jnp.ones_like(y)))"
)
add("lax.custom_root", ROOT, hand="np.cbrt(x)", x="rng.uniform(0.5, 2, size=3)")
add("jax.vjp inside", "jax.vjp(lambda x: x**3, x)[1](x)[0]", hand="3 * x**3", x=normal(3))
add("jax.jvp inside", "jax.jvp(lambda x: x**3, (x,), (x,))[1]", hand="3 * x**3", x=normal(3))
add("jax.linearize inside", "jax.linearize(lambda x: x**3, x)[1](x)", hand="3 * x**3", x=normal(3))
add("jax.vmap inside", "jax.vmap(lambda a: jnp.sin(a) * a)(x)", hand="np.sin(x) * x", x=normal(3))
add("jax.jit inside", "jax.jit(lambda a: jnp.sin(a) * a)(x)", hand="np.sin(x) * x", x=normal(3))
add("jax.hessian inside", "jax.hessian(lambda a: (a**4).sum())(x)", hand="np.diag(12 * x**2)", x=normal(3))
CALL = "jax.pure_callback(lambda a: np.asarray(a) ** 3, x, x)"
add(
    "jax.pure_callback",
    CALL,
    hand="x**3",
    documented="jax.pure_callback: no differentiation without a custom rule",
    x=normal(3),
)
add("lax.optimization_barrier", "lax.optimization_barrier(x) ** 3", hand="x**3", x=normal(3))
add("lax.reduce_precision", "lax.reduce_precision(x, 11, 52) ** 3", hand="x**3", x=normal(3))
add(
    "jax.checkpoint, dots saved",
    "jax.checkpoint(lambda x: jnp.sin(x @ x), policy=jax.checkpoint_policies.dots_saveable)(x)",
    hand="np.sin(x @ x)",
    x=normal(2, 2),
)
add(
    "jax.experimental.sparse.BCOO",
    "sparse.BCOO((x, jnp.array([[0, 0], [1, 2], [2, 1]])), shape=(3, 3)) @ y",
    setup="from jax.experimental import sparse",
    hand="x * np.array([y[0], y[2], y[1]])",
    x=normal(3),
    y=normal(3),
)
