"""Where results go: a console that takes every text as it is. Imports rich, so listings leave it alone."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dckt_core.base.errors import printable

UNWRAPPED = 10_000
"""Columns of a line that nobody looks at on a terminal."""


class Screen(Console):
    """On a terminal, tables with lines, folded to its width; elsewhere plain columns, and nothing is wrapped.

    Nothing in a text is markup, none can steer the terminal, and no word is cut.
    """

    def __init__(self, **how: Any) -> None:
        self.plain = not how.get("force_terminal", sys.stdout.isatty())
        options = {"highlight": False, "markup": False, "emoji": False, "width": UNWRAPPED if self.plain else None}
        super().__init__(**(options | how))

    def print(self, *objects: Any, **how: Any) -> None:
        for table in objects:
            if isinstance(table, Table):
                self._fit(table)
            else:
                how.setdefault("soft_wrap", True)  # lines hold paths and commands to copy
        super().print(*objects, **how)

    def render_str(self, text: str, **how: Any) -> Text:
        return super().render_str(printable(text), **how)

    def _fit(self, table: Table) -> None:
        table.title_justify = "left"
        if self.plain:
            table.box, table.pad_edge = None, False
        for column in table.columns:
            if not column.no_wrap:
                column.overflow = "fold"
