"""Elementary and special functions of a real number."""

from equivalence.atlas.entry import Entries, between, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

EVERYWHERE, POSITIVE, UNIT, ABOVE, PROPER = "", (0.5, 2), (-0.8, 0.8), (1.2, 3), (0.1, 0.9)
FUNCTIONS = {  # of torch: (where it is defined, by hand where NumPy has no function of the name)
    "exp": (EVERYWHERE, ""),
    "exp2": (EVERYWHERE, "2**x"),
    "expm1": (EVERYWHERE, ""),
    "log": (POSITIVE, ""),
    "log2": (POSITIVE, ""),
    "log10": (POSITIVE, ""),
    "log1p": (POSITIVE, ""),
    "sqrt": (POSITIVE, ""),
    "rsqrt": (POSITIVE, "1 / np.sqrt(x)"),
    "reciprocal": (POSITIVE, "1 / x"),
    "square": (EVERYWHERE, "x * x"),
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
    "sinc": (UNIT, "np.sin(np.pi * x) / (np.pi * x)"),
    "erf": (EVERYWHERE, None),
    "erfc": (EVERYWHERE, None),
    "erfinv": (UNIT, None),
    "logit": (PROPER, "np.log(x / (1 - x))"),
    "lgamma": (POSITIVE, None),
    "digamma": (POSITIVE, None),
    "i0": (EVERYWHERE, None),
    "special.i0e": (POSITIVE, None),
    "special.i1": (EVERYWHERE, None),
    "special.i1e": (POSITIVE, None),
    "special.ndtr": (EVERYWHERE, None),
    "special.ndtri": (PROPER, None),
    "special.log_ndtr": (EVERYWHERE, None),
    "special.erfcx": (EVERYWHERE, None),
    "special.entr": (POSITIVE, "-x * np.log(x)"),
    "special.bessel_j0": (POSITIVE, None),
    "special.bessel_j1": (POSITIVE, None),
    "special.modified_bessel_k0": (POSITIVE, None),
    "special.spherical_bessel_j0": (POSITIVE, "np.sin(x) / x"),
    "special.airy_ai": (EVERYWHERE, None),
}
for name, (interval, hand) in FUNCTIONS.items():
    written = "" if hand is None else hand or f"np.{name}(x)"
    add(f"torch.{name}", f"torch.{name}(x)", hand=written, x=between(*interval, 4) if interval else normal(4))

ROUNDING = {"torch.floor": "x.floor() * x", "torch.round": "x.round() * x", "torch.frac": "x.frac() ** 2"}
for name, call in ROUNDING.items():
    add(name, call, x="np.array([0.3, 1.2, -0.7])")
add("torch.sinc, zero", "torch.sinc(x)", x="np.array([0.0, 0.3])")
add("torch.polygamma", "torch.polygamma(1, x)", x=between(1.5, 3, 4))
add("torch.mvlgamma", "torch.mvlgamma(x, 2)", x=between(2, 3, 4))
TWO = {  # of two numbers: (call, by hand)
    "torch.pow": ("torch.pow(x, y)", "x**y"),
    "torch.float_power": ("torch.float_power(x, y)", "x**y"),
    "torch.atan2": ("torch.atan2(x, y)", "np.arctan2(x, y)"),
    "torch.hypot": ("torch.hypot(x, y)", "np.sqrt(x**2 + y**2)"),
    "torch.logaddexp": ("torch.logaddexp(x, y)", "np.log(np.exp(x) + np.exp(y))"),
    "torch.logaddexp2": ("torch.logaddexp2(x, y)", "np.log2(2**x + 2**y)"),
    "torch.xlogy": ("torch.xlogy(x, y)", "x * np.log(y)"),
    "torch.special.xlog1py": ("torch.special.xlog1py(x, y)", "x * np.log1p(y)"),
    "torch.div": ("x / y", "x / y"),
    "torch.remainder": ("torch.remainder(x, 5 * y)", "x % (5 * y)"),
    "torch.fmod": ("torch.fmod(x, 5 * y)", "x % (5 * y)"),
    "torch.lerp": ("torch.lerp(x, y, x * y)", "x + x * y * (y - x)"),
    "torch.addcmul": ("torch.addcmul(x, y, x)", "x + y * x"),
    "torch.addcdiv": ("torch.addcdiv(x, y, x)", "x + y / x"),
    "torch.copysign": ("torch.copysign(x, -y) ** 2 * y", "x**2 * y"),
    "torch.ldexp": ("torch.ldexp(x, torch.tensor([1, 2, 1]))", "x * np.array([2, 4, 2])"),
    "torch.special.zeta, of the second": ("torch.special.zeta(torch.full_like(x, 3.0), y)", ""),
    "torch.special.gammainc, of the second": (
        "torch.special.gammainc(torch.full_like(x, 2.0), y)",
        "1 - np.exp(-y) * (1 + y)",
    ),
    "torch.special.gammaincc, of the second": (
        "torch.special.gammaincc(torch.full_like(x, 2.0), y)",
        "np.exp(-y) * (1 + y)",
    ),
    "torch.special.gammainc": ("torch.special.gammainc(x, y)", ""),
}
for name, (call, hand) in TWO.items():
    add(name, call, hand=hand, x=between(0.5, 2, 3), y=between(0.5, 2, 3))
add("torch.fft.rfft", "torch.fft.rfft(x).abs()", x=normal(4))
add("torch.fft.fft, irfft", "torch.fft.irfft(torch.fft.rfft(x) ** 2)", x=normal(4))
add("torch.stft", "torch.stft(x, 4, window=torch.hann_window(4), return_complex=True).abs() ** 2", x=normal(8))
add("torch.complex, abs", "torch.complex(x, y).abs()", hand="np.sqrt(x**2 + y**2)", x=normal(3), y=normal(3))
add("torch.complex, angle", "torch.complex(x, y).angle()", hand="np.arctan2(y, x)", x=normal(3), y=normal(3))
add("torch.polar", "torch.view_as_real(torch.polar(x, y))", x=between(0.5, 2, 3), y=normal(3))
