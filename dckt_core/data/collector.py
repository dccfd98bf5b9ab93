"""What readers of layouts on disk share: good pairs in order, every bad line with its file, number and reason."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from dckt_core.base.errors import DataError, UsageError
from dckt_core.contract.pairs import Pair, PairSet
from dckt_core.data.faults import Problem
from dckt_core.data.manifest import ManifestError, check_fields, pair_of, with_names
from dckt_core.io.text import MAX_LINE_BYTES, check_inside, decode_line, numbered_lines, read_text, shown


class Names:
    """Gives each pair an id that no other has: its own, or its image's path, with a number where that occurs again."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def name(self, own: str | None, image: str) -> str:
        """The id; raises ValueError where an earlier pair has the one that it says is its own."""
        said = image if own is None else own
        self._seen[said] = self._seen.get(said, 0) + 1
        if own is not None and self._seen[said] > 1:
            raise ValueError(f"id {shown(own)} is that of an earlier pair too")
        return said if said and self._seen[said] == 1 else f"{said}#{self._seen[said]}"


class PairCollector:
    """Collects the pairs of one data set. What is said of an entry is what docs/data.md says of a line of a manifest.

    Args:
        location: the data set's folder; no path of an entry may leave it.
        layout: the data set's registered name, for errors.
        pictures: False where nobody will look at the pictures, which then need not be there.
        roots: folders besides that pictures may be in.

    Attributes:
        folder: the location.
        name: the data set's, its folder's by default.
        origin: what people call it, its folder by default.
        pairs: the good pairs so far, in the order in which they were added.

    Raises:
        UsageError: no location is given.
        DataError: it is no folder.
    """

    longest_line: ClassVar[int] = MAX_LINE_BYTES
    """Bytes that a line of a list may have; a longer one belongs to no list."""

    def __init__(
        self, location: Path | None, layout: str, *, pictures: bool = True, roots: Sequence[Path] = ()
    ) -> None:
        if location is None:
            raise UsageError(f"data set '{layout}' needs a path: of a folder of that name say ./{layout}")
        if not location.is_dir():
            raise DataError(f"{location}: no such folder")
        self.folder = location
        self.name, self.origin = location.absolute().name, str(location)
        self.pairs: list[Pair] = []
        self._problems: list[Problem] = []
        self._root, self._pictures, self._roots = os.path.realpath(location), pictures, roots
        self._names = Names()

    def problem(self, file: Path, line: int | None, reason: str, *, cut: bool = False) -> None:
        """Notes what is wrong with a file, or with a line of it (counted from 1).

        Args:
            cut: nothing behind it can be read.
        """
        self._problems.append(Problem(file, line, reason, cut))

    def lines(self, name: str) -> list[tuple[int, str]]:
        """The lines of a list in the folder with their numbers from 1, blank ones left out.

        A line that is no UTF-8 is a problem of its own; a list that cannot be read is one too, and has no lines.
        """
        file, lines = self.folder / name, []
        try:
            check_inside(self._root, name, "list")
            with file.open("rb") as stream:
                for number, line in numbered_lines(stream):
                    try:
                        lines.append((number, decode_line(line)))
                    except ValueError as error:
                        self.problem(file, number, str(error))
        except ValueError as error:
            self.problem(file, None, str(error))
        except OSError as error:
            self.problem(file, None, f"cannot be read: {error.strerror or error}")
        return lines

    def text(self, name: str) -> str:
        """The content of a text file in the folder.

        Raises:
            ValueError: it is not there, leads out of the folder, is too long or not UTF-8.
        """
        check_inside(self._root, name, "text")
        try:
            return read_text(self.folder / name)
        except ValueError as error:
            raise ValueError(f"text {shown(name)}: {error}") from None

    def holds(self, image: str) -> bool:
        """Whether an image is there, in the folder."""
        try:
            check_inside(self._root, image, "image", roots=self._roots)
        except ValueError:
            return False
        return True

    def add(
        self, file: Path, line: int | None, read: Callable[[], dict[str, Any]], *, picture: Path | None = None
    ) -> None:
        """Takes the pair that `read` gives, or notes why it cannot.

        Args:
            file: where the pair is stated.
            line: its number there, from 1; None where there are no lines.
            read: the fields of a manifest's line, `image` relative to the folder; ValueError says what is wrong.
            picture: the file of its picture, where `image` is no path and only names it.
        """
        try:
            entry = read()
            check_fields(entry)
            if "image" in entry and picture is None:
                check_inside(self._root, entry["image"], "image", there=self._pictures, roots=self._roots)
        except ValueError as error:
            self.problem(file, line, str(error))
            return
        image = entry.get("image", "")
        try:
            entry["id"] = self._names.name(entry.get("id"), image)
        except ValueError as error:
            self.problem(file, line, str(error))
            return
        if image:
            entry["image"] = picture or self.folder / image
        self.pairs.append(pair_of(entry))

    def pair_set(self, arrange: Callable[[list[Pair]], list[Pair]] = lambda pairs: pairs) -> PairSet:
        """The data set, with the names of its classes where the folder has `classes.toml`.

        Args:
            arrange: gives the good pairs their splits, where the layout leaves that open.

        Raises:
            ManifestError: something is wrong with it; the good pairs come along.
        """
        if not self.pairs and not self._problems:
            self.problem(self.folder, None, "holds no pairs")
        pair_set = PairSet(self.name, self.origin, arrange(self.pairs))
        pair_set, problems = with_names(pair_set, self.folder)
        if problems := self._problems + problems:
            raise ManifestError(problems, pair_set)
        return pair_set
