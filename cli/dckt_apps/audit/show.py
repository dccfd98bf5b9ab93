"""Suspect labels as a page that stands alone, and as a table."""

from __future__ import annotations

import io
from pathlib import Path

from dckt_apps.audit.find import Audited
from dckt_apps.pages import filled, templates, theme
from dckt_core.base.errors import DataError, one_line
from dckt_core.io.files import make_folder, write_text
from dckt_core.io.images import as_data_uri
from dckt_core.io.tables import write_table

PAGE, TABLE = "audit.html", "audit.csv"
COLUMNS = ("id", "split", "label", "likely", "margin", "probability_of_label", "probability_of_likely", "image", "text")
SIDE = 200
"""Pixels of a picture's longer side on the page."""
SHOWN = 500
"""Suspects that the page shows at most; the table has all."""


def write_audit(found: Audited, folder: Path, origin: str) -> tuple[Path, Path]:
    """Writes `audit.html` and `audit.csv` into a folder, which is made where it is not there, and says where they are.

    Raises:
        UsageError, StorageError: they cannot be written.
    """
    make_folder(folder)
    stream = io.StringIO(newline="")
    write_table(stream, COLUMNS, [_row(found, number) for number in range(len(found.audit.suspects))])
    write_text(folder / TABLE, stream.getvalue())
    write_text(folder / PAGE, render(found, origin))
    return folder / PAGE, folder / TABLE


def render(found: Audited, origin: str) -> str:
    """The page. All texts are escaped, and it loads nothing."""
    shown = [_row(found, number) for number in range(min(SHOWN, len(found.audit.suspects)))]
    for row, suspect in zip(shown, found.audit.suspects, strict=False):
        image = found.pairs[suspect.row].image
        row["picture"] = _picture(image) if image is not None else None
        row |= {key: one_line(value) for key, value in row.items() if key != "picture" and isinstance(value, str)}
    said = {"origin": one_line(origin), "audit": found.audit, "by": found.by, "rows": shown, "table": TABLE}
    return filled(templates("audit"), "audit.html", style=theme(), **said)


def _row(found: Audited, number: int) -> dict[str, object]:
    suspect = found.audit.suspects[number]
    pair = found.pairs[suspect.row]
    return {
        "id": pair.id,
        "split": pair.split,
        "label": suspect.label,
        "likely": suspect.likely,
        "margin": round(suspect.margin, 4),
        "probability_of_label": round(suspect.given, 4),
        "probability_of_likely": round(suspect.probability, 4),
        "image": None if pair.image is None else str(pair.image),
        "text": pair.text,
    }


def _picture(path: Path) -> str | None:
    try:
        return as_data_uri(path, SIDE)
    except DataError:  # features may be there without it
        return None
