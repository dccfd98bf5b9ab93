"""What the benchmarks' commands share: names that are asked for, tables, CSV files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from dckt_core.base.errors import did_you_mean
from dckt_core.io.tables import write_table


def chosen(text: str | None, known: Iterable[str], what: str) -> list[str]:
    """The names of a list with commas; none where nothing was given.

    Raises:
        click.BadParameter: one is not known.
    """
    names = [name.strip() for name in text.split(",")] if text else []
    for name in names:
        if name not in known:
            raise click.BadParameter(f"no {what} '{name}'{did_you_mean(name, known)}")
    return names


def show_table(title: str, headings: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    """On stdout; all columns but the first and those without a heading are of numbers."""
    from rich.table import Table

    from dckt_cli.screen import Screen

    table = Table(title=title, title_justify="left")
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="left" if number == 0 or not heading else "right")
    for line in lines:
        table.add_row(*line)
    Screen().print(table)


def write_csv(file: Path, columns: Sequence[str], records: Sequence[dict[str, Any]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as stream:
        write_table(stream, columns, records)
