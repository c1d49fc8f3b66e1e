"""Elementary and special functions of a real number."""

from equivalence.atlas.entry import Entries, between, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

EVERYWHERE, POSITIVE, UNIT, ABOVE, PROPER = (), (0.5, 2), (-0.8, 0.8), (1.2, 3), (0.1, 0.9)
FUNCTIONS = {  # of tf.math: (where it is defined, by hand where NumPy has no function of the name)
    "exp": (EVERYWHERE, ""),
    "expm1": (EVERYWHERE, ""),
    "log": (POSITIVE, ""),
    "log1p": (POSITIVE, ""),
    "sqrt": (POSITIVE, ""),
    "rsqrt": (POSITIVE, "1 / np.sqrt(x)"),
    "reciprocal": (POSITIVE, "1 / x"),
    "square": (EVERYWHERE, ""),
    "sin": (EVERYWHERE, ""),
    "cos": (EVERYWHERE, ""),
    "tan": (UNIT, ""),
    "asin": (UNIT, "np.arcsin(x)"),
    "acos": (UNIT, "np.arccos(x)"),
    "atan": (EVERYWHERE, "np.arctan(x)"),
    "sinh": (EVERYWHERE, ""),
    "cosh": (EVERYWHERE, ""),
    "asinh": (EVERYWHERE, "np.arcsinh(x)"),
    "acosh": (ABOVE, "np.arccosh(x)"),
    "atanh": (UNIT, "np.arctanh(x)"),
    "erf": (EVERYWHERE, None),
    "erfc": (EVERYWHERE, None),
    "erfinv": (UNIT, None),
    "erfcinv": (PROPER, None),
    "ndtri": (PROPER, None),
    "lgamma": (POSITIVE, None),
    "digamma": (POSITIVE, None),
    "special.bessel_i0": (POSITIVE, None),
    "special.bessel_i0e": (POSITIVE, None),
    "special.bessel_i1": (POSITIVE, None),
    "special.bessel_i1e": (POSITIVE, None),
    "special.bessel_j0": (POSITIVE, None),
    "special.bessel_j1": (POSITIVE, None),
    "special.bessel_k0": (POSITIVE, None),
    "special.bessel_k0e": (POSITIVE, None),
    "special.bessel_k1": (POSITIVE, None),
    "special.bessel_y0": (POSITIVE, None),
    "special.bessel_y1": (POSITIVE, None),
    "special.dawsn": (POSITIVE, None),
    "special.expint": (POSITIVE, None),
    "special.fresnel_cos": (POSITIVE, None),
    "special.fresnel_sin": (POSITIVE, None),
    "special.spence": (POSITIVE, None),
}
for name, (interval, hand) in FUNCTIONS.items():
    written = "" if hand is None else hand or f"np.{name}(x)"
    add(f"tf.math.{name}", f"tf.math.{name}(x)", hand=written, x=between(*interval, 4) if interval else normal(4))
TWO = {  # of two numbers: (call, by hand)
    "tf.pow": ("tf.pow(x, y)", "x**y"),
    "tf.math.atan2": ("tf.math.atan2(x, y)", "np.arctan2(x, y)"),
    "tf.math.divide_no_nan": ("tf.math.divide_no_nan(x, y)", "x / y"),
    "tf.math.xdivy": ("tf.math.xdivy(x, y)", "x / y"),
    "tf.math.xlogy": ("tf.math.xlogy(x, y)", "x * np.log(y)"),
    "tf.math.xlog1py": ("tf.math.xlog1py(x, y)", "x * np.log1p(y)"),
    "tf.math.squared_difference": ("tf.math.squared_difference(x, y)", "(x - y) ** 2"),
    "tf.math.floormod": ("tf.math.floormod(x, 5 * y)", "x % (5 * y)"),
    "tf.math.truediv": ("x / y", "x / y"),
    "tf.math.igamma": ("tf.math.igamma(x, y)", ""),
    "tf.math.igamma, of the second": ("tf.math.igamma(2 + 0 * y, y) + 0 * x", ""),
    "tf.math.igammac": ("tf.math.igammac(x, y)", ""),
    "tf.math.betainc": ("tf.math.betainc(x, y, 0.3 + 0 * x)", ""),
    "tf.math.betainc, of the third": ("tf.math.betainc(2 + 0 * x, 1.5 + 0 * x, x / 4)", ""),
    "tf.math.lbeta": ("tf.math.lbeta(tf.stack([x, y], -1))", ""),
    "tf.math.zeta, of the second": ("tf.math.zeta(3 + 0 * y, y)", ""),
    "tf.math.polygamma": ("tf.math.polygamma(1 + 0 * y, y)", ""),
    "keras.ops.logaddexp": ("keras.ops.logaddexp(x, y)", "np.log(np.exp(x) + np.exp(y))"),
    "keras.ops.hypot": ("keras.ops.hypot(x, y)", "np.sqrt(x**2 + y**2)"),
    "keras.ops.arctan2": ("keras.ops.arctan2(x, y)", "np.arctan2(x, y)"),
}
for name, (call, hand) in TWO.items():
    add(name, call, hand=hand, x=between(0.5, 2, 3), y=between(0.5, 2, 3))
add("tf.floor", "tf.floor(x) * x", x="np.array([0.3, 1.2, -0.7])")
add("tf.round", "tf.round(x) * x", x="np.array([0.3, 1.2, -0.7])")
add("tf.signal.rfft", "tf.abs(tf.signal.rfft(x))", x=normal(4))
add("tf.signal.rfft, irfft", "tf.signal.irfft(tf.signal.rfft(x) ** 2)", x=normal(4))
add("tf.signal.dct", "tf.signal.dct(x) ** 2", dtype="float32", x=normal(4))
add("tf.complex, abs", "tf.abs(tf.complex(x, y))", hand="np.sqrt(x**2 + y**2)", x=normal(3), y=normal(3))
add("tf.complex, angle", "tf.math.angle(tf.complex(x, y))", hand="np.arctan2(y, x)", x=normal(3), y=normal(3))
