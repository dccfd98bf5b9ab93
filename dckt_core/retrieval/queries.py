"""Reads files of queries: `.jsonl` with a text or an image a line, or any other file with a text a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dckt_core.base.errors import DataError, NothingKnownError
from dckt_core.contract.pairs import MEDIA, Medium
from dckt_core.io.feature_files import read_features
from dckt_core.io.files import opened
from dckt_core.io.text import decode_line, is_unicode, numbered_lines, parse_json
from dckt_core.retrieval.gallery import Hit, Hits
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


@dataclass(frozen=True)
class Answer:
    """What was found for a query.

    Attributes:
        hits: best first.
        unknown: words of its text that the run has no vector for.
        cut: whether its text is longer than the run reads.
        refused: why nothing was looked for; empty where it was.
        unlikely: whether nothing that was found is likelier than what is drawn blindly.
    """

    hits: Sequence[Hit] = ()
    unknown: tuple[str, ...] = ()
    cut: bool = False
    refused: str = ""
    unlikely: bool = False


def answer(
    searcher: Searcher,
    queries: Sequence[Query],
    k: int,
    medium: Wanted = "other",
    *,
    threshold: float | None = None,
    insist: bool = False,
) -> list[Answer]:
    """What is found for each query; texts are encoded together, and so are images. Arguments as of `search_texts`, but
    that a query of which nothing is known leaves the others their answers.
    """
    model = searcher.model
    refused: dict[int, str] = {}
    for row, query in enumerate(queries):
        try:
            model.refuse_unknown([query.text] if query.text is not None and not insist else [])
        except NothingKnownError as error:
            refused[row] = str(error)
    asked = {row: query for row, query in enumerate(queries) if row not in refused}
    found = _hits(searcher, asked, k, medium, threshold)
    told = []
    for row, query in enumerate(queries):
        hits = found.get(row, Hits())
        unknown = model.unknown_words(query.text) if query.text is not None else ()
        cut = query.text is not None and model.is_cut(query.text)
        told.append(Answer(hits, unknown, cut, refused.get(row, ""), searcher.unlikely(query.medium, hits)))
    return told


def _hits(
    searcher: Searcher, queries: Mapping[int, Query], k: int, medium: Wanted, threshold: float | None
) -> dict[int, Hits]:
    how: dict[str, Any] = {"medium": medium, "threshold": threshold}
    texts = {row: query.text for row, query in queries.items() if query.text is not None}
    images = {row: query.image for row, query in queries.items() if query.image is not None}
    answers: dict[int, Hits] = {}
    for of in MEDIA:
        asked = [(row, query.features) for row, query in queries.items() if query.of == of]
        rows = {row: features for row, features in asked if features is not None}
        if rows:
            found = searcher.search_features(torch.stack(list(rows.values())), of, k, **how)
            answers |= zip(rows, found, strict=True)
    if texts:
        answers |= zip(texts, searcher.search_texts(list(texts.values()), k, insist=True, **how), strict=True)
    if images:
        answers |= zip(images, searcher.search_images(list(images.values()), k, **how), strict=True)
    return answers


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
