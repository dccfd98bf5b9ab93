"""What a person sees: while dckt works, on stderr, bars on a terminal and plain lines elsewhere; at the end, on stdout,
tables. Texts of strangers, such as file names, cannot steer the terminal.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from dckt_core.base.errors import one_line, printable
from dckt_core.base.progress import Progress, logger, silent

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

PLAIN_LINE_SECONDS = 10.0
"""Off a terminal, a long step tells of itself this often."""


@contextmanager
def watching(*, quiet: bool = False, verbose: bool = False) -> Iterator[Progress]:
    """Shows log lines and progress while the block runs; `quiet` shows warnings alone, `verbose` details, too."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    handler = _AboveBars(console) if console.is_terminal else logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine())
    level = logging.DEBUG if verbose else logging.INFO
    handler.setLevel(logging.WARNING if quiet else level)
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        if quiet:
            yield silent
        elif console.is_terminal:
            with _bars(console) as progress:
                yield progress
        else:
            yield PlainLines()
    finally:
        logger.removeHandler(handler)


def show_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[str] = ()) -> None:
    """A table on stdout, with lines and folded to the width of a terminal; elsewhere plain columns, whole.

    Args:
        right: the headings of columns that end below each other, as figures do.
    """
    if not sys.stdout.isatty():  # as Screen has it, without rich: a listing's time is not enough to import it
        cells = [[one_line(cell) for cell in row] for row in (headings, *rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for line in cells:
            padded = [f"{cell:{'>' if headings[n] in right else '<'}{widths[n]}}" for n, cell in enumerate(line)]
            click.echo("  ".join(padded).rstrip())
        return
    from rich.table import Table

    from dckt_cli.screen import Screen

    table = Table()
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left")
    for row in rows:
        table.add_row(*row)
    Screen().print(table)


def say(text: str) -> None:
    """Lines on stdout, with a blank for what could steer the terminal or turn its letters round."""
    click.echo("\n".join(map(printable, text.split("\n"))))


class _OneLine(logging.Formatter):
    """Log lines hold names of files, and reasons that have them."""

    def format(self, record: logging.LogRecord) -> str:
        return one_line(record.getMessage())


class _AboveBars(logging.Handler):
    """Log lines whole, however narrow the terminal: they hold paths and commands to copy."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(self.format(record), markup=False, soft_wrap=True)


@contextmanager
def _bars(console: Console) -> Iterator[Progress]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        ProgressColumn,
        Task,
        TextColumn,
    )
    from rich.progress import Progress as Bars
    from rich.text import Text

    class Pace(ProgressColumn):
        def render(self, task: Task) -> Text:
            seconds, total = task.elapsed or 0.0, task.total or 0.0
            done = task.completed - task.fields["already"]
            return Text(f"in {timedelta(seconds=int(seconds))}{pace(int(done), seconds, int(total - task.completed))}")

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), Pace())
    with Bars(*columns, console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def progress(done: int, total: int, what: str) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total, completed=done, already=done)
            elif done < total and bars.tasks[tasks[what]].finished:  # another step of the same name
                bars.reset(tasks[what], total=total, completed=done, already=done)
            bars.update(tasks[what], completed=done, total=total)

        yield progress


class PlainLines:
    """Progress as lines: when a step ends, and every ten seconds before that, with the rate and the time left."""

    def __init__(self) -> None:
        self._began: dict[str, tuple[float, int]] = {}
        self._told: dict[str, float] = {}

    def __call__(self, done: int, total: int, what: str) -> None:
        now = time.monotonic()
        since, already = self._began.setdefault(what, (now, done))
        last = self._told.setdefault(what, now)
        if done >= total or now - last >= PLAIN_LINE_SECONDS:
            self._told[what] = now
            rate = pace(done - already, now - since, total - done)
            print(f"{what}: {done}/{total}{rate}", file=sys.stderr, flush=True)
        if done >= total:  # the next step of the same name is another one
            del self._began[what], self._told[what]


def pace(done: int, seconds: float, left: int) -> str:
    """Rate and time left, as a tail of a line; nothing where too little is known.

    >>> pace(300, 10.0, 900)
    ', 30/s, 0:00:30 left'
    """
    if done <= 0 or seconds < 1:
        return ""
    rate = done / seconds
    return f", {rate:.3g}/s" + (f", {timedelta(seconds=round(left / rate))} left" if left else "")
