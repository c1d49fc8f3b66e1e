"""Folders in which compilers keep what they have compiled, for the processes of one run or for later runs too."""

import contextlib
import hashlib
import importlib.metadata
import platform
from pathlib import Path

from bench.places import CACHE

KEPT_IN = "EQUIREG_COMPILED"  # names a folder that several commands find what compilers have kept in


def settings(folder: str) -> dict[str, str]:
    """What a process must start with, so that another finds what it has compiled; JAX: however quickly it was."""
    return {
        "TORCHINDUCTOR_CACHE_DIR": f"{folder}/torchinductor",
        "TRITON_CACHE_DIR": f"{folder}/triton",
        "JAX_COMPILATION_CACHE_DIR": f"{folder}/jax",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


def lasting() -> dict[str, str]:
    """Settings for a check, which finds what an earlier run of the same versions has compiled on such a processor.

    Only JAX keeps programs so that another process can take them. It tells programs apart by what they compute and by
    the compiler's flags, but not by the processor that they are compiled for.
    """
    try:
        versions = [importlib.metadata.version(name) for name in ("jax", "jaxlib")]
    except importlib.metadata.PackageNotFoundError:
        return {}
    own = hashlib.sha256(processor().encode()).hexdigest()[:8]
    return settings(str(CACHE / "compiled" / "-".join([*versions, own])))


def processor() -> str:
    """What code may be compiled for: the processor's instructions where the system lists them, else its name."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                return line
    return platform.processor()
