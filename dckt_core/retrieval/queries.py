"""Reads files of queries: `.jsonl` with a text or an image a line, or any other file with a text a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dckt_core.base.errors import DataError
from dckt_core.contract.pairs import MEDIA, Medium
from dckt_core.io.feature_files import read_features
from dckt_core.io.files import opened
from dckt_core.io.text import decode_line, is_unicode, numbered_lines, parse_json
from dckt_core.retrieval.gallery import Hits
from dckt_core.retrieval.searcher import Searcher, Wanted


@dataclass(frozen=True)
class Query:
    """What is looked for: a text, the image in a file, or features of either.

    Attributes:
        features: a row [d]; `name` is what it is called in its file, and `of` what it is of.
    """

    text: str | None = None
    image: Path | None = None
    features: Tensor | None = None
    name: str = ""
    of: Medium = "text"

    @property
    def medium(self) -> Medium:
        """What it is, or is of."""
        if self.features is not None:
            return self.of
        return "text" if self.text is not None else "image"

    @property
    def title(self) -> str:
        """What people call it."""
        return self.name or (self.text if self.text is not None else str(self.image))

    def as_json(self) -> dict[str, str]:
        if self.features is not None:
            return {"features": self.name, "of": self.of}
        return {"text": self.text} if self.text is not None else {"image": str(self.image)}


def feature_queries(place: Path, of: Medium) -> list[Query]:
    """The rows of a file of features as queries; raises as `read_features`."""
    table = read_features(place, medium=of)
    rows = table.take(slice(None))
    return [Query(features=row, name=name, of=of) for row, name in zip(rows, table.ids, strict=True)]


def read_queries(file: Path) -> list[Query]:
    """The queries of a file, in order; blank lines are none.

    Args:
        file: UTF-8. In `.jsonl` a line is `{"text": "..."}` or `{"image": "path"}`, where a relative path starts at the
            file's folder; in any other file a line is a text.

    Raises:
        DataError: it cannot be read, a line is no query, or there is none; the message names file and line.
    """
    with opened(file) as stream:
        found = [_query(file, number, line) for number, line in numbered_lines(stream)]
    queries = [query for query in found if query is not None]
    if not queries:
        raise DataError(f"{file}: holds no queries")
    return queries


def answer(searcher: Searcher, queries: Sequence[Query], k: int, medium: Wanted = "other") -> list[Hits]:
    """What is found for each query; texts are encoded together, and so are images."""
    texts = {row: query.text for row, query in enumerate(queries) if query.text is not None}
    images = {row: query.image for row, query in enumerate(queries) if query.image is not None}
    answers: dict[int, Hits] = {}
    for of in MEDIA:
        asked = [(row, query.features) for row, query in enumerate(queries) if query.of == of]
        rows = {row: features for row, features in asked if features is not None}
        if rows:
            found = searcher.search_features(torch.stack(list(rows.values())), of, k, medium=medium)
            answers |= zip(rows, found, strict=True)
    if texts:
        answers |= zip(texts, searcher.search_texts(list(texts.values()), k, medium=medium), strict=True)
    if images:
        answers |= zip(images, searcher.search_images(list(images.values()), k, medium=medium), strict=True)
    return [answers[row] for row in range(len(queries))]


def _query(file: Path, number: int, line: bytes | None) -> Query | None:
    """The query of a line, or None where it is blank."""
    try:
        text = decode_line(line).strip()
        if not text:
            return None
        return _of_json(text, file.parent) if file.suffix == ".jsonl" else Query(text=text)
    except ValueError as error:
        raise DataError(f"{file}:{number}: {error}") from None


def _of_json(text: str, folder: Path) -> Query:
    said = parse_json(text)
    given = [name for name in ("text", "image") if isinstance(said, dict) and name in said]
    if len(given) != 1:
        raise ValueError('a query is {"text": "..."} or {"image": "path"}')
    value = said[given[0]]
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"'{given[0]}' is empty, or no string")
    if not is_unicode(value):
        raise ValueError(f"'{given[0]}' holds half a character (a lone surrogate)")
    return Query(text=value) if given[0] == "text" else Query(image=folder / value)
