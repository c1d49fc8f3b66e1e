"""Elementary and special functions of a real number."""

from equivalence.atlas.entry import Entries, between, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

EVERYWHERE, POSITIVE, UNIT, ABOVE, PROPER = (), (0.5, 2), (-0.8, 0.8), (1.2, 3), (0.1, 0.9)
FUNCTIONS = {  # of jnp, which NumPy has under the same name: where it is defined
    "exp": EVERYWHERE,
    "exp2": EVERYWHERE,
    "expm1": EVERYWHERE,
    "log": POSITIVE,
    "log2": POSITIVE,
    "log10": POSITIVE,
    "log1p": POSITIVE,
    "sqrt": POSITIVE,
    "cbrt": POSITIVE,
    "square": EVERYWHERE,
    "reciprocal": POSITIVE,
    "sin": EVERYWHERE,
    "cos": EVERYWHERE,
    "tan": UNIT,
    "arcsin": UNIT,
    "arccos": UNIT,
    "arctan": EVERYWHERE,
    "sinh": EVERYWHERE,
    "cosh": EVERYWHERE,
    "tanh": EVERYWHERE,
    "arcsinh": EVERYWHERE,
    "arccosh": ABOVE,
    "arctanh": UNIT,
    "sinc": UNIT,
}
for name, interval in FUNCTIONS.items():
    add(f"jnp.{name}", f"jnp.{name}(x)", hand=f"np.{name}(x)", x=between(*interval, 4) if interval else normal(4))
add("jnp.sinc, zero", "jnp.sinc(x)", x="np.array([0.0, 0.3])")
add("jnp.tanh, large", "jnp.tanh(x)", hand="np.tanh(x)", x=between(3, 6, 4))
add("lax.rsqrt", "lax.rsqrt(x)", hand="1 / np.sqrt(x)", x=between(0.5, 2, 4))
add("lax.integer_pow", "lax.integer_pow(x, -3)", hand="x ** np.longdouble(-3)", x=between(0.5, 2, 4))

SPECIAL = {  # of jax.scipy.special: where it is defined
    "erf": EVERYWHERE,
    "erfc": EVERYWHERE,
    "erfinv": UNIT,
    "expit": EVERYWHERE,
    "logit": PROPER,
    "gammaln": POSITIVE,
    "gamma": POSITIVE,
    "digamma": POSITIVE,
    "factorial": POSITIVE,
    "i0": EVERYWHERE,
    "i0e": POSITIVE,
    "i1": EVERYWHERE,
    "i1e": POSITIVE,
    "ndtr": EVERYWHERE,
    "ndtri": PROPER,
    "log_ndtr": EVERYWHERE,
    "entr": POSITIVE,
    "exp1": POSITIVE,
    "expi": POSITIVE,
    "spence": POSITIVE,
}
for name, interval in SPECIAL.items():
    x = between(*interval, 4) if interval else normal(4)
    add(f"jax.scipy.special.{name}", f"special.{name}(x)", setup="from jax.scipy import special", x=x)
TWO = {  # of two numbers: (call, by hand)
    "jnp.power": ("jnp.power(x, y)", "x**y"),
    "jnp.arctan2": ("jnp.arctan2(x, y)", "np.arctan2(x, y)"),
    "jnp.hypot": ("jnp.hypot(x, y)", "np.sqrt(x**2 + y**2)"),
    "jnp.logaddexp": ("jnp.logaddexp(x, y)", "np.log(np.exp(x) + np.exp(y))"),
    "jnp.logaddexp2": ("jnp.logaddexp2(x, y)", "np.log2(2**x + 2**y)"),
    "jnp.divide": ("x / y", "x / y"),
    "jnp.remainder": ("jnp.remainder(x, 5 * y)", "x % (5 * y)"),
    "jnp.fmod": ("jnp.fmod(x, 5 * y)", "x % (5 * y)"),
    "jnp.copysign": ("jnp.copysign(x, -y) ** 2 * y", "x**2 * y"),
    "jnp.float_power": ("jnp.float_power(x, y)", "x**y"),
    "jnp.ldexp": ("jnp.ldexp(x, jnp.array([1, 2, 1]))", "x * np.array([2, 4, 2])"),
    "jax.scipy.special.xlogy": ("special.xlogy(x, y)", "x * np.log(y)"),
    "jax.scipy.special.xlog1py": ("special.xlog1py(x, y)", "x * np.log1p(y)"),
    "jax.scipy.special.rel_entr": ("special.rel_entr(x, y)", "x * np.log(x / y)"),
    "jax.scipy.special.kl_div": ("special.kl_div(x, y)", "x * np.log(x / y) - x + y"),
    "jax.scipy.special.betaln": ("special.betaln(x, y)", ""),
    "jax.scipy.special.gammainc": ("special.gammainc(x, y)", ""),
    "jax.scipy.special.gammaincc": ("special.gammaincc(x, y)", ""),
    "jax.scipy.special.betainc": ("special.betainc(x, y, 0.3 + 0 * x)", ""),
    "jax.scipy.special.betainc, of the third": ("special.betainc(2.0, 1.5, x / 4)", ""),
    "jax.scipy.special.zeta, of the second": ("special.zeta(3.0, y)", ""),
    "jax.scipy.special.polygamma": ("special.polygamma(1, y)", ""),
    "jax.scipy.special.multigammaln": ("special.multigammaln(2 + y, 2)", ""),
    "jax.scipy.special.hyp1f1": ("special.hyp1f1(1.5, 2.5, y)", ""),
    "jax.scipy.special.bessel_jn": ("special.bessel_jn(y, v=2)", ""),
    "jax.scipy.special.sph_harm_y": ("special.sph_harm_y(jnp.array([2]), jnp.array([3]), x, y, n_max=4).real", ""),
    "jax.lax.random_gamma_grad": ("lax.random_gamma_grad(x, y)", ""),
}
for name, (call, hand) in TWO.items():
    add(name, call, hand=hand, setup="from jax.scipy import special", x=between(0.5, 2, 3), y=between(0.5, 2, 3))
add("jnp.floor", "jnp.floor(x) * x", x="np.array([0.3, 1.2, -0.7])")
add("jnp.round", "jnp.round(x) * x", x="np.array([0.3, 1.2, -0.7])")
add("jnp.fft.rfft", "jnp.abs(jnp.fft.rfft(x))", x=normal(4))
add("jnp.fft.fft, irfft", "jnp.fft.irfft(jnp.fft.rfft(x) ** 2)", x=normal(4))
add("lax.complex, abs", "jnp.abs(lax.complex(x, y))", hand="np.sqrt(x**2 + y**2)", x=normal(3), y=normal(3))
add("lax.complex, angle", "jnp.angle(lax.complex(x, y))", hand="np.arctan2(y, x)", x=normal(3), y=normal(3))
add(
    "jax.scipy.stats.norm.logpdf",
    "norm.logpdf(x)",
    setup="from jax.scipy.stats import norm",
    hand="-(x**2) / 2 - np.log(2 * np.longdouble(np.pi)) / 2",
    x=normal(3),
)
