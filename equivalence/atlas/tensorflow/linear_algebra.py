"""Linear algebra, at well-conditioned matrices, and at one whose eigenvalues or singular values are equal."""

from equivalence.atlas.entry import Entries, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

SQUARE = f"np.eye(3) + {normal(3, 3, scale=0.3)}"
POSITIVE, S = "(x @ tf.transpose(x))", "(x + tf.transpose(x))"
MORE = " + tf.eye(3, dtype='float64')"  # a first call, in which layers make their variables, is of equal numbers
VECTOR = normal(3)
PARTS = "tf.concat([tf.reshape(part, [-1]) for part in {}], 0)"

add("tf.linalg.det", "tf.linalg.det(x)", hand="hand.determinant(x)", x=SQUARE)
add("tf.linalg.slogdet", "tf.linalg.slogdet(x)[1]", hand="np.log(abs(hand.determinant(x)))", x=SQUARE)
add("tf.linalg.logdet", f"tf.linalg.logdet{POSITIVE}", hand="np.log(hand.determinant(x @ x.T))", x=SQUARE)
add("tf.linalg.inv", f"tf.linalg.inv(x{MORE})", x=SQUARE)
add("tf.linalg.pinv", "tf.linalg.pinv(x)", x=normal(3, 2))
add("tf.linalg.solve", f"tf.linalg.solve(a{MORE}, b[:, None])", hand="hand.solve(a + np.eye(3), b)", a=SQUARE, b=VECTOR)
add("tf.linalg.triangular_solve", "tf.linalg.triangular_solve(a, b)", a=SQUARE, b=normal(3, 2))
add("tf.linalg.lstsq", "tf.linalg.lstsq(a, b)", a=normal(4, 2), b=normal(4, 1))
add("tf.linalg.cholesky", f"tf.linalg.cholesky{POSITIVE}", x=SQUARE)
add(
    "tf.linalg.cholesky_solve",
    "tf.linalg.cholesky_solve(tf.linalg.cholesky(a @ tf.transpose(a)), b)",
    a=SQUARE,
    b=normal(3, 1),
)
add("tf.linalg.lu", f"tf.linalg.lu(x{MORE})[0]", x=SQUARE)
add("tf.linalg.qr", PARTS.format("tf.linalg.qr(x)"), x=normal(3, 2))
add("tf.linalg.eigvalsh", f"tf.linalg.eigvalsh{S}", x=normal(3, 3))
add("tf.linalg.eigh, projections", f"tf.linalg.eigh{S}[1] ** 2", x=normal(3, 3))
add(
    "tf.linalg.eigvals, real part",
    "tf.math.real(tf.linalg.eigvals(x))",
    x="np.diag([1.0, 2, 4]) + " + normal(3, 3, scale=0.1),
)
add("tf.linalg.svd, values", "tf.linalg.svd(x, compute_uv=False)", x=normal(3, 2))
add("tf.linalg.svd, projections", "tf.linalg.svd(x)[2] ** 2", x=normal(3, 2))
add("tf.linalg.expm", "tf.linalg.expm(x)", x=normal(3, 3, scale=0.5))
add("tf.linalg.sqrtm", f"tf.linalg.sqrtm{POSITIVE}", x=SQUARE)
add("tf.linalg.logm", "tf.math.real(tf.linalg.logm(tf.cast(x, tf.complex128)))", x=SQUARE)
add(
    "tf.linalg.tridiagonal_solve",
    "tf.linalg.tridiagonal_solve(tf.stack([a, b + 3, c]), d[:, None])",
    a="np.array([0.1, 0.2, 0])",
    b=VECTOR,
    c="np.array([0, 0.2, 0.1])",
    d=VECTOR,
)
add(
    "tf.linalg.banded_triangular_solve",
    "tf.linalg.banded_triangular_solve(tf.stack([b + 3, c]), d[:, None])",
    b=VECTOR,
    c=VECTOR,
    d=VECTOR,
)
add("tf.linalg.cross", "tf.linalg.cross(a, b)", hand="np.cross(a, b)", a=VECTOR, b=VECTOR)
add("tf.linalg.norm", "tf.linalg.norm(x)", hand="np.sqrt((x**2).sum())", kinks={"zero": {"x": "np.zeros(2)"}}, x=VECTOR)
add("tf.linalg.norm, p=3", "tf.linalg.norm(x, 3)", hand="(abs(x) ** 3).sum() ** (np.longdouble(1) / 3)", x=VECTOR)
add("tf.linalg.norm, spectral", "tf.linalg.norm(x, 2, (0, 1))", x=normal(3, 2))
add("tf.norm, euclidean of columns", "tf.norm(x, axis=0)", hand="np.sqrt((x**2).sum(0))", x=normal(3, 2))
add("tf.linalg.matrix_transpose", "tf.linalg.matrix_transpose(x) @ x", hand="x.T @ x", x=SQUARE)
add("tf.linalg.band_part", "tf.linalg.band_part(x, 0, -1) @ x", hand="np.triu(x) @ x", x=SQUARE)
add("tf.linalg.diag", "tf.linalg.diag(x) @ tf.linalg.diag(x)", hand="np.diag(x) ** 2", x=VECTOR)
add("tf.linalg.diag_part", "tf.linalg.diag_part(x) ** 2", hand="np.diagonal(x) ** 2", x=SQUARE)
add("tf.linalg.trace", "tf.linalg.trace(x @ x)", hand="np.trace(x @ x)", x=SQUARE)
add("tf.linalg.eigvalsh, equal eigenvalues", f"tf.reduce_sum(tf.exp(tf.linalg.eigvalsh{S}))", x="np.diag([1.0, 1, 2])")
add("keras.ops.logdet", f"keras.ops.logdet{POSITIVE}", hand="np.log(hand.determinant(x @ x.T))", x=SQUARE)
