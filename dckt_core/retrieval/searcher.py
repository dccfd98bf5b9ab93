"""Queries in, items out: a trained run's encoders before galleries of what it encoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor

from dckt_core.base.errors import DataError, UsageError
from dckt_core.contract.specs import Modality
from dckt_core.retrieval.gallery import Gallery, Hit
from dckt_core.runs.model import TrainedModel

Wanted = Literal["other", "image", "text"]
"""The medium to find. `other` is the one that the query is not of, or the only one that there is."""


@dataclass(frozen=True)
class Searcher:
    """Finds images and texts by images and texts. `open_index` makes one.

    Attributes:
        model: the run that encodes queries, and encoded the galleries.
        galleries: by medium, one or both.
        origin: what is searched, for errors.
    """

    model: TrainedModel
    galleries: Mapping[Modality, Gallery]
    origin: str

    def search_texts(self, texts: Sequence[str], k: int = 10, *, medium: Wanted = "other") -> list[list[Hit]]:
        """The k nearest items of each text, best first; equal cosines in the order of the gallery.

        Raises:
            UsageError: a text is empty.
            DataError: there is no such gallery.
        """
        gallery = self.gallery("text", medium)
        for number, text in enumerate(texts, start=1):
            if not text.strip():
                raise UsageError("the text to look for is empty" + f" (text {number})" * (len(texts) > 1))
        return gallery.search(self.model.encode_texts(texts), k)

    def search_images(self, images: Sequence[Path | str], k: int = 10, *, medium: Wanted = "other") -> list[list[Hit]]:
        """The k nearest items of each image file, as for texts.

        Raises:
            DataError: an image cannot be read, or there is no such gallery.
        """
        gallery = self.gallery("image", medium)
        return gallery.search(self.model.encode_images(images), k)

    def search(self, queries: Tensor, medium: Modality, k: int = 10) -> list[list[Hit]]:
        """The k nearest items of a medium for common representations [q, D]."""
        return self.gallery(medium, medium).search(queries, k)

    def gallery(self, query: Modality, wanted: Wanted) -> Gallery:
        """Where a query of one medium looks.

        Raises:
            DataError: there is no gallery of the medium that is wanted.
        """
        other: Modality = "image" if query == "text" else "text"
        medium = other if wanted == "other" else wanted
        if wanted == "other" and len(self.galleries) == 1:
            (medium,) = self.galleries
        if medium not in self.galleries:
            raise DataError(f"{self.origin}: holds no {medium}s")
        return self.galleries[medium]
