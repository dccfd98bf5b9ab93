"""The only way to the terminal: while dckt works, bars and lines on stderr; then lines, tables and JSON on stdout.

Texts of strangers, such as file names, ids and labels, are in most of what is shown. They can neither steer the
terminal nor look like lines of dckt's: what cannot be seen is shown as its escape. Nothing else prints (a test reads
the source for it), but for `Screen`, which draws through the same function.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
import traceback
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from dckt_core.base.errors import printable
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
    level = logging.DEBUG if verbose else logging.INFO
    logger.setLevel(level)
    with telling(_AboveBars(console) if console.is_terminal else _Lines(), logging.WARNING if quiet else level):
        if quiet:
            yield silent
        elif console.is_terminal:
            with _bars(console) as progress:
                yield progress
        else:
            yield PlainLines()


@contextmanager
def telling(handler: logging.Handler | None = None, level: int = logging.WARNING) -> Iterator[None]:
    """Shows dckt's log lines while the block runs, in the place of whoever showed them before."""
    before = [one for one in logger.handlers if isinstance(one, _Lines)]
    handler = handler or _Lines()
    handler.setLevel(level)
    for one in before:
        logger.removeHandler(one)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        for one in before:
            logger.addHandler(one)


def show_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[str] = ()) -> None:
    """A table on stdout, with lines and folded to the width of a terminal; elsewhere plain columns, whole.

    Args:
        right: the headings of columns that end below each other, as figures do.
    """
    if not sys.stdout.isatty():  # as Screen has it, without rich: a listing's time is not enough to import it
        cells = [[printable(cell) for cell in row] for row in (headings, *rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for line in cells:
            padded = [f"{cell:{'>' if headings[n] in right else '<'}{widths[n]}}" for n, cell in enumerate(line)]
            say("  ".join(padded).rstrip())
        return
    from rich.table import Table

    from dckt_cli.screen import Screen

    table = Table()
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left")
    for row in rows:
        table.add_row(*row)
    Screen().print(table)


def say(line: str = "", *, err: bool = False) -> None:
    """A line on stdout, or on stderr: a line break in it is shown as `\\n`, since it is a stranger's."""
    click.echo(printable(line), err=err)


def say_json(value: Any, *, indent: int | None = None) -> None:
    """A value as JSON on stdout, with JSON's own escapes for what cannot be seen: it means the same."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    click.echo("".join(letter if letter == "\n" or letter.isprintable() else _escaped(letter) for letter in text))


def say_own(text: str, *, err: bool = False, color: bool | None = None) -> None:
    """Lines that dckt wrote itself, such as its help and drawings: no text of a stranger is in them.

    Args:
        color: True keeps a drawing's colours where the output is no terminal.
    """
    click.echo(text, err=err, color=color)


def say_traceback(error: BaseException) -> None:
    """A traceback on stderr. What the error says may be a stranger's, its line breaks too."""
    for part in traceback.format_exception(error):
        for line in part.rstrip("\n").split("\n"):
            say(line, err=True)


def _escaped(letter: str) -> str:
    return re.sub('"', "", json.dumps(letter))


class _Lines(logging.Handler):
    """Log lines hold names of files, and reasons that have them."""

    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage(), err=True)


class _AboveBars(_Lines):
    """Log lines whole, however narrow the terminal: they hold paths and commands to copy."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(printable(record.getMessage()), markup=False, soft_wrap=True)


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
                tasks[what] = bars.add_task(printable(what), total=total, completed=done, already=done)
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
            say(f"{what}: {done}/{total}{rate}", err=True)
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
