"""Linear algebra, at well-conditioned matrices, and at one whose eigenvalues or singular values are equal."""

from equivalence.atlas.entry import Entries, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

SQUARE = f"np.eye(3) + {normal(3, 3, scale=0.3)}"
S = "(x + x.mT)"
POSITIVE = "(x @ x.mT)"
VECTOR = normal(3)
PARTS = "torch.cat([part.reshape(-1) for part in {}])"

for name in ("torch.linalg.det", "torch.det"):
    add(name, f"{name}(x)", hand="hand.determinant(x)", x=SQUARE)
add("torch.linalg.det, singular", "torch.linalg.det(x)", hand="hand.determinant(x)", x="np.diag([1.0, 2, 0])")
for name in ("torch.linalg.slogdet", "torch.slogdet"):
    add(name, f"{name}(x)[1]", hand="np.log(abs(hand.determinant(x)))", x=SQUARE)
add("torch.logdet", "torch.logdet(x)", hand="np.log(hand.determinant(x))", x=SQUARE)
add("torch.linalg.inv", "torch.linalg.inv(x)", also=("torch.inverse",), x=SQUARE)
add("torch.linalg.pinv", "torch.linalg.pinv(x)", x=normal(3, 2))
add("torch.linalg.solve", "torch.linalg.solve(a, b)", hand="hand.solve(a, b)", a=SQUARE, b=VECTOR)
add("torch.linalg.solve, matrix", "torch.linalg.solve(a, b)", a=SQUARE, b=normal(3, 2))
add("torch.linalg.lstsq", "torch.linalg.lstsq(a, b)[0]", a=normal(4, 2), b=normal(4, 1))
add(
    "torch.linalg.solve_triangular",
    "torch.linalg.solve_triangular(a, b, upper=False)",
    a=SQUARE,
    b=normal(3, 2),
)
add("torch.cholesky_solve", "torch.cholesky_solve(b, torch.linalg.cholesky(a @ a.mT))", a=SQUARE, b=normal(3, 1))
add("torch.linalg.cholesky", f"torch.linalg.cholesky({POSITIVE})", x=SQUARE)
add("torch.cholesky_inverse", f"torch.cholesky_inverse(torch.linalg.cholesky({POSITIVE}))", x=SQUARE)
add("torch.linalg.lu_factor", "torch.linalg.lu_factor(x)[0]", x=SQUARE)
add("torch.linalg.lu", PARTS.format("torch.linalg.lu(x)[1:]"), x=SQUARE)
add("torch.linalg.lu_solve", "torch.linalg.lu_solve(*torch.linalg.lu_factor(a), b)", a=SQUARE, b=normal(3, 2))
add("torch.linalg.qr", PARTS.format("torch.linalg.qr(x)"), x=normal(3, 2))
add(
    "torch.linalg.householder_product", "torch.linalg.householder_product(x, t)", x=normal(4, 2, scale=0.5), t=normal(2)
)
add("torch.linalg.eigvalsh", f"torch.linalg.eigvalsh({S})", x=normal(3, 3))
add("torch.linalg.eigh, values", f"torch.linalg.eigh({S})[0]", x=normal(3, 3))
add("torch.linalg.eigh, projections", f"torch.linalg.eigh({S})[1].square()", x=normal(3, 3))
add(
    "torch.linalg.eigvals, real part",
    "torch.linalg.eigvals(x).real",
    x="np.diag([1.0, 2, 4]) + " + normal(3, 3, scale=0.1),
)
add("torch.linalg.svdvals", "torch.linalg.svdvals(x)", x=normal(3, 2))
add("torch.linalg.svd, projections", "torch.linalg.svd(x)[2].square()", x=normal(3, 2))
add("torch.linalg.matrix_exp", "torch.linalg.matrix_exp(x)", x=normal(3, 3, scale=0.5))
add("torch.linalg.matrix_power", "torch.linalg.matrix_power(x, 3)", hand="x @ x @ x", x=SQUARE)
add("torch.linalg.matrix_power, inverse", "torch.linalg.matrix_power(x, -2)", x=SQUARE)
add("torch.linalg.multi_dot", "torch.linalg.multi_dot([a, b, a])", hand="a @ b @ a", a=SQUARE, b=SQUARE)
add("torch.linalg.cross", "torch.linalg.cross(a, b)", a=VECTOR, b=VECTOR)
add("torch.linalg.tensorinv", "torch.linalg.tensorinv(x, 1)", x=SQUARE)
add("torch.linalg.tensorsolve", "torch.linalg.tensorsolve(a, b)", a=SQUARE, b=VECTOR)
add("torch.linalg.ldl_factor", f"torch.linalg.ldl_factor({POSITIVE})[0]", x=SQUARE)
add("torch.linalg.matrix_norm", "torch.linalg.matrix_norm(x)", hand="np.sqrt((x**2).sum())", x=normal(3, 2))
add("torch.linalg.matrix_norm, spectral", "torch.linalg.matrix_norm(x, 2)", also=("spectral_norm",), x=normal(3, 2))
add("torch.linalg.matrix_norm, nuclear", "torch.linalg.matrix_norm(x, 'nuc')", x=normal(3, 2))
add("torch.linalg.cond", "torch.linalg.cond(x)", x=SQUARE)
add("torch.linalg.matmul", "a @ b", hand="a @ b", also=("torch.matmul", "torch.mm"), a=normal(2, 3), b=normal(3, 2))
add(
    "torch.baddbmm", "torch.baddbmm(c, a, b)", hand="c + a @ b", a=normal(2, 2, 3), b=normal(2, 3, 2), c=normal(2, 2, 2)
)
add("torch.einsum", "torch.einsum('ij,jk,kl->il', a, b, a)", hand="a @ b @ a", a=SQUARE, b=SQUARE)
add("torch.kron", "torch.kron(a, b)", hand="np.kron(a, b)", a=normal(2, 2), b=normal(2, 2))
add("torch.trace", "torch.trace(x @ x)", hand="np.trace(x @ x)", x=SQUARE)
add("torch.sparse.mm", "torch.sparse.mm(a.to_sparse(), b)", hand="a @ b", a=SQUARE, b=normal(3, 2))
add(
    "torch.linalg.vector_norm",
    "torch.linalg.vector_norm(x)",
    hand="np.sqrt((x**2).sum())",
    kinks={"zero": {"x": "np.zeros(2)"}},
    x=VECTOR,
)
add(
    "torch.linalg.vector_norm, p=3",
    "torch.linalg.vector_norm(x, 3)",
    hand="(abs(x) ** 3).sum() ** (np.longdouble(1) / 3)",
    x=VECTOR,
)
add("torch.linalg.vector_norm, p=1", "torch.linalg.vector_norm(x, 1)", hand="abs(x).sum()", x=VECTOR)
add("torch.linalg.vector_norm, p=inf", "torch.linalg.vector_norm(x, torch.inf)", hand="abs(x).max()", x=VECTOR)
add(
    "torch.linalg.norm",
    "torch.linalg.norm(x)",
    hand="np.sqrt((x**2).sum())",
    also=("torch.norm", "torch.Tensor.norm"),
    kinks={"zero": {"x": "np.zeros(2)"}},
    x=VECTOR,
)
add(
    "torch.cdist",
    "torch.cdist(a, b)",
    hand="np.sqrt(((a[:, None] - b) ** 2).sum(-1))",
    kinks={"zero": {"a": "np.zeros((1, 2))", "b": "np.zeros((1, 2))", "along": "np.array([1.0, 1, 0, 0])"}},
    a=normal(3, 2),
    b=normal(2, 2),
)
add("torch.cdist, p=3", "torch.cdist(a, b, 3)", a=normal(3, 2), b=normal(2, 2))
add("F.pdist", "F.pdist(x)", also=("torch.pdist",), x=normal(3, 2))
add("torch.dist", "torch.dist(a, b)", hand="np.sqrt(((a - b) ** 2).sum())", a=VECTOR, b=VECTOR)
add("F.pairwise_distance", "F.pairwise_distance(a, b)", also=("nn.PairwiseDistance",), a=normal(2, 3), b=normal(2, 3))
add("F.cosine_similarity", "F.cosine_similarity(a, b)", also=("nn.CosineSimilarity",), a=normal(2, 3), b=normal(2, 3))
# Sums over eigenvalues that are equal are smooth, though no eigenvector is.
EQUAL = "np.diag([1.0, 1, 2])"
add("torch.linalg.eigvalsh, equal eigenvalues", f"torch.linalg.eigvalsh({S}).exp().sum()", x=EQUAL)
add("torch.linalg.eigh, equal eigenvalues", f"torch.linalg.eigh({S})[0].exp().sum()", x=EQUAL)
add(
    "torch.linalg.svdvals, equal singular values",
    "torch.linalg.svdvals(x).square().sum()",
    hand="(x**2).sum()",
    x=EQUAL,
)
