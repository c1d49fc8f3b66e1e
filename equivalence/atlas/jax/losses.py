"""JAX has no losses of its own; Optax's are what its users take."""

from equivalence.atlas.entry import Entries, apart, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

SETUP = (
    "import optax; i = jnp.array([0, 2, 1, 1]); y = jnp.array([[.7, .2, .1], [.1, .1, .8], [.2, .5, .3], [.3, .4, .3]])"
)
SOFT = "np.array([[.7, .2, .1], [.1, .1, .8], [.2, .5, .3], [.3, .4, .3]])"
PICKED = "-hand.log_softmax(x)[np.arange(4), [0, 2, 1, 1]]"
LOSSES = {  # name of Optax: (arguments, by hand)
    "softmax_cross_entropy_with_integer_labels": ("x, i", PICKED),
    "softmax_cross_entropy": ("x, y", f"-(hand.log_softmax(x) * {SOFT}).sum(-1)"),
    "safe_softmax_cross_entropy": ("x, y", f"-(hand.log_softmax(x) * {SOFT}).sum(-1)"),
    "poly_loss_cross_entropy": ("x, y", ""),
    "kl_divergence": ("nn.log_softmax(x), y", ""),
    "kl_divergence_with_log_targets": ("nn.log_softmax(x), jnp.log(y)", ""),
    "convex_kl_divergence": ("nn.log_softmax(x), y", ""),
    "sigmoid_binary_cross_entropy": ("x, y", f"hand.softplus(x) - x * {SOFT}"),
    "sigmoid_focal_loss": ("x, y", ""),
    "squared_error": ("x, y", f"(x - {SOFT}) ** 2"),
    "l2_loss": ("x, y", f"(x - {SOFT}) ** 2 / 2"),
    "log_cosh": ("x, y", f"np.log(np.cosh(x - {SOFT}))"),
    "cosine_distance": ("x, y", ""),
    "cosine_similarity": ("x, y", ""),
    "sparsemax_loss": ("x, (y > 0.3).astype(x.dtype)", ""),
    "multiclass_sparsemax_loss": ("x, i", ""),
    "ntxent": ("x, jnp.array([0, 0, 1, 1])", ""),
    "triplet_margin_loss": ("x, y, 2 * y[::-1], margin=3.0", ""),
}
for name, (arguments, hand) in LOSSES.items():
    add(
        f"optax.{name}",
        f"optax.losses.{name}({arguments})",
        setup=SETUP,
        hand=hand,
        needs="optax",
        x=normal(4, 3),
    )
KINKED = {
    "huber_loss": "x, 0.1 * y, delta=0.7",
    "hinge_loss": "x, jnp.sign(y - 0.25)",
    "perceptron_loss": "x, jnp.sign(y - 0.25)",
    "multiclass_hinge_loss": "x, i",
    "multiclass_perceptron_loss": "x, i",
    "ranking_softmax_loss": "x, y",
}
for name, arguments in KINKED.items():
    add(f"optax.{name}", f"optax.losses.{name}({arguments})", setup=SETUP, needs="optax", x=apart(4, 3))
add(
    "optax.ctc_loss",
    "optax.ctc_loss(x, jnp.zeros((2, 5)), jnp.array([[1, 2], [2, 1]]), jnp.zeros((2, 2)))",
    setup="import optax",
    needs="optax",
    x=normal(2, 5, 3),
)
