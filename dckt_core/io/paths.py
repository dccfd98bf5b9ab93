"""Paths as other systems write them: backslashes, another form of the same letters, another case. No torch in here."""

from __future__ import annotations

import os
import unicodedata
from functools import lru_cache
from pathlib import Path

BACKSLASHES = "paths with backslashes are read with slashes"
FORM = "names in another form of Unicode (NFC, NFD) are read as the files have them"
CASE = "names in another case are read as the files have them"


def meant(folder: Path, name: str) -> tuple[str, str]:
    """The path within a folder that a name means, and how it differs from what is written; '' where it does not.

    A name that leads to a file is meant as it stands. Of another one, letter forms and case are looked past where
    exactly one file fits.
    """
    if "\0" in name or len(name) > _LONGEST or os.path.lexists(os.path.join(folder, name)):  # noqa: PTH118
        return name, ""
    if "\\" in name and not Path(name).is_absolute():
        slashes = name.replace("\\", "/")
        found, why = meant(folder, slashes)
        if why or os.path.lexists(os.path.join(folder, slashes)):  # noqa: PTH118
            return found, BACKSLASHES
    place, parts, why = folder, [], ""
    for part in name.split("/"):
        if part in ("", ".", ".."):
            return name, ""
        if not os.path.lexists(os.path.join(place, part)):  # noqa: PTH118
            part, how = _in_folder(place, part)
            if not how:
                return name, ""
            why = why or how
        parts.append(part)
        place = place / part
    return "/".join(parts), why


_LONGEST = 4096


def _in_folder(folder: Path, name: str) -> tuple[str, str]:
    try:
        changed = folder.stat().st_mtime_ns
    except OSError:
        return name, ""
    by_form, by_case = _names(folder, changed)
    form = unicodedata.normalize("NFC", name)
    for known, key, why in ((by_form, form, FORM), (by_case, form.casefold(), CASE)):
        fitting = known.get(key, ())
        if len(fitting) == 1:
            return fitting[0], why
    return name, ""


@lru_cache(maxsize=16)
def _names(folder: Path, changed: int) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The names in a folder by their composed form, and by that without case."""
    by_form: dict[str, list[str]] = {}
    by_case: dict[str, list[str]] = {}
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - names alone, of a folder that may be large
    except OSError:
        names = []
    for name in names:
        form = unicodedata.normalize("NFC", name)
        by_form.setdefault(form, []).append(name)
        by_case.setdefault(form.casefold(), []).append(name)
    return by_form, by_case
