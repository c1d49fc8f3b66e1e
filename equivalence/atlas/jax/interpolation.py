"""Resampling."""

from equivalence.atlas.entry import Entries, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

for method in ("nearest", "linear", "cubic", "lanczos3", "lanczos5"):
    add(
        f"jax.image.resize, {method}",
        f"jax.image.resize(x, (4, 4), '{method}') ** 2",
        setup="import jax.image",
        x=normal(3, 3),
    )
add("jax.image.resize, smaller", "jax.image.resize(x, (2, 2), 'linear') ** 2", setup="import jax.image", x=normal(4, 4))
add(
    "jax.image.scale_and_translate",
    "jax.image.scale_and_translate(x, (3, 3), (0, 1), s, t, 'linear')",
    setup="import jax.image",
    x=normal(3, 3),
    s="np.array([1.2, 0.9])",
    t="np.array([0.1, -0.2])",
)
add(
    "jax.scipy.ndimage.map_coordinates",
    "map_coordinates(x, [c[0], c[1]], 1) ** 2",
    setup="from jax.scipy.ndimage import map_coordinates",
    x=normal(3, 3),
    c="np.array([[0.3, 1.2], [0.7, 1.6]])",
)
add(
    "jax.scipy.interpolate.RegularGridInterpolator",
    "RegularGridInterpolator((jnp.arange(3.0), jnp.arange(3.0)), x)(jnp.array([[0.3, 1.2]])) ** 2",
    setup="from jax.scipy.interpolate import RegularGridInterpolator",
    x=normal(3, 3),
)
