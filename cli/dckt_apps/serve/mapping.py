"""A map of the common space: every image and text as a point of two principal components, in a few bytes each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from dckt_apps.serve.place import Place
from dckt_core.contract.pairs import Medium
from dckt_core.retrieval.gallery import Item

MOST = 50_000
"""Points of a map; of more items, evenly spaced ones are shown."""
FITTED = 5_000
"""Rows that the axes are fitted to, evenly spaced; what the axes carry is measured on all that are shown."""
STEPS = 65_535
"""A coordinate is a whole number from 0 to this."""
NO_CLASS = 65_535


@dataclass(frozen=True)
class Map:
    """Points in the order of the galleries, images first.

    Attributes:
        items: of each point its medium and what is known of it.
        places: [n, 2], int32 in [0, STEPS], both axes to one scale.
        labels: classes, the largest first, as the points' classes count them.
        total: how many items there are; a map shows at most `MOST`.
        explained: share of the shown rows' variance along each axis.
    """

    items: list[tuple[Medium, Item]]
    places: Tensor
    labels: list[str]
    total: int
    explained: tuple[float, float]

    @cached_property
    def about(self) -> dict[str, Any]:
        """What there is to know before the points come."""
        counts = Counter(medium for medium, _ in self.items)
        return {
            "images": counts["image"],
            "texts": counts["text"],
            "total": self.total,
            "explained": self.explained,
            "classes": self.labels,
        }

    @cached_property
    def points(self) -> bytes:
        """All across, then all up, then all classes, each 16 bits, little-endian; NO_CLASS where there is none."""
        numbers = {label: number for number, label in enumerate(self.labels)}
        classes = [numbers.get(item.get("label", ""), NO_CLASS) for _, item in self.items]
        values = torch.cat([self.places.T.flatten(), torch.tensor(classes, dtype=torch.int32)])
        return values.numpy().astype("<u2").tobytes()


def make_map(place: Place) -> Map:
    """The map of all that a run or an index holds.

    Raises:
        UsageError: its index does not give its vectors.
    """
    media = [(medium, *place.searcher.galleries[medium].stored()) for medium in place.media]
    total = sum(len(items) for _, items, _ in media)
    shown: list[tuple[Medium, Item]] = []
    rows = []
    for medium, items, vectors in media:
        chosen = _spaced(len(items), MOST * len(items) // total if total > MOST else len(items))
        shown += [(medium, items[number]) for number in chosen.tolist()]
        rows.append(vectors[chosen])
    flat, explained = project(torch.cat(rows))
    counts = Counter(item["label"] for _, item in shown if "label" in item)
    labels = [label for label, _ in counts.most_common(NO_CLASS)]
    return Map(shown, _in_steps(flat), labels, total, explained)


def project(rows: Tensor) -> tuple[Tensor, tuple[float, float]]:
    """Rows [n, d] by their first two principal components: [n, 2], and the share of the variance along each.

    The axes are those of at most `FITTED` evenly spaced rows, by the eigenvectors of their covariance. An axis may
    point either way; here its entry that is largest in size is positive.
    """
    some = rows[_spaced(len(rows), min(len(rows), FITTED))].double()
    some = some - some.mean(dim=0)
    _, vectors = torch.linalg.eigh(some.T @ some)
    axes = vectors.flip(1)[:, :2]
    axes = axes * axes.gather(0, axes.abs().argmax(dim=0, keepdim=True)).sign()
    if axes.shape[1] < 2:
        axes = torch.cat([axes, axes.new_zeros(len(axes), 2 - axes.shape[1])], dim=1)
    mean = rows.mean(dim=0)
    variance = float(rows.var(dim=0, correction=0).double().sum())
    flat = (rows - mean).double() @ axes
    along = flat.var(dim=0, correction=0) / variance if variance > 0 else flat.new_zeros(2)
    return flat, (float(along[0]), float(along[1]))


def _in_steps(flat: Tensor) -> Tensor:
    """Points [n, 2] in whole steps, int32, both axes to one scale, the narrower one in the middle."""
    least, most = flat.amin(dim=0), flat.amax(dim=0)
    span = float((most - least).max()) or 1.0
    middle = (least + most) / 2
    return (((flat - middle) / span + 0.5) * STEPS).round().clamp(0, STEPS).int()


def _spaced(count: int, wanted: int) -> Tensor:
    """Of the numbers 0 to count - 1 so many, ascending and evenly spaced, int64."""
    return torch.arange(wanted) * count // max(wanted, 1)
