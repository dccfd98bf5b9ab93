"""What `dckt search` found, as JSON, as a table, as a page, and as pictures on a terminal."""

from __future__ import annotations

import tempfile
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dckt_cli.console import say
from dckt_core.base.errors import DcktError, one_line

if TYPE_CHECKING:
    from dckt_core.retrieval.queries import Answer

NOTHING = "nothing here is likely to be what you look for"

CUT = "the text is longer than the run reads: what stands at its end is left out"

FIGURES = ("cosine", "probability", "csls")

HEADS = {
    "rank": "rank",
    "cosine": "cosine",
    "probability": "probability",
    "csls": "CSLS",
    "id": "id",
    "label": "class",
    "image": "image",
    "picture": "picture",
    "text": "text",
    "metadata": "besides",
}

SIDE = 320
"""Pixels of a picture's longer side, at most."""

Row = Mapping[str, Any]
JpegOf = Callable[[Row], bytes | None]


def as_json(found: Answer) -> dict[str, Any]:
    """An answer as plain values."""
    rows = []
    for rank, hit in enumerate(found.hits, start=1):
        figures = {name: getattr(hit, name) for name in FIGURES if getattr(hit, name) is not None}
        rows.append({"rank": rank, **figures, **hit.item})
    told = {"results": rows, "unknown": found.unknown, "cut": found.cut, "unlikely": found.unlikely}
    return told | ({"refused": found.refused} if found.refused else {})


def notes(told: Row) -> list[str]:
    """What must be said of an answer, line by line."""
    said = [f"the run does not know: {', '.join(told['unknown'])}"] if told["unknown"] else []
    said += [CUT] if told["cut"] else []
    return said + ([NOTHING] if told["unlikely"] or not told["results"] else [])


def show(told: Row, title: str | None) -> None:
    """An answer as a table.

    Args:
        title: of the query, where there are several.
    """
    from dckt_cli.console import show_table
    from dckt_core.data.metadata import as_words

    if title is not None:
        say(one_line(title))
    if "refused" in told:
        say(f"{one_line(told['refused'])} (--insist)")
        return
    for note in notes(told):
        say(one_line(note))
    if not told["results"]:
        return
    shown = [key for key in HEADS if any(key in row for row in told["results"])]
    lines = []
    for row in told["results"]:
        cells = {**row, **{name: f"{row[name]:.4f}" for name in FIGURES if name in row}}
        cells |= {"metadata": as_words(row["metadata"])} if "metadata" in row else {}
        lines.append([str(cells.get(key, "")) for key in shown])
    show_table([HEADS[key] for key in shown], lines, right=[HEADS[key] for key in ("rank", *FIGURES)])


def jpeg_of_file(row: Row) -> bytes | None:
    """The picture of what was found on this machine, small."""
    from dckt_core.io.images import as_jpeg

    return as_jpeg(Path(row["image"]), SIDE) if "image" in row else None


def with_pictures(told: Row, jpeg_of: JpegOf) -> list[Row]:
    """The rows, with the bytes of each picture that can be had as `jpeg`."""
    rows: list[Row] = []
    for row in told["results"]:
        jpeg = None
        with suppress(DcktError):  # a picture that is gone is left out
            jpeg = jpeg_of(row)
        rows.append(row if jpeg is None else {**row, "jpeg": jpeg})
    return rows


def open_page(told: Row, title: str, place: str, rows: Sequence[Row]) -> None:
    """Writes an answer as a page, and opens it in the browser, where there is one."""
    from dckt_apps.answers.page import render
    from dckt_core.io.files import write_text

    file = Path(tempfile.mkdtemp(prefix="dckt-search-")) / "found.html"
    write_text(file, render(title, place, notes(told), rows))
    opened = webbrowser.open(file.as_uri())
    say(f"{file}{'' if opened else ' (no browser could be opened here)'}", err=True)
