"""Which column of a table is what, by the names that people give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dckt_core import DataError, Record, did_you_mean, shown
from dckt_plugins.datasets.pictures import Pictures, suffix_of
from dckt_plugins.datasets.tables import Cut, Row, value_of

KNOWN: Mapping[str, tuple[str, ...]] = {
    "image": (
        *("image", "image_path", "filepath", "file_path", "path", "file_name", "filename", "file", "image_name"),
        *("img", "img_path", "picture", "photo", "image_file", "image_id"),
    ),
    "text": ("text", "caption", "captions", "title", "sentence", "sentences", "description", "comment", "raw"),
    "label": ("label", "class", "category", "class_name", "label_name", "category_name", "target"),
    "split": ("split", "subset", "partition", "set", "fold"),
    "id": ("id", "key", "uid"),
}
"""Names of columns by field, the likeliest first."""
NAMED = 50
"""Columns that an error tells of."""


@dataclass(frozen=True)
class Named:
    """Columns that the user names; empty where the name tells by itself."""

    image: str = ""
    text: str = ""
    label: str = ""
    split: str = ""
    id: str = ""

    def find(self, columns: Sequence[str], file: Path) -> dict[str, str]:
        """The column of each field.

        Raises:
            DataError: one that is named is not there, or there is neither a column of pictures nor one of texts.
        """
        known = [shown(name)[1:-1] for name in columns[:NAMED]]  # a header may hold anything
        found: dict[str, str] = {}
        by_lower = {name.casefold(): name for name in reversed(columns)}
        for field, names in KNOWN.items():
            said = getattr(self, field)
            if said and said not in columns:
                raise DataError(f"{file}: column {shown(said)} is missing{did_you_mean(said, known)}")
            guessed = next((by_lower[name] for name in names if name in by_lower), "")
            if column := said or guessed:
                found[field] = column
        taken = [getattr(self, field) for field in KNOWN if getattr(self, field)]
        found = {field: name for field, name in found.items() if getattr(self, field) or name not in taken}
        if not {"image", "text"} & found.keys():
            listing = ", ".join(known) or "none"
            raise DataError(
                f"{file}: which columns hold pictures and texts? --image-column NAME, --text-column NAME "
                f"(it has: {listing})"
            )
        return found


def record_of(
    file: Path, number: int, row: Row, columns: Mapping[str, str], pictures: Pictures, *, typed: bool, name: str = ""
) -> Record:
    """The record of a row; what no field takes is metadata.

    Args:
        columns: by field.
        name: what to call a picture that has no name.
    """
    if isinstance(row, str):
        return Record(file, number, fault=row, cut=isinstance(row, Cut))
    fields: dict[str, Any] = {field: row.get(column) for field, column in columns.items()}
    taken = set(columns.values())
    if isinstance(row.get("captions"), list) and "captions" not in taken:
        fields["captions"] = row["captions"]
        taken.add("captions")
    others = {key: cell for key, cell in row.items() if key not in taken}
    own = others.pop("metadata", None)
    if not typed:
        others = {key: value_of(cell) for key, cell in others.items()}
        fields = {key: value or None if key != "text" else value for key, value in fields.items()}
    fields["metadata"] = {**others, **own} if isinstance(own, dict) else others | ({"metadata": own} if own else {})
    if isinstance(fields.get("text"), list):
        fields["captions"] = fields.pop("text")
    image = fields.get("image")
    if isinstance(image, Mapping) and {"bytes", "path"} & image.keys():
        fields["image"] = image.get("path")
        image = fields["image"] if image.get("bytes") is None else image["bytes"]
    if isinstance(image, bytes):
        called = str(fields["image"]) if isinstance(fields["image"], str) else ""
        fields["image"] = called or f"{name or file.stem}-{number:07}{suffix_of(image)}"
        return Record(file, number, fields, picture=image)
    if isinstance(image, str) and image:
        fields["image"] = pictures.path(image)
    elif image is not None and not isinstance(image, str | int):
        return Record(file, number, fault=f"its picture is {type(image).__name__}, and no path and no file's bytes")
    return Record(file, number, fields)
