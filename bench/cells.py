"""The matrix of what is timed: method x framework x mode x workload. Imports no framework."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np

from bench.workloads import ON_REQUEST, WORKLOADS
from equivalence.oracle import pullbacks
from equivalence.oracle.trees import add, scaled
from equivalence.problem import Point
from equivalence.usages import Pulled, Usage, attacked

WEIGHT = 0.1  # of a regulariser beside the loss; no cost depends on it

# jax eager is left out: it dispatches operation by operation, and nobody trains with it.
MODES = {"torch": ("eager", "compiled"), "jax": ("jit",), "tensorflow": ("eager", "function", "xla")}
QUICK_MODE = {"torch": "eager", "jax": "jit", "tensorflow": "function"}
QUICK_WORKLOADS = ("digits-mlp",)


@dataclass(frozen=True)
class Method:
    """One training objective and the least that a step of it can cost.

    Passes are counted in forward passes of the batch: forward 1, gradient of the inputs alone 1, full backward 2.
    """

    usage: Usage
    passes: int
    derivation: str

    @property
    def name(self) -> str:
        return self.usage.name

    @property
    def floor(self) -> Fraction:
        """In plain training steps, each a forward and a full backward pass: 3."""
        return Fraction(self.passes, 3)


def regularised(
    name: str,
    method: str,
    regulariser: Callable[[Any, Point], Any],
    shared: Callable[[Any, Point], tuple[Any, Any]] | None = None,
) -> Usage:
    """loss + WEIGHT · regulariser; `shared` gives (regulariser, loss) with one forward pass for the two."""

    def call(m: SimpleNamespace, p: Point) -> Any:
        penalty, loss = shared(m, p) if shared else (regulariser(m, p), p.loss(p.x))
        return loss + WEIGHT * penalty

    def pull(p: Point) -> Callable[[np.ndarray], Pulled]:
        pullback = regulariser(pullbacks, p)
        return lambda c: add(p.loss.vjp(p.x, c), scaled(WEIGHT, pullback(c)))  # type: ignore[attr-defined]

    return Usage(name, method, call, pull)


def renamed(name: str, usage: Usage) -> Usage:
    return Usage(name, usage.method, usage.call, usage.pull)


def consistent(m: SimpleNamespace, p: Point, outputs: Any) -> tuple[Any, Any]:
    consistency = m.consistency_loss(m.kl_divergence, p.f, p.x, p.extra.noise, outputs=outputs)
    return consistency, m.cross_entropy(outputs, p.labels)


def contracted(m: SimpleNamespace, p: Point, penalty: Any, outputs: Any) -> tuple[Any, Any]:
    return penalty, m.cross_entropy(outputs, p.labels)


def virtually_adversarial(m: SimpleNamespace, p: Point, logits: Any) -> tuple[Any, Any]:
    smoothness = m.vat_loss(p.f, p.x, p.extra.start, radius=0.5, logits=logits)
    return smoothness, m.cross_entropy(logits, p.labels)


METHODS = {
    timed.name: timed
    for timed in (
        Method(
            Usage("plain", "cross_entropy", lambda m, p: p.loss(p.x), lambda p: lambda c: p.loss.vjp(p.x, c)),
            1 + 2,
            "forward 1, backward 2",
        ),
        Method(
            Usage("noise", "noisy_loss", lambda m, p: m.noisy_loss(p.loss, p.x, p.extra.noise)),
            1 + 2,
            "forward at the noisy inputs 1, backward 2; the clean loss is not computed",
        ),
        Method(
            regularised(
                "consistency",
                "consistency_loss",
                lambda m, p: m.consistency_loss(m.kl_divergence, p.f, p.x, p.extra.noise),
                lambda m, p: consistent(m, p, p.f(p.x)),
            ),
            2 + 4,
            "clean forward, shared with the loss, 1, noisy forward 1, backward through both 4",
        ),
        Method(
            renamed("fgm", attacked()),
            2 + 3,
            "attack: forward 1, input gradient 1; training on the perturbed inputs: forward 1, backward 2",
        ),
        Method(
            regularised(
                "gradient_penalty",
                "input_gradient_penalty",
                lambda m, p: m.input_gradient_penalty(p.loss, p.x),
                lambda m, p: m.input_gradient_penalty(p.loss, p.x, with_loss=True),
            ),
            2 + 4,
            "forward, shared with the loss, 1, input gradient 1, backward through both 4",
        ),
        Method(
            regularised(
                "jacobian_penalty",
                "jacobian_penalty",
                lambda m, p: m.jacobian_penalty(p.f, p.x, probes=p.extra.class_probes),
                lambda m, p: contracted(
                    m, p, *m.jacobian_penalty(p.f, p.x, probes=p.extra.class_probes, with_outputs=True)
                ),
            ),
            2 + 4,
            "forward, shared with the loss, 1, one probe's input gradient 1, backward through both 4",
        ),
        Method(
            regularised(
                "laplacian",
                "laplacian",
                lambda m, p: m.laplacian(p.loss, p.x, probes=p.extra.probes),
                lambda m, p: m.laplacian(p.loss, p.x, probes=p.extra.probes, with_loss=True),
            ),
            4 + 8,
            "forward, shared with the loss, 1, input gradient 1, the derivative of both along one probe 2, backward"
            " through the four 8",
        ),
        Method(
            regularised(
                "vat",
                "vat_loss",
                lambda m, p: m.vat_loss(p.f, p.x, p.extra.start, radius=0.5),
                lambda m, p: virtually_adversarial(m, p, p.f(p.x)),
            ),
            1 + 2 + 1 + 4,
            "clean forward, shared with the loss, 1, one power step: forward 1, input gradient 1, perturbed forward 1,"
            " backward through the clean and the perturbed pass 4",
        ),
    )
}


# Steps of `bench.loops`, whose gradients must be those of the usages.
LOOP_MODES = {
    "torch": ("module eager", "module compiled"),
    "jax": ("optax jit",),
    "tensorflow": ("keras function", "keras xla"),
}
QUICK_LOOP_MODE = {"torch": "module compiled", "jax": "optax jit", "tensorflow": "keras function"}
LOOP_WORKLOADS = ("digits-mlp",)
TWICE_COMPILED = ("module compiled", "gradient_penalty_training")  # torch.compile refuses a double backward
LOOPS = {
    timed.name: timed
    for timed in (
        METHODS["plain"],
        Method(
            renamed("adversarial_training", attacked()),
            2 + 3,
            "attack: forward 1, input gradient 1; training on the perturbed inputs: forward 1, backward 2",
        ),
        Method(
            renamed("adversarial snippet", attacked(scope="tensor")),
            2 + 3,
            "the same; the usual snippet's attack runs the full backward pass, 3 + 3",
        ),
        Method(
            renamed("gradient_penalty_training", METHODS["gradient_penalty"].usage),
            2 + 4,
            "forward, shared with the loss, 1, input gradient 1, backward through both 4",
        ),
    )
}
TIMED = METHODS | LOOPS
AGAIN = "plain again"  # the plain step, built a second time: what a comparison of a step with itself shows
SLOWED = "plain slowed by a tenth"  # what every comparison must detect


@dataclass(frozen=True)
class Cell:
    """One training step, to be timed."""

    method: str
    framework: str
    mode: str
    workload: str
    dtype: str = "float32"
    device: str = "cpu"


def plan(
    frameworks: Iterable[str],
    methods: Iterable[str] | None = None,
    workloads: Iterable[str] | None = None,
    device: str = "cpu",
    quick: bool = False,
    modes: Iterable[str] | None = None,
) -> list[Cell]:
    """The cells to time, those of one process together; quick: one mode a framework.

    None means all methods, and all workloads but those on request; quick: one.
    """
    run_in = chosen("mode", modes, every_mode(), every_mode())
    usual = QUICK_WORKLOADS if quick else [name for name in WORKLOADS if name not in ON_REQUEST]
    wanted = chosen("method", methods, TIMED, TIMED)
    return [
        Cell(method, framework, mode, workload, device=device)
        for workload in chosen("workload", workloads, WORKLOADS, usual)
        for framework in chosen("framework", frameworks, MODES, MODES)
        for mode, offered in offers(framework, workload, quick and modes is None)
        if mode in run_in
        for method in offered
        if method in wanted
    ]


def every_mode() -> list[str]:
    return list(dict.fromkeys(mode for offered in (MODES, LOOP_MODES) for modes in offered.values() for mode in modes))


def offers(framework: str, workload: str, quick: bool) -> Iterator[tuple[str, Iterable[str]]]:
    """The framework's modes with the methods that each can run on a workload."""
    yield from ((mode, METHODS) for mode in ((QUICK_MODE[framework],) if quick else MODES[framework]))
    if workload in LOOP_WORKLOADS:
        loops = (QUICK_LOOP_MODE[framework],) if quick else LOOP_MODES[framework]
        for mode in loops:
            yield mode, [name for name in LOOPS if (mode, name) != TWICE_COMPILED]


def chosen(kind: str, names: Iterable[str] | None, known: Iterable[str], default: Iterable[str]) -> list[str]:
    """The names, in the order of the known ones; the default where none are given."""
    wanted = list(default if names is None else names)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ValueError(f"{kind}: got {', '.join(unknown)}, expected some of {', '.join(known)}")
    return [name for name in known if name in wanted]


def job(
    framework: str,
    mode: str,
    workload: str,
    methods: Iterable[str],
    *,
    device: str = "cpu",
    cores: Iterable[int],
    quick: bool,
    expected: str,
    caches: str,
    block: int = 0,
    dtype: str = "float32",
) -> dict[str, Any]:
    """What `python -m bench.cell` and `bench.cold` read: one framework, mode and workload, and a unit for each method.

    `expected` is the file that `bench.expected.expected` wrote for the workload, `caches` a folder for what compilers
    keep.
    """
    return {
        "framework": framework,
        "mode": mode,
        "workload": workload,
        "dtype": dtype,
        "device": device,
        "cores": list(cores),
        "quick": quick,
        "expected": str(expected),
        "block": block,
        "units": [[number, method] for number, method in enumerate(methods)],
        "environment": {
            "OPENBLAS_NUM_THREADS": "1",  # NumPy only checks: its own idle threads must not take the framework's cores
            "TORCHINDUCTOR_CACHE_DIR": f"{caches}/torchinductor",
            "TRITON_CACHE_DIR": f"{caches}/triton",
            "JAX_COMPILATION_CACHE_DIR": f"{caches}/jax",
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # else the GPU's memory is the pool's, not the step's
        },
    }
