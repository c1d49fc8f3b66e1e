"""The machine that measures, and the versions of what computes on it."""

import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import time
from pathlib import Path

import numpy as np
import psutil
import threadpoolctl

from bench import places
from bench.records.schema import Environment
from bench.records.staleness import MEASURING
from impls.frameworks import DESCRIBED

# Distributions whose versions are recorded.
COMPUTING = (*(name for each in DESCRIBED.values() for name in each.packages), "numpy", "mlxtend", "snownlp")
RECORDED_VARIABLES = (  # variables that tell allocators, threads, compilers and devices what to do
    "CUDA_VISIBLE_DEVICES", "GLIBC_TUNABLES", "KMP_AFFINITY", "KMP_BLOCKTIME", "LD_PRELOAD", "MALLOC_ARENA_MAX",
    "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MKL_ENABLE_INSTRUCTIONS",
    "NVIDIA_TF32_OVERRIDE", "OMP_PROC_BIND", "TF_ENABLE_ONEDNN_OPTS", "TF_XLA_FLAGS", "XLA_FLAGS",
)  # fmt: skip

GENERATION = {  # what /proc/cpuinfo says beside the name, on x86 and on ARM
    "cpu family": "family", "model": "model", "stepping": "stepping",
    "CPU implementer": "implementer", "CPU part": "part", "CPU variant": "variant",
}  # fmt: skip


def describe(sender: Environment | None = None) -> Environment:
    """This machine, with the versions of what computes. `sender`: where the code came from, if without its history."""
    packages = {}
    for name in COMPUTING:
        try:
            packages[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    count = len(cores())
    facts = {
        "machine": slug(f"{platform.system()}-{platform.machine()}-{cpu_name()}-{count}-cores"),
        "cpu": cpu_name(),
        "cores": count,
        "product_gflops": product_rate(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "packages": packages,
        "variables": {name: os.environ[name] for name in RECORDED_VARIABLES if name in os.environ},
        "commit": sender.commit if sender else places.commit(),
        "dirty": sender.dirty if sender else places.changed(MEASURING),
    }
    identity = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:10]
    return Environment(id=identity, **facts)


def cores() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def cpu_name() -> str:
    """The processor's name, with the numbers that tell generations of the same name apart where there are any."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
    name = told.get("model name") or platform.processor() or platform.machine()
    numbers = [f"{word} {told[key]}" for key, word in GENERATION.items() if key in told]
    return f"{name} ({', '.join(numbers)})" if numbers else name


@functools.cache
def product_rate(size: int = 256, count: int = 40) -> float:
    """Measure the speed of a matrix product in float32 on one core: the fastest of some, in 10⁹ operations a second."""
    a = np.random.default_rng(0).standard_normal((size, size), dtype=np.float32)
    fastest = float("inf")
    with threadpoolctl.threadpool_limits(1):
        for _ in range(count):
            began = time.perf_counter()
            a @ a
            fastest = min(fastest, time.perf_counter() - began)
    return float(f"{2 * size**3 / fastest / 1e9:.3g}")


def slug(text: str) -> str:
    """Fit for a folder's name."""
    return re.sub(r"[^a-z0-9_]+", "-", text.lower())
