"""Second derivatives in JAX: matfree and traceax in the parameters, folx in the inputs; all under jit."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from bench.peers import Arm, Eigenvalue, InputLaplacian, Trace
from bench.peers.jax_network import arm, arrays, loss
from equivalence.cases import Case

SEED = 0


def product(case: Case, params: Any, x: Any, labels: Any) -> tuple[Callable[[Any], Any], Any]:
    """v -> Hv of the mean loss in the flat parameters, and those, (P,)."""
    theta, unravel = ravel_pytree(params)
    gradient = jax.grad(lambda theta: loss(case)(unravel(theta), x, labels).mean())
    return lambda v: jax.jvp(gradient, (theta,), (v,))[1], theta


def by_matfree(job: Trace | Eigenvalue, case: Case, device: str) -> Arm:
    """Its Lanczos iteration is a loop of JAX's, in which XLA convolves slowly on a CPU.

    The same products without a loop take a fraction of the time: it is that which is compared, whatever vectors are
    made orthogonal to (fully by default).
    """
    from matfree import decomp, eig, stochtrace

    @jax.jit
    def run(key: Any, *given: Any) -> Any:
        matvec, theta = product(case, *given)
        if isinstance(job, Trace):
            sampler = stochtrace.sampler_signs(theta, num=job.probes)
            return stochtrace.estimator_monte_carlo(stochtrace.monte_carlo_trace(), sampler)(matvec, key)
        start = jax.random.normal(key, theta.shape, theta.dtype)
        values, _ = eig.eigh_partial(decomp.tridiag_sym(job.products))(matvec, start)
        return values[jnp.abs(values).argmax()]

    given = jax.random.key(SEED), *arrays(case, device)
    return arm(lambda: run(*given))


def by_traceax(job: Trace, case: Case, device: str) -> Arm:
    import lineax
    import traceax

    @jax.jit
    def run(key: Any, *given: Any) -> Any:
        matvec, theta = product(case, *given)
        operator = lineax.FunctionLinearOperator(matvec, jax.ShapeDtypeStruct(theta.shape, theta.dtype))
        sampler = traceax.RademacherSampler(theta.dtype)  # its default, integers, has no product
        return traceax.HutchinsonEstimator(sampler).estimate(key, operator, job.probes)[0]

    given = jax.random.key(SEED), *arrays(case, device)
    return arm(lambda: run(*given))


def by_folx(job: InputLaplacian, case: Case, device: str) -> Arm:
    import folx

    @jax.jit
    def run(params: Any, x: Any, labels: Any) -> Any:
        def one(x: Any, label: Any) -> Any:
            def value(flat: Any) -> Any:
                return loss(case)(params, flat.reshape(1, *x.shape), label[None])[0]

            return folx.forward_laplacian(value)(x.ravel()).laplacian

        return jax.vmap(one)(x, labels)

    given = arrays(case, device)
    return arm(lambda: run(*given))


BUILDERS: dict[str, Callable[[Any, Case, str], Arm]] = {
    "matfree": by_matfree,
    "traceax": by_traceax,
    "folx": by_folx,
}
