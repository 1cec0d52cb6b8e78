"""Has the C library give memory back after a burst: a start's first candles, a fold of the history."""

import ctypes

M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
"""glibc's malloc.h."""
MAPPED_BYTES = 256 * 1024
"""Whatever is larger goes back to the system when it is freed; by itself glibc raises this to 32 MB in a burst."""


def frugal() -> None:
    """One heap for all threads, and large blocks beside it. Does nothing where the C library has no such choice."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES)
        mallopt(M_ARENA_MAX, 1)
