"""Keeps freed memory in the process while networks compute on a CPU. No torch in here.

A network frees each activation after its next layer, and glibc hands blocks of that size back to the kernel at once, so
that the next batch faults every page in again: more than half of the time of a small convolutional network. While
`memory_kept` is on, glibc keeps what is freed for the next batch; afterwards all of it goes back. A process never holds
more than it did at its peak, and 64 MiB.
"""

from __future__ import annotations

import ctypes
import os
import threading
from functools import cache

TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3
"""The numbers of what is set, as in glibc's malloc.h."""
KEPT = ((MMAP_THRESHOLD, 1 << 30), (TRIM_THRESHOLD, 2**31 - 1), (TOP_PAD, 64 << 20))
"""Blocks below 1 GiB come from the heap, whose end is never cut off and grows by 64 MiB."""
GIVEN_BACK = ((MMAP_THRESHOLD, 32 << 20), (TRIM_THRESHOLD, 64 << 20), (TOP_PAD, 128 << 10))
"""What glibc's own thresholds grow to in a process that frees large blocks: there is no way to have them grow again."""
CHOSEN = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")
"""Beginnings of environment variables by which a user says how memory is allocated, or has another allocator do it."""


class MemoryKept:
    """While any thread is inside, freed memory stays in the process.

    Does nothing where the allocator is not glibc's, or the user has set how it works (`CHOSEN`).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            libc = _glibc()
            if libc and self._inside == 1:
                _set(libc, KEPT)

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            libc = _glibc()
            if libc and self._inside == 0:
                _set(libc, GIVEN_BACK)
                libc.malloc_trim(0)


memory_kept = MemoryKept()


@cache
def _glibc() -> ctypes.CDLL | None:
    if os.name != "posix" or any(name.startswith(CHOSEN) for name in os.environ):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") and hasattr(libc, "mallopt") else None


def _set(libc: ctypes.CDLL, values: tuple[tuple[int, int], ...]) -> None:
    for what, value in values:
        libc.mallopt(what, value)
