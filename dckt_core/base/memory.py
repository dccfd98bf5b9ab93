"""Out of memory, wherever it happens: one line that says which option to lower. No torch in here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dckt_core.base.errors import MachineError

SIGNS = ("can't allocate memory", "out of memory", "alloc_cpu", "Storage size calculation")
"""In the texts of torch's errors; the last is of sizes that not even a 64-bit number holds."""


@contextmanager
def advising(where: Callable[[], str], advice: str) -> Iterator[None]:
    """Turns a lack of memory in the block into an error with advice.

    Args:
        where: says, when it is needed, what was being done.
        advice: which options to lower.

    Raises:
        MachineError: memory ran out, also where a plugin ran into it.
    """
    try:
        yield
    except Exception as error:
        if not (is_out_of_memory(error) or is_out_of_memory(error.__cause__)):
            raise
        raise MachineError(f"out of memory {where()}; {advice}") from error


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error says that memory ran out, on a device or off it."""
    if isinstance(error, MemoryError):
        return True
    # torch has a class of its own for CUDA; on a CPU, and on Apple's chips, it raises a bare RuntimeError.
    return isinstance(error, RuntimeError) and (
        type(error).__name__ == "OutOfMemoryError" or any(sign in str(error) for sign in SIGNS)
    )
