"""Reads files of queries: `.jsonl` with a text or an image a line, or any other file with a text a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dckt_core.base.errors import DataError, NothingKnownError
from dckt_core.contract.pairs import Medium
from dckt_core.io.feature_files import read_features
from dckt_core.io.files import opened
from dckt_core.io.text import decode_line, is_unicode, numbered_lines, parse_json
from dckt_core.retrieval.gallery import Hit, Hits
from dckt_core.retrieval.query import Joined, Query, parts
from dckt_core.retrieval.refine import AS_IT_IS, Refine
from dckt_core.retrieval.searcher import Searcher, Wanted


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
    queries: Sequence[Query | Joined],
    k: int,
    medium: Wanted = "other",
    *,
    threshold: float | None = None,
    insist: bool = False,
    refine: Refine = AS_IT_IS,
) -> list[Answer]:
    """What is found for each query; arguments and errors as of `Searcher.find`, but that a query of which nothing is
    known leaves the others their answers.
    """
    model = searcher.model
    texts = [[one.text for one in parts(query) if one.text is not None] for query in queries]
    refused: dict[int, str] = {}
    for row, said in enumerate(texts):
        try:
            model.refuse_unknown([] if insist else said)
        except NothingKnownError as error:
            refused[row] = str(error)
    asked = [row for row in range(len(queries)) if row not in refused]
    some = [queries[row] for row in asked]
    hits = searcher.find(some, k, medium=medium, threshold=threshold, insist=True, refine=refine)
    found = dict(zip(asked, hits, strict=True))
    return [
        Answer(
            hits=found.get(row, Hits()),
            unknown=tuple(dict.fromkeys(word for text in texts[row] for word in model.unknown_words(text))),
            cut=any(map(model.is_cut, texts[row])),
            refused=refused.get(row, ""),
            unlikely=isinstance(query, Query) and searcher.unlikely(query.medium, found.get(row, ())),
        )
        for row, query in enumerate(queries)
    ]


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
