"""The part `neighbours`: query expansion (Chum et al., 2007). An item moves half way towards training items like it.

Where the target's pairs are known it moves to the partners, in the other medium, of its nearest neighbours in its own;
else to those neighbours themselves. Where the target has no training items, the source's serve.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from dckt_core import MEDIA, Formula, Material, Medium, PartContext, StepAsideError, Value
from dckt_plugins.parts.base import by_medium, place, placing_part
from dckt_plugins.parts.catalogue import NeighbourOptions

MOST_KEYS = 20_000
"""Training items of a medium; of more, so many are taken, evenly spaced."""
BLOCK = 1024


class NeighboursPart:
    """Places of expanded items."""

    def __init__(self, options: NeighbourOptions) -> None:
        self._options = options
        self._keys: dict[Medium, Tensor] = {}
        self._paired = False

    def fit(self, material: Material) -> None:
        """Steps aside where there is no part to build on, or there are fewer items than neighbours."""
        base = placing_part(material)
        known = material.target
        if min(len(known.images), len(known.texts)) <= self._options.count:
            known = material.source
            material.note("the source's items, since the target has none, or too few")
        if min(len(known.images), len(known.texts)) <= self._options.count:
            raise StepAsideError(f"there are no more than {self._options.count} training items of each medium")
        paired = known is material.target and known.pairs > self._options.count
        places = {
            medium: material.rows(base, medium, _some(features[: known.pairs] if paired else features))
            for medium, (features, _) in by_medium(known).items()
        }
        self._keys, self._paired = places, paired

    def rows(self, medium: Medium, features: Tensor, before: Mapping[str, Tensor]) -> Tensor:
        """Features [n, d] to unit rows [n, k]."""
        places = F.normalize(place(before), dim=1)
        other: Medium = "text" if medium == "image" else "image"
        values = self._keys[other if self._paired else medium]
        return expand(places, self._keys[medium], values, self._options.count, self._options.power)

    def formula(self, medium: Medium, features: Value, before: Mapping[str, Value], note: Formula) -> Value:
        """What `rows` computes."""
        places = note.unit(place(before))
        other: Medium = "text" if medium == "image" else "image"
        values, options = self._keys[other if self._paired else medium], self._options
        found = note.nearest(places, self._keys[medium], values, count=options.count, power=options.power)
        return note.unit(note.sum([places, note.unit(found)], [1, 1]))

    def state_dict(self) -> dict[str, Tensor]:
        return {medium: self._keys[medium] for medium in MEDIA} | {"paired": torch.tensor(self._paired)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self._keys = {medium: state[medium] for medium in MEDIA}
        self._paired = bool(state["paired"])


def expand(queries: Tensor, keys: Tensor, values: Tensor, count: int, power: float) -> Tensor:
    """Unit queries [n, k] moved half way to the mean of the values [m, k] of their nearest keys [m, k].

    power: of the similarity, by which a neighbour counts.
    """
    moved = []
    for start in range(0, len(queries), BLOCK):
        block = queries[start : start + BLOCK]
        similarity, nearest = (block @ keys.T).topk(min(count, len(keys)), dim=1)
        weights = similarity.clamp_min(0) ** power
        mean = (weights[:, :, None] * values[nearest]).sum(dim=1)
        moved.append(F.normalize(block + F.normalize(mean, dim=1), dim=1))
    return torch.cat(moved) if moved else queries


def _some(features: Tensor) -> Tensor:
    """At most `MOST_KEYS` rows, evenly spaced."""
    count = min(len(features), MOST_KEYS)
    return features[torch.arange(count) * len(features) // max(count, 1)]


def build(options: NeighbourOptions, context: PartContext) -> NeighboursPart:
    return NeighboursPart(options)
