"""The matrix of what is timed: method x framework x mode x workload. Imports no framework."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from bench.costs.methods import ATTACK, ATTACKED, DOUBLE, METHODS, PENALTY, Method, renamed
from bench.costs.workloads import ON_REQUEST, WORKLOADS, named
from bench.running import allocator, caches
from equivalence.usages import attacked
from impls.frameworks import DESCRIBED

TIMED_FRAMEWORKS = {name: each for name, each in DESCRIBED.items() if each.timed_modes}
MODES = {name: each.timed_modes for name, each in TIMED_FRAMEWORKS.items()}
QUICK_MODE = {name: each.quick_mode for name, each in TIMED_FRAMEWORKS.items()}
QUICK_WORKLOADS = ("digits-mlp",)
FLOAT32 = "float32"
HALF_WORKLOADS = ("digits-mlp", "digits-cnn", "bert-tiny")


# Steps of `bench.costs.loops`, whose gradients must be those of the usages.
LOOP_MODES = {name: each.loop_modes for name, each in TIMED_FRAMEWORKS.items()}
QUICK_LOOP_MODE = {name: each.quick_loop_mode for name, each in TIMED_FRAMEWORKS.items()}
LOOP_WORKLOADS = ("digits-mlp",)
TWICE_COMPILED = [  # torch.compile refuses a double backward
    ("module compiled", name) for name in ("gradient_penalty_training", "gradient penalty by hand")
]
BY_HAND = {  # a one-liner: the same step as people write it, beside which the one-liner costs what it adds
    "adversarial_training": "adversarial by hand",
    "gradient_penalty_training": "gradient penalty by hand",
}
LOOPS = {
    timed.name: timed
    for timed in (
        METHODS["plain"],
        Method(
            renamed("adversarial_training", attacked()),
            ATTACKED,
            ATTACK,
            quick=True,
        ),
        Method(
            renamed("adversarial by hand", attacked()),
            ATTACKED,
            ATTACK,
            quick=True,
        ),
        Method(
            renamed("adversarial snippet", attacked(scope="tensor")),
            ATTACKED,
            "the same; the usual snippet's attack runs the full backward pass, 3 + 3",
            quick=True,
        ),
        Method(
            renamed("gradient_penalty_training", METHODS["gradient_penalty"].usage),
            DOUBLE,
            PENALTY,
            quick=True,
        ),
        Method(
            renamed("gradient penalty by hand", METHODS["gradient_penalty"].usage),
            DOUBLE,
            PENALTY,
            quick=True,
        ),
    )
}
TIMED = METHODS | LOOPS
AGAIN = "plain again"  # the plain step, built a second time: what a comparison of a step with itself shows
SLOWED = "plain slowed by a tenth"  # what every comparison must detect
PRODUCTS = "products alone"  # those of the plain step: the rate that this machine and framework reach on them
NAMED = (*TIMED, PRODUCTS)


@dataclass(frozen=True)
class Cell:
    """One training step, to be timed."""

    method: str
    framework: str
    mode: str
    workload: str
    dtype: str = FLOAT32
    device: str = "cpu"


def plan(
    frameworks: Iterable[str],
    methods: Iterable[str] | None = None,
    workloads: Iterable[str] | None = None,
    device: str = "cpu",
    quick: bool = False,
    modes: Iterable[str] | None = None,
    dtype: str = FLOAT32,
) -> list[Cell]:
    """The cells to time, those of one process together; quick: one mode a framework.

    None means all methods but those that are swept, quick: those marked so; and all workloads but those on request,
    quick: one. In other dtypes than float32 None means the methods marked quick, and three networks.
    """
    run_in = chosen("mode", modes, every_mode(), every_mode())
    usual: Iterable[str] = [name for name in WORKLOADS if name not in ON_REQUEST]
    usual = QUICK_WORKLOADS if quick else usual if dtype == FLOAT32 else HALF_WORKLOADS
    few = quick or dtype != FLOAT32
    usual_methods = [name for name in TIMED if TIMED[name].quick or not (few or TIMED[name].swept)]
    wanted = chosen("method", methods, NAMED, [*usual_methods, PRODUCTS])
    return [
        Cell(method, framework, mode, workload, dtype, device)
        for workload in (usual if workloads is None else checked(workloads))
        for framework in chosen("framework", frameworks, MODES, MODES)
        for mode, offered in offers(framework, workload, quick and modes is None, dtype)
        if mode in run_in
        for method in offered
        if method in wanted
    ]


def checked(workloads: Iterable[str]) -> list[str]:
    """The names, if there are such workloads."""
    names = list(dict.fromkeys(workloads))
    for name in names:
        named(name)
    return names


def every_mode() -> list[str]:
    return list(dict.fromkeys(mode for offered in (MODES, LOOP_MODES) for modes in offered.values() for mode in modes))


def offers(framework: str, workload: str, quick: bool, dtype: str) -> Iterator[tuple[str, Iterable[str]]]:
    """The framework's modes with the methods that each can run on a workload."""
    modes = (QUICK_MODE[framework],) if quick else MODES[framework]
    yield from ((mode, (*METHODS, PRODUCTS)) for mode in modes)
    if workload.split()[0] in LOOP_WORKLOADS and dtype == FLOAT32:  # sizes of one's own may follow the name
        loops = (QUICK_LOOP_MODE[framework],) if quick else LOOP_MODES[framework]
        for mode in loops:
            yield mode, [name for name in LOOPS if (mode, name) not in TWICE_COMPILED]


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
    folder: str,
    block: int = 0,
    dtype: str = "float32",
) -> dict[str, Any]:
    """What `bench.costs.time_block` and `bench.costs.time_cold` read: a framework, mode and workload, a task a method.

    `expected` is the file that `bench.costs.expected_steps` wrote for the workload, `folder` one for what compilers
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
        "tasks": [[number, method] for number, method in enumerate(methods)],
        "environment": {
            "OPENBLAS_NUM_THREADS": "1",  # NumPy only checks: its own idle threads must not take the framework's cores
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # else the GPU's memory is the pool's, not the step's
            **caches.settings(folder),
            **allocator.settings(),
        },
    }
