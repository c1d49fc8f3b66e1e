"""Our methods on the peers' jobs. The parameters are simply the argument: one sample, a flat vector."""

from collections.abc import Callable
from typing import Any

import impls
from bench.peers import BOUNDS, Arm, Attack, Eigenvalue, InputLaplacian, Job, Trace
from equivalence.cases import Case
from equivalence.problem import Point, Problem, flat

SEED = 0  # of probes and starts


def build(job: Job, framework: str, mode: str, case: Case, device: str) -> Arm:
    """The job by our methods, in one of the bridge's modes: the whole of it is compiled as one."""
    bridge, methods = impls.load(framework), impls.methods(framework)
    problem = Problem(case, bridge, methods, "float32", device)
    theta = problem.array(flat(case.params)[None])  # (1, P)

    inside = framework != "torch"  # whose generators cannot be compiled: what they draw is an argument

    def step(theta: Any, random: Any, *arrays: Any) -> Any:
        drawn = draw(methods, job, theta, random) if inside else random
        return DOES[type(job)](methods, job, problem.at(*arrays), theta, drawn)

    compiled = bridge.compiled(step, mode)

    def run() -> Any:
        result = compiled(theta, SEED if inside else draw(methods, job, theta, SEED), *problem.arrays)
        bridge.synchronise(result)
        return result

    return Arm(run, bridge.to_numpy, bridge.to_numpy(draw(methods, job, theta, SEED)))


def draw(methods: Any, job: Job, theta: Any, seed: Any) -> Any:
    """What is random in the job, drawn anew in every run, as the packages do."""
    if isinstance(job, Trace):
        return methods.rademacher(seed, (job.probes, *theta.shape), like=theta)
    return methods.gaussian(seed, theta.shape, like=theta) if isinstance(job, Eigenvalue) else theta


def of_vector(point: Point) -> Callable[[Any], Any]:
    """The mean loss as a function of all parameters by sorted name, (1, P) -> (1,)."""
    shapes = {name: tuple(point.params[name].shape) for name in sorted(point.params)}

    def loss(theta: Any) -> Any:
        params, place = {}, 0
        for name, shape in shapes.items():
            size = point.case.params[name].size
            params[name] = theta[0, place : place + size].reshape(shape)
            place += size
        return point.of_params(params).mean()[None]

    return loss


def attack(methods: Any, job: Attack, point: Point, theta: Any, drawn: Any) -> Any:
    options = {"radius": job.radius, "step": job.step, "steps": job.steps, "norm": job.norm}
    return point.x + methods.pgd(point.loss, point.x, 0 * point.x, bounds=BOUNDS, **options)


def trace(methods: Any, job: Trace, point: Point, theta: Any, drawn: Any) -> Any:
    return methods.laplacian(of_vector(point), theta, probes=drawn)[0]


def eigenvalue(methods: Any, job: Eigenvalue, point: Point, theta: Any, drawn: Any) -> Any:
    steps = job.products - {"power": 1, "lanczos": 2}[job.how]  # the contract's cost: so many more products
    return methods.top_eigenpair(of_vector(point), theta, drawn, steps=steps, how=job.how)[0][0]


def input_laplacian(methods: Any, job: InputLaplacian, point: Point, theta: Any, drawn: Any) -> Any:
    return methods.laplacian(point.loss, point.x, how="forward")


DOES: dict[type, Callable[..., Any]] = {
    Attack: attack,
    Trace: trace,
    Eigenvalue: eigenvalue,
    InputLaplacian: input_laplacian,
}
