"""How `dckt serve` does under many clients, with hostile ones beside them, on this machine alone.

    dckt serve INDEX --port 8000 &
    python benchmarks/serve_load.py --port 8000 --clients 200 --hostile 50 --seconds 60

An honest client asks, reads the answer, thinks for half a second to one and a half, and asks again on the same
connection. The hostile ones hold connections: silent, with a request or a body that trickles in, with an answer that is
not read, with nonsense; where they are thrown out they come again. Prints one line of JSON: requests a second, how long
the honest waited, and what went wrong for them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

HOST = "127.0.0.1"
"""Nowhere else: this is no tool against other people's servers."""
PATHS = ("/", "/api/about", "/api/search?q=red", "/api/search?q=a+green+square&k=5", "/healthz")


@dataclass
class Seen:
    """What the honest clients saw."""

    seconds: list[float] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    held: int = 0


async def honest(port: int, until: float, seen: Seen, draw: random.Random) -> None:
    reader, writer = None, None
    while time.monotonic() < until:
        await asyncio.sleep(draw.uniform(0.5, 1.5))
        began = time.monotonic()
        try:
            if writer is None or writer.is_closing():
                reader, writer = await asyncio.open_connection(HOST, port)
            assert reader is not None
            request = f"GET {draw.choice(PATHS)} HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n"
            writer.write(request.encode())
            status = await asyncio.wait_for(answer(reader), 30)
            if status != 200:
                seen.faults[f"status {status}"] += 1
            seen.seconds.append(time.monotonic() - began)
        except (OSError, EOFError, asyncio.IncompleteReadError, TimeoutError, ValueError) as error:
            seen.faults[type(error).__name__] += 1
            writer = None
    if writer is not None:
        writer.close()


async def answer(reader: asyncio.StreamReader) -> int:
    """Reads an answer whole; its status."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    length = next(int(line.partition(":")[2]) for line in head if line.lower().startswith("content-length:"))
    await reader.readexactly(length)
    return int(head[0].split()[1])


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def slow_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"GET / HTTP/1.1\r\n")
    while True:
        writer.write(b"X-a: b\r\n")
        await writer.drain()
        await asyncio.sleep(1)


async def slow_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"POST /api/search/image HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(1)


async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Asks and asks, and reads nothing."""
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    while True:
        writer.write(b"GET /page.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)


async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\xff" * 500 + b"\r\n\r\n")
    await writer.drain()
    await reader.read()
    await asyncio.sleep(0.5)


HOSTILE: Sequence[Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]]
HOSTILE = (silent, slow_head, slow_body, deaf, nonsense)


async def hostile(port: int, until: float, kind: int, seen: Seen) -> None:
    while time.monotonic() < until:
        with suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection(HOST, port)
            seen.held += 1
            try:
                left = until - time.monotonic()
                await asyncio.wait_for(HOSTILE[kind % len(HOSTILE)](reader, writer), max(0.1, left))
            except TimeoutError:
                pass
            finally:
                writer.transport.abort()
        await asyncio.sleep(0.05)


async def load(port: int, clients: int, hostiles: int, seconds: float, seed: int = 0) -> dict[str, Any]:
    """What so many clients see for so many seconds."""
    seen, until = Seen(), time.monotonic() + seconds
    evil = [asyncio.create_task(hostile(port, until, number, seen)) for number in range(hostiles)]
    await asyncio.sleep(min(2.0, seconds / 4))  # they are there first
    good = [honest(port, until, seen, random.Random(seed + number)) for number in range(clients)]
    await asyncio.gather(*good)
    for task in evil:
        task.cancel()
    await asyncio.gather(*evil, return_exceptions=True)
    waited = sorted(seen.seconds)

    def share(part: float) -> float | None:
        return round(waited[min(len(waited) - 1, int(part * len(waited)))], 4) if waited else None

    return {
        "clients": clients,
        "hostile": hostiles,
        "seconds": seconds,
        "requests": len(waited),
        "per_second": round(len(waited) / seconds, 1),
        "median": share(0.5),
        "p99": share(0.99),
        "longest": share(1.0),
        "faults": dict(seen.faults),
        "hostile_connections": seen.held,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--clients", type=int, default=200, choices=range(1, 1001), metavar="1-1000")
    parser.add_argument("--hostile", type=int, default=50, choices=range(201), metavar="0-200")
    parser.add_argument("--seconds", type=float, default=60)
    said = parser.parse_args()
    print(json.dumps(asyncio.run(load(said.port, said.clients, said.hostile, min(said.seconds, 600)))))


if __name__ == "__main__":
    main()
