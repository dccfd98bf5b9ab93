"""What may be asked for, and in what bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, Field

from dckt_core.retrieval.searcher import Wanted

MAX_RESULTS = 50
MAX_START = 10_000
MAX_LETTERS = 2000

HOW_MANY = "How many to find, at most."
WHAT = "What to find: `image`, `text`, or `other`, the medium that the query is not of."
FROM = "How many of the nearest to pass over."
LEAST = "Leave out what is less probable, in [0, 1]; the run must have learnt probabilities."
INSIST = "Answer even a text of which the run knows no word."
WHERE = "Which of the runs that are served, by the name that `/api/about` gives; the first, unless it is said."

Count = Annotated[int, Query(ge=1, le=MAX_RESULTS, description=HOW_MANY)]
Start = Annotated[int, Query(ge=0, le=MAX_START, description=FROM)]
Kind = Annotated[Wanted, Query(description=WHAT)]
Least = Annotated[float | None, Query(ge=0, le=1, allow_inf_nan=False, description=LEAST)]
Insist = Annotated[bool, Query(description=INSIST)]
Run = Annotated[str | None, Query(max_length=MAX_LETTERS, description=WHERE)]

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


class TextQuery(BaseModel):
    """The body of a search by text."""

    text: str = Field(max_length=MAX_LETTERS, description="What to look for.")
    k: int = Field(default=12, ge=1, le=MAX_RESULTS, description=HOW_MANY)
    start: int = Field(default=0, ge=0, le=MAX_START, description=FROM)
    medium: Wanted = Field(default="other", description=WHAT)
    threshold: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False, description=LEAST)
    insist: bool = Field(default=False, description=INSIST)
    run: str | None = Field(default=None, max_length=MAX_LETTERS, description=WHERE)
