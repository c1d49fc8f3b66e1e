"""Folders in which compilers keep what they have compiled, for the processes of one run."""


def settings(folder: str) -> dict[str, str]:
    """What a process must start with, so that another finds what it has compiled; JAX: however quickly it was."""
    return {
        "TORCHINDUCTOR_CACHE_DIR": f"{folder}/torchinductor",
        "TRITON_CACHE_DIR": f"{folder}/triton",
        "JAX_COMPILATION_CACHE_DIR": f"{folder}/jax",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
