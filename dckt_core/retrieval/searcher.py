"""Queries in, items out: a trained run's encoders before galleries of what it encoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from dckt_core.base.errors import ArgumentError, DataError, UsageError
from dckt_core.contract.pairs import MEDIA, SPLITS, Medium, Split
from dckt_core.contract.protocols import IndexContext
from dckt_core.data.coverage import Coverage, cover
from dckt_core.evaluation.calibration import Calibration
from dckt_core.io.text import shown
from dckt_core.retrieval.encode import encode
from dckt_core.retrieval.gallery import Gallery, Hit, Hits, new_gallery
from dckt_core.retrieval.listing import of_pairs
from dckt_core.retrieval.neighbours import Hubness, expanded, hubness, nearest
from dckt_core.retrieval.query import EMPTY, Joined, Query, parts, wanted_by
from dckt_core.retrieval.refine import AS_IT_IS, Refine
from dckt_core.runs.model import TrainedModel

COUNTED = 5_000
"""Texts of a gallery whose words are counted, about: a share is known well by as many, and in a moment."""

Wanted = Literal["other", "image", "text"]
"""The medium to find. `other` is what `wanted_by` says, or the only one that there is."""


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
    _hubness: dict[tuple[Medium, Medium, int], Hubness] = field(default_factory=dict, repr=False, compare=False)

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
        refine: Refine = AS_IT_IS,
    ) -> list[Hits]:
        """The k nearest items of each text, best first; equal cosines in the order of the gallery.

        Args:
            threshold: leave out what is less probable than this, in [0, 1].
            insist: answer even for a text of which the run knows no word; its hits are as probable as by chance.
            refine: which items may be found, and how they are ranked.

        Raises:
            UsageError: a text is empty, there are no probabilities for a threshold, or no item may be found.
            ArgumentError: the threshold is no probability.
            NothingKnownError: the run knows none of the words of a text.
            DataError: there is no such gallery.
        """
        for number, text in enumerate(texts, start=1):
            if not text.strip() and len(texts) > 1:
                raise UsageError(f"{EMPTY} (text {number})")
        queries = [Query(text=text) for text in texts]
        return self.find(queries, k, medium=medium, threshold=threshold, insist=insist, refine=refine)

    def search_images(
        self,
        images: Sequence[Path | str],
        k: int = 10,
        *,
        medium: Wanted = "other",
        threshold: float | None = None,
        refine: Refine = AS_IT_IS,
    ) -> list[Hits]:
        """The k nearest items of each image file, as for texts.

        Raises:
            UsageError: there are no probabilities for a threshold, or no item may be found.
            DataError: an image cannot be read, or there is no such gallery.
        """
        queries = [Query(image=Path(image)) for image in images]
        return self.find(queries, k, medium=medium, threshold=threshold, refine=refine)

    def search_features(
        self,
        features: Tensor,
        of: Medium,
        k: int = 10,
        *,
        medium: Wanted = "other",
        threshold: float | None = None,
        refine: Refine = AS_IT_IS,
    ) -> list[Hits]:
        """The k nearest items of each row [q, d] of images or texts, as the run's frozen encoder gives them.

        Raises:
            ArgumentError: they are no such rows, or the encoder trains along.
            UsageError: there are no probabilities for a threshold, or no item may be found.
            DataError: there is no such gallery.
        """
        queries = [Query(features=row, of=of) for row in features]
        return self.find(queries, k, medium=medium, threshold=threshold, refine=refine)

    def search_like(
        self,
        ids: Sequence[str],
        k: int = 10,
        *,
        of: Medium | None = None,
        medium: Wanted = "other",
        threshold: float | None = None,
        refine: Refine = AS_IT_IS,
    ) -> list[Hits]:
        """The k nearest items of each item that is searched, by id, which is left out of its own answer.

        Args:
            of: what the items are; None for images, or texts where no image has the id.
            medium: what to find; by default what the items are.

        Raises:
            UsageError: no item has an id, the index does not give its vectors, or as above.
        """
        queries = [self.like(id_, of) for id_ in ids]
        return self.find(queries, k, medium=medium, threshold=threshold, refine=refine)

    def search(self, queries: Tensor, medium: Medium, k: int = 10, *, refine: Refine = AS_IT_IS) -> list[Hits]:
        """The k nearest items of a medium for common representations [q, D] of whatever medium, so without
        probabilities.
        """
        return self._found(self.gallery(medium), queries, None, k, None, refine)

    def like(self, id_: str, of: Medium | None = None) -> Query:
        """An item that is searched, as a query; arguments and errors as of `search_like`."""
        for medium in MEDIA if of is None else (of,):
            if medium in self.galleries and id_ in self.galleries[medium].items:
                return Query(like=id_, of=medium)
        raise UsageError(f"{self.origin}: no {of or 'item'} has the id {shown(id_)}")

    def find(
        self,
        queries: Sequence[Query | Joined],
        k: int = 10,
        *,
        medium: Wanted = "other",
        threshold: float | None = None,
        insist: bool = False,
        refine: Refine = AS_IT_IS,
    ) -> list[Hits]:
        """The k nearest items of each query, whatever it is; arguments and errors as of the functions above."""
        if threshold is not None and not 0 <= threshold <= 1:
            raise ArgumentError(f"threshold: {threshold!r} is no probability from 0 to 1")
        if not insist:
            texts = [one.text for query in queries for one in parts(query) if one.text is not None]
            self.model.refuse_unknown(texts)
        alike: dict[tuple[Medium, Medium | None], list[int]] = {}
        for number, query in enumerate(queries):
            of = query.medium if isinstance(query, Query) else None
            alike.setdefault((self.wanted(query, medium), of), []).append(number)
        rows = encode(queries, self.model, self.galleries)
        answers: list[Hits] = [Hits() for _ in queries]
        for (found, of), numbers in alike.items():
            own = [{one.like for one in parts(queries[number]) if one.like and one.of == found} for number in numbers]
            blind = {row for row, number in enumerate(numbers) if self._is_blind(queries[number])}
            hits = self._found(self.galleries[found], rows[numbers], of, k, threshold, refine, own, blind)
            for number, one in zip(numbers, hits, strict=True):
                answers[number] = one
        return answers

    def _is_blind(self, query: Query | Joined) -> bool:
        """Whether it is a text of which the run knows nothing."""
        return isinstance(query, Query) and query.text is not None and not self.model.knows(query.text)

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

    def _found(
        self,
        gallery: Gallery,
        queries: Tensor,
        of: Medium | None,
        k: int,
        threshold: float | None,
        refine: Refine,
        without: Sequence[Collection[str]] | None = None,
        blind: Collection[int] = (),
    ) -> list[Hits]:
        """What is nearest to queries [q, D], with probabilities where the run has learnt them.

        Args:
            of: what they are of; None where that is not one medium.
            blind: rows of the queries whose cosines say nothing.
        """
        calibration = self.calibration(of, gallery.medium) if of is not None and not refine.expand else None
        if calibration is None and threshold is not None:
            raise UsageError(f"a threshold needs probabilities, and {self._why_none(of, gallery.medium, refine)}")
        how: dict[str, Any] = {"admitted": refine.admitted(gallery), "without": without if any(without or ()) else None}
        how["hubs"] = self._hubs(gallery, of, refine.csls) if refine.csls else None
        if refine.expand:
            queries = expanded(gallery, queries, nearest(gallery, queries, refine.expand, **how))
        if calibration is None:
            return nearest(gallery, queries, k, **how)
        least = threshold or 0.0

        def probabilities(hits: Sequence[Hit]) -> list[float]:
            values: list[float] = calibration.probability(
                torch.tensor([hit.cosine for hit in hits]), len(gallery)
            ).tolist()
            return values

        if least and refine.csls:  # which ranks by another figure, so that the likely ones need not come first
            how["likely"] = lambda hits: [one >= least for one in probabilities(hits)]
        chance, told = calibration.by_chance(len(gallery)), []
        for row, hits in enumerate(nearest(gallery, queries, k, **how)):
            sure = [chance for _ in hits] if row in blind else probabilities(hits)
            told.append(Hits(replace(hit, probability=p) for hit, p in zip(hits, sure, strict=True) if p >= least))
        return told

    def _why_none(self, of: Medium | None, found: Medium, refine: Refine) -> str:
        """Why hits have no probabilities."""
        if of is None:
            return "those of queries that are joined are not learnt"
        if of == found:
            return f"those of {of}s that look for {of}s are not learnt"
        if self.calibration(of, found) is not None and refine.expand:
            return "those of queries that are expanded are not learnt"
        return f"{self.model.run_dir} ('{self.model.checkpoint}') has learnt none on validation pairs"

    def _hubs(self, gallery: Gallery, of: Medium | None, k: int) -> Hubness:
        """What is held against the items of a gallery, for queries of one medium, made when first asked for."""
        other: Medium = "image" if gallery.medium == "text" else "text"
        bank = self.galleries.get(of or other, gallery)
        key = (gallery.medium, bank.medium, k)
        if key not in self._hubness:
            self._hubness[key] = hubness(gallery, bank, k, self.model.context.progress)
        return self._hubness[key]

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
        """`covered` of the texts that are searched, of many of about `COUNTED` evenly spaced ones; None without any."""
        if "text" not in self.galleries:
            return None
        gallery = self.galleries["text"]
        items = islice(gallery.items.values(), 0, None, -(-len(gallery) // COUNTED) or 1)
        return self.covered(item["text"] for item in items if "text" in item)

    def wanted(self, query: Query | Joined, medium: Wanted = "other") -> Medium:
        """What a query finds.

        Raises:
            DataError: there is no gallery of it.
        """
        found: Medium = wanted_by(parts(query)) if medium == "other" else medium
        if medium == "other" and len(self.galleries) == 1:
            (found,) = self.galleries
        return self.gallery(found).medium

    def gallery(self, medium: Medium) -> Gallery:
        """The items of a medium.

        Raises:
            DataError: there are none.
        """
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
