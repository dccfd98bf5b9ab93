"""What may be asked for, and in what bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from dckt_core.contract.pairs import Medium
from dckt_core.retrieval.query import Joined, join
from dckt_core.retrieval.query import Query as One
from dckt_core.retrieval.refine import MOST_NEIGHBOURS, Refine, wishes
from dckt_core.retrieval.searcher import Searcher, Wanted

MAX_RESULTS = 50
MAX_START = 10_000
MAX_LETTERS = 2000
MAX_TOGETHER = 20

HOW_MANY = "How many to find, at most."
WHAT = (
    "What to find: `image`, `text`, or `other`: images for a text, or for a text and an image together; texts for an "
    "image; for an item what it is itself."
)
FROM = "How many of the nearest to pass over."
LEAST = "Leave out what is less probable, in [0, 1]; the run must have learnt probabilities."
INSIST = "Answer even a text of which the run knows no word."
LIKE = "Ids of items that are looked for themselves, or together with the rest of the query."
OF = "What these items, or features, are; of items, unless it is said, images, or texts where no image has the id."
WEIGHT = "Where several queries are one together, a weight for each: of texts, then items, then what the body is."
CLASS = "Find only items of this class, or of one of several."
FIELDS = "Find only items with `FIELD=VALUE` in their metadata, or `split=...`."
EXPAND = "Average the query with so many of what is nearest to it, and look again."
CSLS = "Hold back hubs, items that lie near to everything, by so many neighbours (CSLS)."
WHERE = "Which of the runs that are served, by the name that `/api/about` gives; the first, unless it is said."

Run = Annotated[str | None, Query(max_length=MAX_LETTERS, description=WHERE)]
Line = Annotated[str, Field(max_length=MAX_LETTERS)]

FILE: dict[str, Any] = {"requestBody": {"required": True, "content": {"application/octet-stream": {}}}}
"""A body that is a file, as OpenAPI has it."""


@dataclass(frozen=True)
class Limits:
    """What a visitor may send.

    Attributes:
        upload: bytes of a picture.
        pixels: of a picture, from its header; it is refused before it is decoded.
    """

    upload: int = 10_000_000
    pixels: int = 40_000_000


class Wish(BaseModel):
    """What may be said of every search."""

    model_config = ConfigDict(extra="forbid")

    k: int = Field(default=12, ge=1, le=MAX_RESULTS, description=HOW_MANY)
    start: int = Field(default=0, ge=0, le=MAX_START, description=FROM)
    medium: Wanted = Field(default="other", description=WHAT)
    like: list[Line] = Field(default=[], max_length=MAX_TOGETHER, description=LIKE)
    of: Medium | None = Field(default=None, description=OF)
    weight: list[float] = Field(default=[], max_length=MAX_TOGETHER, description=WEIGHT)
    classes: list[Line] = Field(default=[], alias="class", max_length=MAX_TOGETHER, description=CLASS)
    where: list[Line] = Field(default=[], max_length=MAX_TOGETHER, description=FIELDS)
    expand: int = Field(default=0, ge=0, le=MOST_NEIGHBOURS, description=EXPAND)
    csls: int = Field(default=0, ge=0, le=MOST_NEIGHBOURS, description=CSLS)
    threshold: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False, description=LEAST)
    insist: bool = Field(default=False, description=INSIST)
    run: str | None = Field(default=None, max_length=MAX_LETTERS, description=WHERE)

    @property
    def refine(self) -> Refine:
        """How the search is narrowed and corrected.

        Raises:
            UsageError: a field is not FIELD=VALUE.
        """
        return Refine(tuple(self.classes), wishes(self.where), self.expand, self.csls)

    def query(self, searcher: Searcher, texts: Sequence[str] = (), *rest: One) -> One | Joined:
        """The query: texts, items of the gallery, and what else there is, joined where they are several.

        Raises:
            UsageError: there is none, an item is not there, or weights do not go with them.
        """
        items = [searcher.like(name, self.of) for name in self.like]
        return join([*(One(text=text) for text in texts), *items, *rest], self.weight)


class ItemsQuery(BaseModel):
    """What may be said of items without a query."""

    model_config = ConfigDict(extra="forbid")

    k: int = Field(default=12, ge=1, le=MAX_RESULTS, description=HOW_MANY)
    start: int = Field(default=0, ge=0, description="How many to pass over.")
    medium: Medium | None = Field(default=None, description="By default images, where there are any.")
    classes: list[Line] = Field(default=[], alias="class", max_length=MAX_TOGETHER, description=CLASS)
    where: list[Line] = Field(default=[], max_length=MAX_TOGETHER, description=FIELDS)
    run: str | None = Field(default=None, max_length=MAX_LETTERS, description=WHERE)

    @property
    def refine(self) -> Refine:
        """Which items; raises as that of `Wish`."""
        return Refine(tuple(self.classes), wishes(self.where))


class UrlQuery(Wish):
    """A search by what stands in the address."""

    q: list[Line] = Field(default=[], max_length=MAX_TOGETHER, description="What to look for; several are joined.")


class TextQuery(Wish):
    """The body of a search by text."""

    text: Line | list[Line] = Field(description="What to look for; several are joined.")

    @property
    def texts(self) -> list[str]:
        return [self.text] if isinstance(self.text, str) else self.text
