"""The machine that measures, and the versions of what computes on it."""

import hashlib
import importlib.metadata
import json
import os
import platform
import re
from pathlib import Path

import psutil

from bench import places
from bench.records.schema import Environment
from bench.records.staleness import MEASURING

COMPUTING = (  # whose versions are recorded
    "torch", "jax", "jaxlib", "folx", "optax", "tensorflow", "tensorflow-cpu", "keras", "numpy", "mlxtend", "snownlp",
)  # fmt: skip
RECORDED_VARIABLES = (  # variables that tell allocators, threads, compilers and devices what to do
    "CUDA_VISIBLE_DEVICES", "GLIBC_TUNABLES", "KMP_AFFINITY", "KMP_BLOCKTIME", "LD_PRELOAD", "MALLOC_ARENA_MAX",
    "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MKL_ENABLE_INSTRUCTIONS",
    "NVIDIA_TF32_OVERRIDE", "OMP_PROC_BIND", "TF_ENABLE_ONEDNN_OPTS", "TF_XLA_FLAGS", "XLA_FLAGS",
)  # fmt: skip


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
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor() or platform.machine()


def slug(text: str) -> str:
    """Fit for a folder's name."""
    return re.sub(r"[^a-z0-9_]+", "-", text.lower())
