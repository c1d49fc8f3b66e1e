"""Linear algebra, at well-conditioned matrices, and at one whose eigenvalues or singular values are equal."""

from equivalence.atlas.entry import Entries, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

SQUARE = f"np.eye(3) + {normal(3, 3, scale=0.3)}"
POSITIVE, S = "(x @ x.T)", "(x + x.T)"
VECTOR = normal(3)
PARTS = "jnp.concatenate([part.reshape(-1) for part in {}])"
SCIPY = "import jax.scipy as jsp"

add("jnp.linalg.det", "jnp.linalg.det(x)", hand="hand.determinant(x)", x=SQUARE)
add("jnp.linalg.det, 2×2", "jnp.linalg.det(x)", hand="hand.determinant(x)", x=normal(2, 2))
add("jnp.linalg.det, 4×4", "jnp.linalg.det(x)", hand="hand.determinant(x)", x=f"np.eye(4) + {normal(4, 4, scale=0.3)}")
add("jnp.linalg.det, singular", "jnp.linalg.det(x)", hand="hand.determinant(x)", x="np.diag([1.0, 2, 0])")
add("jnp.linalg.det, singular 4×4", "jnp.linalg.det(x)", hand="hand.determinant(x)", x="np.diag([1.0, 2, 0.5, 0])")
add("jnp.linalg.slogdet", "jnp.linalg.slogdet(x)[1]", hand="np.log(abs(hand.determinant(x)))", x=SQUARE)
add(
    "jnp.linalg.slogdet, qr", "jnp.linalg.slogdet(x, method='qr')[1]", hand="np.log(abs(hand.determinant(x)))", x=SQUARE
)
add("jnp.linalg.inv", "jnp.linalg.inv(x)", x=SQUARE)
add("jnp.linalg.pinv", "jnp.linalg.pinv(x)", x=normal(3, 2))
add("jnp.linalg.solve", "jnp.linalg.solve(a, b)", hand="hand.solve(a, b)", a=SQUARE, b=VECTOR)
add("jnp.linalg.lstsq", "jnp.linalg.lstsq(a, b)[0]", a=normal(4, 2), b=normal(4, 1))
add("jsp.linalg.solve", "jsp.linalg.solve(a, b)", setup=SCIPY, hand="hand.solve(a, b)", a=SQUARE, b=VECTOR)
add(
    "jsp.linalg.solve_triangular",
    "jsp.linalg.solve_triangular(a, b, lower=True)",
    setup=SCIPY,
    a=SQUARE,
    b=normal(3, 2),
)
add("jsp.linalg.cho_solve", "jsp.linalg.cho_solve(jsp.linalg.cho_factor(a @ a.T), b)", setup=SCIPY, a=SQUARE, b=VECTOR)
add("jsp.linalg.lu", PARTS.format("jsp.linalg.lu(x)[1:]"), setup=SCIPY, x=SQUARE)
add("jsp.linalg.lu_solve", "jsp.linalg.lu_solve(jsp.linalg.lu_factor(a), b)", setup=SCIPY, a=SQUARE, b=VECTOR)
add("jsp.linalg.expm", "jsp.linalg.expm(x)", setup=SCIPY, x=normal(3, 3, scale=0.5))
add("jsp.linalg.sqrtm", "jsp.linalg.sqrtm(x @ x.T).real", setup=SCIPY, x=SQUARE)
add("jsp.linalg.polar", "jsp.linalg.polar(x)[0]", setup=SCIPY, x=SQUARE)
add("jsp.linalg.toeplitz", "jsp.linalg.toeplitz(x) @ x", setup=SCIPY, x=VECTOR)
add("jsp.linalg.block_diag", "jsp.linalg.block_diag(x, x) @ jsp.linalg.block_diag(x, x)", setup=SCIPY, x=normal(2, 2))
add(
    "jsp.sparse.linalg.cg",
    "jsp.sparse.linalg.cg(a @ a.T, b, tol=1e-14)[0]",
    setup="import jax.scipy.sparse; import jax.scipy as jsp",
    a=SQUARE,
    b=VECTOR,
)
add(
    "jsp.sparse.linalg.gmres",
    "jsp.sparse.linalg.gmres(a, b, tol=1e-14)[0]",
    setup="import jax.scipy.sparse; import jax.scipy as jsp",
    a=SQUARE,
    b=VECTOR,
)
add("jnp.linalg.cholesky", f"jnp.linalg.cholesky{POSITIVE}", x=SQUARE)
add("jnp.linalg.qr", PARTS.format("jnp.linalg.qr(x)"), x=normal(3, 2))
add("lax.linalg.householder_product", "lax.linalg.householder_product(x, t)", x=normal(4, 2, scale=0.5), t=normal(2))
add(
    "lax.linalg.tridiagonal_solve",
    "lax.linalg.tridiagonal_solve(a * 0.2, b + 3, c * 0.2, d[:, None])",
    a="np.array([0, 0.5, 1])",
    b=VECTOR,
    c="np.array([0.3, 0.5, 0])",
    d=VECTOR,
)
add("jnp.linalg.eigvalsh", f"jnp.linalg.eigvalsh{S}", x=normal(3, 3))
add("jnp.linalg.eigh, projections", f"jnp.linalg.eigh{S}[1] ** 2", x=normal(3, 3))
add(
    "jnp.linalg.eigvals, real part", "jnp.linalg.eigvals(x).real", x="np.diag([1.0, 2, 4]) + " + normal(3, 3, scale=0.1)
)
add("jnp.linalg.eig, values", "jnp.linalg.eig(x)[0].real", x="np.diag([1.0, 2, 4]) + " + normal(3, 3, scale=0.1))
add("jnp.linalg.svdvals", "jnp.linalg.svd(x, compute_uv=False)", x=normal(3, 2))
add("jnp.linalg.svd, projections", "jnp.linalg.svd(x)[2] ** 2", x=normal(3, 2))
add("jnp.linalg.matrix_power", "jnp.linalg.matrix_power(x, 3)", hand="x @ x @ x", x=SQUARE)
add("jnp.linalg.matrix_power, inverse", "jnp.linalg.matrix_power(x, -2)", x=SQUARE)
add("jnp.linalg.multi_dot", "jnp.linalg.multi_dot([a, b, a])", hand="a @ b @ a", a=SQUARE, b=SQUARE)
add("jnp.linalg.tensorsolve", "jnp.linalg.tensorsolve(a, b)", a=SQUARE, b=VECTOR)
add("jnp.linalg.cross", "jnp.linalg.cross(a, b)", a=VECTOR, b=VECTOR)
ZERO = {"zero": {"x": "np.zeros(2)"}}
add("jnp.linalg.norm", "jnp.linalg.norm(x)", hand="np.sqrt((x**2).sum())", kinks=ZERO, x=VECTOR)
add("jnp.linalg.norm, p=3", "jnp.linalg.norm(x, 3)", hand="(abs(x) ** 3).sum() ** (np.longdouble(1) / 3)", x=VECTOR)
add("jnp.linalg.norm, p=1", "jnp.linalg.norm(x, 1)", hand="abs(x).sum()", x=VECTOR)
add("jnp.linalg.norm, p=inf", "jnp.linalg.norm(x, jnp.inf)", hand="abs(x).max()", x=VECTOR)
add("jnp.linalg.norm, spectral", "jnp.linalg.norm(x, 2)", x=normal(3, 2))
add("jnp.linalg.norm, nuclear", "jnp.linalg.norm(x, 'nuc')", x=normal(3, 2))
add("jnp.linalg.cond", "jnp.linalg.cond(x)", x=SQUARE)
EQUAL = "np.diag([1.0, 1, 2])"
add("jnp.linalg.eigvalsh, equal eigenvalues", f"jnp.exp(jnp.linalg.eigvalsh{S}).sum()", x=EQUAL)
add(
    "jnp.linalg.svd, equal singular values",
    "(jnp.linalg.svd(x, compute_uv=False) ** 2).sum()",
    hand="(x**2).sum()",
    x=EQUAL,
)
NNX = "import optax"
add("optax.safe_norm", "optax.safe_norm(x, 1e-8)", setup=NNX, hand="np.sqrt((x**2).sum())", needs="optax", x=VECTOR)
