"""The C library's allocator, told to keep what a step frees, for the next step.

As it comes, glibc gives blocks of more than 32 MiB back to the system and gets them anew at the next step, page by
page: of a jitted step with 60 MiB of temporaries that was a third of the time, and it is not the method's. TensorFlow
has an allocator of its own; jemalloc and tcmalloc keep memory likewise.
"""

import os

PREFIX = "MALLOC_"
KEEPING = {
    f"{PREFIX}MMAP_MAX_": "0",  # no block from the system by itself: it would go back when it is freed
    f"{PREFIX}TRIM_THRESHOLD_": str(2**40),
    f"{PREFIX}ARENA_MAX": "1",  # a second arena holds no block of more than 64 MiB
}


def settings() -> dict[str, str]:
    """What a process that is timed must start with: nothing, where the user has told the allocator something else."""
    return {} if any(name.startswith(PREFIX) for name in os.environ) else KEEPING
