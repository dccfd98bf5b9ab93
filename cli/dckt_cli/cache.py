"""`dckt cache`: what the cache holds, how large and how old that is; and its end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click

from dckt_cli import options
from dckt_cli.console import say, say_json, show_table
from dckt_core.base.errors import StorageError, one_line
from dckt_core.data.cache import KINDS, Cached, cached, clear, default_cache_dir

DAY = 86_400


@click.group()
def cache() -> None:
    """List what the cache holds, or clear it. DCKT_CACHE_DIR says where it lies; all of it can be made again."""


@cache.command("list")
@options.as_json("The parts")
def list_parts(*, as_json: bool) -> None:
    """List the parts of the cache, the largest first, with their sizes and ages."""
    root = default_cache_dir()
    parts = cached(root)
    if as_json:
        rows = [
            {"kind": one.kind, "what": one.what, "bytes": one.size, "changed": one.changed, "paths": _paths(one)}
            for one in parts
        ]
        say_json({"cache": str(root), "parts": rows}, indent=2)
        return
    now = time.time()
    if parts:
        rows_ = [[size(one.size), age(now - one.changed), one.what] for one in parts]
        show_table(["size", "age", "what"], rows_, right=("size", "age"))
    say(f"{root}: {size(sum(one.size for one in parts))}")


@cache.command("clear")
@click.option("--kind", type=click.Choice(list(KINDS)), multiple=True, help="Only this; may be said again.")
@click.option(
    "--older-than",
    metavar="DAYS",
    type=click.FloatRange(min=0),
    default=0.0,
    callback=options.finite,
    help="Only what was last written so long ago.",
)
def clear_parts(*, kind: Sequence[str], older_than: float) -> None:
    """Remove what the cache holds; it is made again when it is needed. Files that dckt did not make stay."""
    root, now, freed = default_cache_dir(), time.time(), 0
    for one in cached(root):
        if (kind and one.kind not in kind) or now - one.changed < older_than * DAY:
            continue
        try:
            clear(one)
        except OSError as error:
            raise StorageError(Path(error.filename or root), error.strerror or str(error)) from None
        freed += one.size
        say(one_line(f"removed {one.what} ({size(one.size)})"))  # an encoder's name has words of a plugin in it
    say(f"{root}: {size(freed)} freed")


def size(count: float) -> str:
    """Bytes, for people.

    >>> size(999), size(1234), size(5_600_000_000)
    ('999 B', '1.2 kB', '5.6 GB')
    """
    units = ["TB", "GB", "MB", "kB", "B"]
    while count >= 1000 and len(units) > 1:
        count /= 1000
        units.pop()
    return f"{count:.0f} B" if units[-1] == "B" else f"{count:.1f} {units[-1]}"


def age(seconds: float) -> str:
    """A time span, for people.

    >>> age(30), age(7200), age(3 * 86400)
    ('1 minute', '2 hours', '3 days')
    """
    lengths = {"day": DAY, "hour": 3600, "minute": 60}
    unit = next((unit for unit, length in lengths.items() if seconds >= length), "minute")
    count = max(1, round(seconds / lengths[unit]))
    return f"{count} {unit}{'s' * (count != 1)}"


def _paths(part: Cached) -> list[str]:
    return [str(path) for path in part.paths]
