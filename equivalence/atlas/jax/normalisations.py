"""Normalisations, of JAX and of Flax."""

from equivalence.atlas.entry import Entries, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

add("jax.nn.standardize", "nn.standardize(x)", hand="hand.layer_norm(x)", x=normal(3, 6))
add("jax.nn.standardize, batch", "nn.standardize(x, axis=0)", hand="hand.layer_norm(x, axes=(0,))", x=normal(4, 3))
NNX = "from flax import nnx; layer = nnx.{}, param_dtype=jnp.float64, rngs=nnx.Rngs(0))"
for name, made, hand, shape in (
    ("LayerNorm", "LayerNorm(6", "hand.layer_norm(x, eps=1e-6)", (3, 6)),
    ("LayerNorm, slow variance", "LayerNorm(6, use_fast_variance=False", "hand.layer_norm(x, eps=1e-6)", (3, 6)),
    ("RMSNorm", "RMSNorm(6", "hand.rms_norm(x, eps=1e-6)", (3, 6)),
    ("GroupNorm", "GroupNorm(6, num_groups=2", "hand.layer_norm(x.reshape(3, 2, 3), eps=1e-6).reshape(3, 6)", (3, 6)),
    ("InstanceNorm", "InstanceNorm(2", "hand.layer_norm(x, eps=1e-6, axes=(1,))", (2, 4, 2)),
    ("BatchNorm, training", "BatchNorm(3, use_running_average=False", "hand.layer_norm(x, axes=(0,))", (4, 3)),
    ("BatchNorm, eval", "BatchNorm(3, use_running_average=True", "x / np.sqrt(np.longdouble(1) + 1e-5)", (4, 3)),
):
    # A clone in each call: statistics that move must not outlive a trace.
    add(f"nnx.{name}", "nnx.clone(layer)(x)", setup=NNX.format(made), hand=hand, needs="flax", x=normal(*shape))
add(
    "optax.projections.projection_l2_sphere",
    "optax.projections.projection_l2_sphere(x)",
    setup="import optax",
    hand="x / np.sqrt((x**2).sum())",
    needs="optax",
    x=normal(4),
)
