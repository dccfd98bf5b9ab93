"""Queries in, items out: a trained run's encoders before galleries of what it encoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from dckt_core.base.errors import DataError, UsageError
from dckt_core.contract.pairs import MEDIA, SPLITS, Medium, Split
from dckt_core.contract.protocols import IndexContext
from dckt_core.data.coverage import Coverage, cover
from dckt_core.evaluation.calibration import Calibration
from dckt_core.retrieval.gallery import Gallery, Hit, Hits, new_gallery
from dckt_core.retrieval.listing import of_pairs
from dckt_core.runs.model import TrainedModel

COUNTED = 100_000
"""Texts of a gallery whose words are counted, at most: that takes a second or two."""

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
    galleries: Mapping[Medium, Gallery]
    origin: str

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(gallery)} {medium}s" for medium, gallery in self.galleries.items())
        return f"Searcher({self.origin!r}, {sizes})"

    def search_texts(
        self,
        texts: Sequence[str],
        k: int = 10,
        *,
        medium: Wanted = "other",
        threshold: float | None = None,
        insist: bool = False,
    ) -> list[Hits]:
        """The k nearest items of each text, best first; equal cosines in the order of the gallery.

        Args:
            threshold: leave out what is less probable than this, in (0, 1).
            insist: answer even for a text of which the run knows no word, which is chance.

        Raises:
            UsageError: a text is empty, or there are no probabilities for a threshold.
            NothingKnownError: the run knows none of the words of a text.
            DataError: there is no such gallery.
        """
        gallery = self.gallery("text", medium)
        for number, text in enumerate(texts, start=1):
            if not text.strip():
                raise UsageError("the text to look for is empty" + f" (text {number})" * (len(texts) > 1))
        if not insist:
            self.model.refuse_unknown(texts)
        return self._found(gallery, "text", self.model.encode_texts(texts), k, threshold)

    def search_images(
        self, images: Sequence[Path | str], k: int = 10, *, medium: Wanted = "other", threshold: float | None = None
    ) -> list[Hits]:
        """The k nearest items of each image file, as for texts.

        Raises:
            UsageError: there are no probabilities for a threshold.
            DataError: an image cannot be read, or there is no such gallery.
        """
        gallery = self.gallery("image", medium)
        return self._found(gallery, "image", self.model.encode_images(images), k, threshold)

    def search_features(
        self,
        features: Tensor,
        of: Medium,
        k: int = 10,
        *,
        medium: Wanted = "other",
        threshold: float | None = None,
    ) -> list[Hits]:
        """The k nearest items of each row [q, d] of images or texts, as the run's frozen encoder gives them.

        Raises:
            ArgumentError: they are no such rows, or the encoder trains along.
            UsageError: there are no probabilities for a threshold.
            DataError: there is no such gallery.
        """
        gallery = self.gallery(of, medium)
        encode = self.model.encode_images if of == "image" else self.model.encode_texts
        return self._found(gallery, of, encode(features), k, threshold)

    def search(self, queries: Tensor, medium: Medium, k: int = 10) -> list[Hits]:
        """The k nearest items of a medium for common representations [q, D] of whatever medium, so without
        probabilities.
        """
        return self.gallery(medium, medium).search(queries, k)

    def calibration(self, query: Medium, found: Medium) -> Calibration | None:
        """What the cosines of queries with items of a medium say; None where the run has not learnt it."""
        return self.model.calibration if query != found else None

    def unlikely(self, query: Medium, hits: Sequence[Hit]) -> bool:
        """Whether nothing that was found is likelier than an item that is drawn blindly; False where nobody knows."""
        sure = [hit.probability for hit in hits if hit.probability is not None]
        found: Medium = "image" if query == "text" else "text"
        calibration = self.calibration(query, found)
        if not sure or calibration is None:
            return False
        return max(sure) <= calibration.by_chance(len(self.galleries[found]))

    def _found(self, gallery: Gallery, of: Medium, queries: Tensor, k: int, threshold: float | None) -> list[Hits]:
        """What is nearest to queries [q, D] of one medium, with probabilities where the run has learnt them."""
        calibration = self.calibration(of, gallery.medium)
        if calibration is None and threshold is not None:
            why = f"{self.model.run_dir} ('{self.model.checkpoint}') has learnt none on validation pairs"
            if of == gallery.medium:
                why = f"those of {of}s that look for {of}s are not learnt"
            raise UsageError(f"a threshold needs probabilities, and {why}")
        answers = gallery.search(queries, k)
        if calibration is None:
            return answers
        told = []
        for hits in answers:
            sure = calibration.probability(torch.tensor([hit.cosine for hit in hits]), len(gallery)).tolist()
            pairs = zip(hits, sure, strict=True)
            told.append(Hits(replace(hit, probability=one) for hit, one in pairs if one >= (threshold or 0)))
        return told

    def classes(self) -> dict[str, dict[Medium, int]]:
        """How many items of each class are searched, by medium; the largest class first."""
        counts = {
            medium: Counter(item["label"] for item in gallery.items.values() if "label" in item)
            for medium, gallery in self.galleries.items()
        }
        total = sum(counts.values(), Counter[str]())
        return {
            label: {medium: one[label] for medium, one in counts.items()}
            for label in sorted(total, key=lambda label: (-total[label], label))
        }

    def covered(self, texts: Iterable[str]) -> Coverage | None:
        """How many words of some texts the run has vectors for; None where its text encoder does not go by words."""
        words = self.model.encoder("text").words
        return cover(words, texts) if words else None

    def covered_gallery(self) -> Coverage | None:
        """`covered` of the first `COUNTED` texts that are searched; None where there are none."""
        if "text" not in self.galleries:
            return None
        items = islice(self.galleries["text"].items.values(), COUNTED)
        return self.covered(item["text"] for item in items if "text" in item)

    def gallery(self, query: Medium, wanted: Wanted) -> Gallery:
        """Where a query of one medium looks.

        Raises:
            DataError: there is no gallery of the medium that is wanted.
        """
        other: Medium = "image" if query == "text" else "text"
        medium = other if wanted == "other" else wanted
        if wanted == "other" and len(self.galleries) == 1:
            (medium,) = self.galleries
        if medium not in self.galleries:
            raise DataError(f"{self.origin}: holds no {medium}s")
        return self.galleries[medium]


def searcher_of_target(
    model: TrainedModel,
    media: tuple[Medium, ...] = MEDIA,
    *,
    split: Split | Literal["all"] = "all",
    index: str = "exact",
    options: Mapping[str, Any] | None = None,
) -> Searcher:
    """The data set that a run was trained for, encoded now: no index folder is needed.

    Args:
        media: what shall be found.

    Raises:
        DataError: the data set is not there any more, or the split is empty.
    """
    context = IndexContext(dim=model.dim, seed=model.config.seed)
    galleries = {one: new_gallery(one, index, options or {}, context, model.context.registry) for one in media}
    data = model.target()
    # Split by split, as training did, so that the features it left in the cache are found there.
    splits = [name for name in SPLITS if split in ("all", name)]
    for medium, gallery in galleries.items():
        groups = [data.split(name) for name in splits] + ([data.lone(medium)] if "train" in splits else [])
        if not any(groups):
            raise DataError(f"{data.origin}: split '{split}' is empty")
        for pairs in filter(None, groups):
            if medium == "image":
                rows = model.encode_images([pair.image_item for pair in pairs], cache=True)
            else:
                rows = model.encode_texts([pair.text_item for pair in pairs], cache=True)
            listing = of_pairs(data.origin, Path(), pairs, medium, pictures=not model.by_id("image"))
            gallery.add([entry.as_json() for entry in listing.entries], rows)
    return Searcher(model, galleries, data.origin)
