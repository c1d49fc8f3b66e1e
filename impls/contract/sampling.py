"""Random arrays. The only functions that draw; the seed is an argument, the global random state is left alone.

`seed` is a whole number below 2³²: the same seed gives the same numbers in the same framework and version. Every bit
counts; of larger numbers PyTorch's generator on a CPU and JAX without 64-bit numbers would drop the rest, silently.
Samplers that get the same seed may make their numbers of the same bits: give each draw a seed of its own. JAX and
TensorFlow compute their numbers from the seed, which may be traced there: draw inside the compiled step, and let its
number be a seed. PyTorch's generators cannot be compiled: draw outside, and pass what was drawn. `like` is an array
whose dtype and device the result takes. In half precision numbers are drawn in float32 and rounded: bfloat16 has 128
numbers between ½ and 1, of which a rate of 0.001 would drop eight times as many as it says.
"""

from typing import Literal

from impls.contract.types import Array, Drawn, Rate, Seed


def rademacher(seed: Seed, shape: tuple[int, ...], *, like: Array) -> Drawn:
    """Independent signs, ±1 with probability ½ each: mean 0, variance 1, fourth moment 1.

    The probe of least variance for a trace among independent ones (Hutchinson 1990).

    Returns:
        array of `shape`.
    """


def gaussian(seed: Seed, shape: tuple[int, ...], *, like: Array) -> Drawn:
    """Independent standard normal numbers: mean 0, variance 1, fourth moment 3.

    Returns:
        array of `shape`.
    """


def uniform(seed: Seed, shape: tuple[int, ...], *, like: Array) -> Drawn:
    """Independent numbers uniform in [0, 1): mean ½, variance 1/12. WGAN-GP's mixing weights are (B,) of them.

    Returns:
        array of `shape`.
    """


def uniform_sphere(seed: Seed, shape: tuple[int, ...], *, like: Array) -> Drawn:
    """For each sample a point uniform on the unit sphere, ‖z‖₂ = 1 (Muller 1959): mean 0, covariance I/n.

    Args:
        shape: (B, *S), n numbers a sample, n ≥ 1.

    Returns:
        (B, *S).
    """


def uniform_ball(seed: Seed, shape: tuple[int, ...], *, like: Array, norm: Literal["l2", "linf", "l1"] = "l2") -> Drawn:
    """For each sample a point uniform in the unit ball of the norm: what PGD starts from, times the radius.

    "l2": n coordinates of a point on the sphere in n + 2 dimensions (Voelker et al. 2017); "linf": every component
    uniform in (-1, 1); "l1": exponential variables with random signs, divided by the sum of n + 1 of them (Barthe et
    al. 2005).

    Args:
        shape: (B, *S), n numbers a sample, n ≥ 1.
        norm: of the ball.

    Returns:
        (B, *S), ‖z‖ ≤ 1 a sample; ‖z‖ is distributed as U^{1/n}.
    """


def dropout_mask(seed: Seed, shape: tuple[int, ...], *, rate: Rate, like: Array) -> Drawn:
    """Inverted dropout (Srivastava et al. 2014, §10): 0 with probability `rate`, else 1/(1-rate); mean 1.

    Args:
        shape: that of what is multiplied.
        rate: share that is dropped, in [0, 1).

    Returns:
        array of `shape`, of variance rate/(1-rate).
    """
