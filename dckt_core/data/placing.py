"""Puts pictures where an import wants them, linked, copied or where they are, and looks at each. No torch in here."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dckt_core.base.errors import DataError
from dckt_core.data.lookalikes import look
from dckt_core.io.files import content_digest, write_atomically
from dckt_core.io.images import open_image

Images = Literal["link", "copy", "keep"]
FOLDER = "images"
"""Where pictures come to, in the folder of the data set."""


@dataclass(frozen=True)
class Looked:
    """What was found of a picture.

    Attributes:
        digest: of its bytes.
        look: its thumbnail's bytes, as `lookalikes.look` has it.
        fault: why it cannot be used; '' where it can.
        copied: whether it was to be linked, and could not be.
    """

    digest: bytes = b""
    look: bytes = b""
    fault: str = ""
    copied: bool = False


def put(source: Path | bytes, target: Path, images: Images) -> Looked:
    """A picture into its place, and what it shows. Once more does the same.

    Args:
        source: its file, or its bytes.
        target: where it comes to; of one that is kept, where it is.

    Raises:
        StorageError: it cannot be written.
    """
    copied = False
    try:
        if isinstance(source, bytes):
            if images == "keep" and target.exists() and target.read_bytes() != source:  # somebody's own
                return Looked(fault="another file lies where it would come to")
            _write(target, source)
        elif images != "keep":
            copied = _link_or_copy(source, target, link=images == "link")
        shown = look(open_image(target))
    except DataError as error:
        if images != "keep" or isinstance(source, bytes):
            target.unlink(missing_ok=True)
        return Looked(fault=str(error).removeprefix(f"{target}: "))
    return Looked(content_digest(target), shown.tobytes(), copied=copied)


def _link_or_copy(source: Path, target: Path, *, link: bool) -> bool:
    """Whether it was copied although it was to be linked: there are no hard links between file systems."""
    real = Path(os.path.realpath(source))
    if not real.is_file():
        raise DataError(f"{target}: no such file")
    target.parent.mkdir(parents=True, exist_ok=True)
    if link:
        if target.exists() and target.samefile(real):
            return False
        target.unlink(missing_ok=True)
        try:
            target.hardlink_to(real)
        except OSError:
            pass
        else:
            return False
    write_atomically(target, lambda temporary: _copy(real, temporary))
    return link


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except PermissionError as error:
        raise DataError(f"{source}: cannot be read: {error.strerror}") from None


def _write(target: Path, content: bytes) -> None:
    if not content:
        raise DataError(f"{target}: the file is empty")
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, lambda temporary: _fill(temporary, content))


def _fill(file: Path, content: bytes) -> None:
    file.write_bytes(content)
