"""Where pictures lie, as people lay them down, and what their bytes are."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from dckt_core import IMAGE_SUFFIXES, DataError, DatasetContext, check_inside

FOLDERS = (
    *("", "images", "Images", "image", "img", "imgs", "pictures", "photos", "data"),
    *("flickr30k_images", "flickr30k-images", "Flicker8k_Dataset", "Flickr8k_Dataset", "Flickr8k_dataset"),
)
"""Where pictures of a table or a list lie, from its folder."""

SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""What folders of splits are called, in lower case."""

_BEGINNINGS = ((b"\x89PNG", ".png"), (b"GIF8", ".gif"), (b"BM", ".bmp"), (b"II*\0", ".tif"), (b"MM\0*", ".tif"))


class Pictures:
    """Finds pictures by the names that a table has of them.

    Args:
        folder: the data set's.
        given: where its pictures lie, as the user says; '' to look for them, `.` for the folder itself.
        guesses: folders to look in, from the data set's.
    """

    def __init__(self, folder: Path, given: str = "", guesses: Sequence[str] = FOLDERS) -> None:
        self._folder, self._given = folder, given.rstrip("/") or given
        self._guesses = [guess for guess in dict.fromkeys(guesses) if (folder / guess).is_dir()]

    def path(self, name: str) -> str:
        """The path from the data set's folder, or an absolute one where the name or what is given is absolute."""
        name = name.strip().removeprefix("./")
        if self._given:
            return name if self._given == "." else f"{self._given}/{name}"
        if os.path.isabs(name) or "\0" in name:  # noqa: PTH117 - a name may be anything
            return name
        for place, guess in enumerate(self._guesses):
            if os.path.isfile(os.path.join(self._folder, guess, name)):  # noqa: PTH113, PTH118
                self._guesses.insert(0, self._guesses.pop(place))
                return f"{guess}/{name}" if guess else name
        first = self._guesses[0] if self._guesses else ""
        return f"{first}/{name}" if first else name


def check_found(folder: Path, file: Path, context: DatasetContext) -> None:
    """Passes where a list that was found in a folder, and not named by the user, lies in it, links followed.

    Raises:
        DataError: it leads out of the folder, to none that the user allows.
    """
    if file == folder:  # the user named it
        return
    try:
        name = file.relative_to(folder).as_posix()
        check_inside(os.path.realpath(folder), name, "list", there=False, roots=context.image_roots)
    except ValueError as error:
        raise DataError(f"{folder}: {error}") from None


def walk(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Folders and the files in them, by name, as paths from a folder; hidden ones and linked folders are left out."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = Path(place).relative_to(folder).as_posix()
        yield ("" if inside == "." else inside), sorted(name for name in files if not name.startswith("."))


def is_picture(name: str) -> bool:
    """Whether a file is called as pictures are."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122 - of a name, often


def split_of(folder: str) -> str | None:
    """The split that a folder's name says."""
    return SPLITS.get(folder.lower())


def folders_of(folder: Path) -> list[Path]:
    """The folders in a folder, by name, but hidden ones."""
    return [one for one in sorted(folder.iterdir()) if one.is_dir() and not one.name.startswith(".")]


def has_splits(folder: Path) -> bool:
    """Whether all folders in a folder are called as splits are. One alone may be a class: Pascal's `train` runs on
    rails.
    """
    inside = folders_of(folder)
    return bool(inside) and all(split_of(one.name) for one in inside)


def suffix_of(content: bytes) -> str:
    """What a file of these bytes is called."""
    for begin, suffix in _BEGINNINGS:
        if content.startswith(begin):
            return suffix
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return ".webp"
    if content[4:8] == b"ftyp":
        return ".avif" if content[8:12] in (b"avif", b"avis") else ".heic"
    return ".jpg"
