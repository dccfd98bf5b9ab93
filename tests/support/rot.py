"""Bits that turn in files: what a disk, a copy or a cosmic ray does."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dckt_core.base.errors import DcktError


@contextmanager
def one_bit_turned(file: Path, draw: random.Random) -> Iterator[int]:
    """Turns a bit of a file while the block runs; its number."""
    good = file.read_bytes()
    place = draw.randrange(8 * len(good))
    spoilt = bytearray(good)
    spoilt[place // 8] ^= 1 << place % 8
    file.write_bytes(spoilt)
    try:
        yield place
    finally:
        file.write_bytes(good)


def refusals(file: Path, read: Callable[[], object], times: int, seed: int) -> list[str]:
    """What is said as a file is read, so often, with a bit turned; '' where it is taken."""
    draw, said = random.Random(f"{seed}{file.name}"), []
    for _ in range(times):
        with one_bit_turned(file, draw):
            try:
                read()
                said.append("")
            except DcktError as error:
                said.append(str(error))
    return said
