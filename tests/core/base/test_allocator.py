import os
import resource
import sys
import threading
from typing import Any

import pytest

from dckt_core.base import allocator
from dckt_core.base.allocator import GIVEN_BACK, KEPT, memory_kept

MEGABYTES = 8
"""A block that glibc hands back at once by default."""


class Recorded:
    """A C library that notes what it is told."""

    def __init__(self) -> None:
        self.said: list[Any] = []

    def mallopt(self, what: int, value: int) -> int:
        self.said.append((what, value))
        return 1

    def malloc_trim(self, pad: int) -> int:
        self.said.append("trimmed")
        return 1


@pytest.fixture
def libc(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    recorded = Recorded()
    monkeypatch.setattr(allocator, "_glibc", lambda: recorded)
    return recorded


def test_memory_is_kept_and_given_back(libc: Recorded) -> None:
    with memory_kept:
        assert libc.said == [*KEPT]
    assert libc.said == [*KEPT, *GIVEN_BACK, "trimmed"]


def test_the_last_one_out_gives_it_back(libc: Recorded) -> None:
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with memory_kept:
            inside.set()
            leave.wait()

    thread = threading.Thread(target=other)
    with memory_kept:
        thread.start()
        inside.wait()
    assert libc.said == [*KEPT], "the other thread is inside"
    leave.set()
    thread.join()
    assert libc.said == [*KEPT, *GIVEN_BACK, "trimmed"]


def test_it_is_given_back_after_an_error(libc: Recorded) -> None:
    with pytest.raises(ZeroDivisionError), memory_kept:
        _ = 1 / 0
    assert libc.said[-1] == "trimmed"


@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD"])
def test_who_has_chosen_is_left_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "something")
    assert allocator._glibc.__wrapped__() is None


def _faults(blocks: int) -> int:
    """Pages that are faulted in while blocks are filled one after the other, each freed before the next."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for number in range(blocks):
        bytearray(b"%d" % (number % 10) * (MEGABYTES << 20))
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is Linux's")
def test_pages_are_faulted_in_once() -> None:
    """In a process of its own, whose allocator nobody has touched."""
    child = os.fork()
    if child == 0:
        code = 2
        try:
            if allocator._glibc() is None:
                os._exit(77)
            allocator._set(allocator._glibc(), ((allocator.MMAP_THRESHOLD, 128 << 10),))  # as a process begins
            handed_back = _faults(20)
            with memory_kept:
                kept = _faults(20)
            code = 0 if 4 * kept < handed_back else 1
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == 77:
        pytest.skip("the user has chosen an allocator")
    assert code == 0
