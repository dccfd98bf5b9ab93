"""Spoilt files by the hundred thousand: `python -m tests.reliability.fuzz`. Only dckt's own errors may come out.

Prints how many cases each reader met, how many of them it took and refused, and the slowest. Any other exception ends
with exit code 1 and leaves the file that caused it.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import random
import resource
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from dckt_core.base.errors import DcktError
from dckt_core.base.progress import logger
from tests.support.mutations import spoil
from tests.support.readers import Reader, readers

SHARES = {
    **{"snapshot, restored": 0.1, "weights": 0.5, "word vectors": 0.5, "word vectors, binary": 0.5, "image": 0.5},
    **{"index of usearch": 0.1, "index of faiss": 0.1},
}
"""Readers that take long per file meet fewer."""
SPARE_MEMORY = 4 << 30


@dataclass
class Tally:
    """What became of a reader's cases."""

    cases: int = 0
    taken: int = 0
    refused: int = 0
    escaped: list[str] = field(default_factory=list)
    slowest_ms: float = 0.0


def fuzz(reader: Reader, cases: int, seed: int, work: Path, leave: Callable[[bytes], str]) -> Tally:
    """Lets a reader meet spoilt files."""
    draw, tally, file = random.Random(seed), Tally(), work / reader.file
    while tally.cases < cases:
        content = spoil(reader.seeds, draw, reader.ways)
        file.write_bytes(content)
        started = time.perf_counter()
        tally.cases += 1
        try:
            reader.read(work)
            tally.taken += 1
        except DcktError as error:
            tally.refused += 1
            if "\n" in str(error) or not str(error):
                tally.escaped.append(f"no single line: {error!r}, {leave(content)}")
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            tally.escaped.append(f"{type(error).__name__}: {error} at {place.name}:{place.lineno}, {leave(content)}")
        tally.slowest_ms = max(tally.slowest_ms, 1000 * (time.perf_counter() - started))
    file.unlink(missing_ok=True)
    return tally


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=12_000, help="of each quick reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", help="this one alone")
    parser.add_argument("--json", type=Path, help="also write the counts to this file")
    chosen = parser.parse_args(arguments)
    faulthandler.enable()
    warnings.simplefilter("ignore")
    logger.setLevel("ERROR")
    os.environ["DCKT_MAX_PIXELS"] = "1000000"
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    counts: dict[str, Tally] = {}
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as work:
        os.environ["DCKT_CACHE_DIR"] = str(Path(work, "cache"))
        known = readers(Path(work))
        resource.setrlimit(resource.RLIMIT_AS, (used + SPARE_MEMORY, resource.RLIM_INFINITY))
        for name, reader in known.items():
            if chosen.reader not in (None, name):
                continue

            def leave(content: bytes, name: str = name) -> str:
                path = Path(tempfile.gettempdir(), f"dckt-fuzz-{name.replace(' ', '-')}-{zlib.crc32(content):08x}")
                path.write_bytes(content)
                return str(path)

            cases = int(chosen.cases * SHARES.get(name, 1.0))
            counts[name] = tally = fuzz(reader, cases, chosen.seed, Path(work), leave)
            print(
                f"{name:22} {tally.cases:7} cases: {tally.taken:6} taken, {tally.refused:7} refused, "
                f"{len(tally.escaped)} escaped; slowest {tally.slowest_ms:.0f} ms",
                flush=True,
            )
            for line in tally.escaped[:5]:
                print(f"    {line[:300]}")
    total = sum(tally.cases for tally in counts.values())
    escaped = sum(len(tally.escaped) for tally in counts.values())
    print(f"{total} cases in all, {escaped} escaped")
    if chosen.json:
        chosen.json.write_text(json.dumps({name: asdict(tally) for name, tally in counts.items()}, indent=2) + "\n")
    return 1 if escaped else 0


if __name__ == "__main__":
    sys.exit(main())
