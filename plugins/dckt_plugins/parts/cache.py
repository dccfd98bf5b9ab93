"""The part `cache`: classes by their names in a space that encoders share, and by labelled items near by.

After Tip-Adapter (Zhang et al., ECCV 2022), for either medium by itself. With unit features f of an item, n_c of the
names of class c, and f_i of the labelled items with their classes y_i, the logit of c is

    f n_c / temperature  +  alpha * sum over i with y_i = c of exp(-beta (1 - f f_i))

alpha, beta and the temperature are those under which each labelled item is told best by the names and the others: no
validation item is needed, and no test item looked at. Nothing of the features is trained, so a small target cannot be
overfitted. Guards: names must lie nearer to the target's items than shuffled ones; and where the labelled items add
nothing to the names, alpha is 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from dckt_core import Formula, Material, PartContext, StepAsideError, Value
from dckt_plugins.parts.base import by_medium
from dckt_plugins.parts.catalogue import CacheOptions
from dckt_plugins.parts.class_names import class_rows, nearness
from dckt_plugins.parts.each_medium import EachMediumPart

TEMPERATURES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
ALPHAS = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
BETAS = (1.0, 3.0, 5.5, 10.0, 20.0, 40.0)
MOST_KEYS = 20_000
"""Labelled items of a medium; of more, so many are taken, evenly spaced."""
MOST_JUDGED = 2000
FEWEST = 8
"""Items of a medium; nearer than chance means little of fewer."""


@dataclass(frozen=True)
class Scales:
    """What the logits are made with."""

    temperature: float
    alpha: float
    beta: float

    def logits(self, by_name: Tensor, cosines: Tensor, one_hot: Tensor) -> Tensor:
        """Logits [n, C].

        Args:
            by_name: cosines to the names [n, C]; 0 where there are none.
            cosines: to the keys [n, k]; minus infinity for one that is not to be counted.
            one_hot: the keys' classes [k, C].
        """
        return by_name / self.temperature + self.alpha * (self.beta * (cosines - 1)).exp() @ one_hot


class Cache:
    """One medium's items to class probabilities.

    Args:
        names: unit features of the classes' names [C, d]; zeros of a class without one, which has the others' mean.
        keys: unit features of labelled items [k, d].
        labels: their classes [k], int64.
    """

    def __init__(self, names: Tensor, keys: Tensor, labels: Tensor, scales: Scales) -> None:
        self.names, self.keys, self.labels, self.scales = names, keys, labels, scales
        self.named = names.abs().sum(dim=1) > 0
        self.one_hot = F.one_hot(labels, len(names)).float()
        self.told = self.named | (self.one_hot.sum(dim=0) > 0)

    def by_name(self, rows: Tensor) -> Tensor:
        """Cosines of unit rows [n, d] to the names [n, C]."""
        cosines = rows @ self.names.T
        if not bool(self.named.any()):
            return cosines
        return torch.where(self.named, cosines, cosines[:, self.named].mean(dim=1, keepdim=True))

    def __call__(self, features: Tensor) -> Tensor:
        """Features [n, d] to probabilities [n, C]; a class with neither a name nor an item has probability 0."""
        rows = F.normalize(features.float(), dim=1)
        logits = self.scales.logits(self.by_name(rows), rows @ self.keys.T, self.one_hot)
        return logits.masked_fill(~self.told, -torch.inf).softmax(dim=1)

    def formula(self, features: Value, note: Formula) -> Value:
        """What calling it computes."""
        rows, scales, names = note.unit(features), self.scales, self.names
        if bool(self.named.any()):
            names = torch.where(self.named[:, None], names, names[self.named].mean(dim=0))
        untold = torch.zeros(len(names)).masked_fill(~self.told, -torch.inf)
        logits = note.linear(rows, names.T / scales.temperature, untold)
        if len(self.keys) and scales.alpha:
            near = note.exp(note.linear(rows, scales.beta * self.keys.T, torch.full((len(self.keys),), -scales.beta)))
            logits = note.sum([logits, note.linear(near, scales.alpha * self.one_hot)], [1, 1])
        return note.softmax(logits)

    def chosen(self) -> tuple[Cache, float, float]:
        """With the scales under which labelled items are told best by the names and by the others.

        Besides, the mean log-likelihood that they reach, and what the names alone do.
        """
        rows = torch.arange(min(len(self.keys), MOST_JUDGED)) * len(self.keys) // min(len(self.keys), MOST_JUDGED)
        cosines = self.keys[rows] @ self.keys.T
        cosines[torch.arange(len(rows)), rows] = -torch.inf  # an item does not tell itself
        by_name = self.by_name(self.keys[rows])

        def reached(scales: Scales) -> float:
            logits = scales.logits(by_name, cosines, self.one_hot).masked_fill(~self.told, -torch.inf)
            return -float(F.cross_entropy(logits, self.labels[rows]))

        temperatures = TEMPERATURES if bool(self.named.any()) else (1.0,)
        grid = [Scales(t, a, b) for t, a, b in product(temperatures, ALPHAS, BETAS) if a or b == BETAS[0]]
        found = [(reached(scales), scales) for scales in grid]  # of equal ones the first: less of the items
        best, scales = max(found, key=lambda one: one[0])
        alone = max(value for value, tried in found if not tried.alpha)
        return Cache(self.names, self.keys, self.labels, scales), best, alone

    def state_dict(self) -> dict[str, Tensor]:
        scales = torch.tensor([self.scales.temperature, self.scales.alpha, self.scales.beta], dtype=torch.float64)
        return {"names": self.names.clone(), "keys": self.keys, "labels": self.labels, "scales": scales}

    @classmethod
    def of_state(cls, state: Mapping[str, Tensor]) -> Cache:
        return cls(state["names"], state["keys"], state["labels"], Scales(*state["scales"].tolist()))


class CachePart(EachMediumPart[Cache]):
    """Class probabilities by names and labelled items."""

    def __init__(self, options: CacheOptions) -> None:
        super().__init__(Cache)
        self._options = options

    def fit(self, material: Material) -> None:
        """Steps aside where fewer than two classes have a name that says something, or labelled items of both media."""
        target = material.target
        if target.classes < 2:
            raise StepAsideError(f"{target.classes} classes of the target are known, and 2 are wanted")
        names = self._names(material)
        for medium, (features, labels) in by_medium(target).items():
            told = (labels >= 0).nonzero().squeeze(1)
            told = told[torch.arange(min(len(told), MOST_KEYS)) * len(told) // max(min(len(told), MOST_KEYS), 1)]
            keys = F.normalize(features[told].float(), dim=1)
            cache = Cache(names, keys, labels[told], Scales(self._options.temperature, 0.0, BETAS[0]))
            if int(cache.told.sum()) < 2:
                raise StepAsideError(f"fewer than two classes have a name or labelled {medium}s")
            if len(told):
                cache, best, alone = cache.chosen()
                if not cache.scales.alpha and not bool(cache.named.any()):
                    raise StepAsideError(
                        f"labelled {medium}s do not tell one another's classes, and there are no names"
                    )
                scales = cache.scales
                material.note(
                    f"{medium}s: alpha {scales.alpha:g}, beta {scales.beta:g}, temperature {scales.temperature:g}: "
                    f"mean log-likelihood of labelled items by the others {best:.2f}, {alone:.2f} without"
                )
            self._of[medium] = cache

    def _names(self, material: Material) -> Tensor:
        """Unit features of the names [C, d]; zeros where they are unknown, or say nothing about the target's items."""
        target = material.target
        rows, known = class_rows(F.normalize(target.names.float(), dim=1), target.name_labels, target.classes)
        names = F.normalize(rows, dim=1)
        items = [F.normalize(features.float(), dim=1)[:MOST_JUDGED] for features, _ in by_medium(target).values()]
        if int(known.sum()) < 2 or min(map(len, items)) < FEWEST:
            return names
        judged = nearness(
            items,
            rows[known],
            lambda given: F.normalize(given, dim=1),
            self._options.temperature,
            material.generator("names"),
        )
        if judged >= self._options.known:
            return names
        material.note(f"items lie no nearer to the names than to shuffled ones ({judged:+.1f} standard deviations)")
        return torch.zeros_like(names)


def build(options: CacheOptions, context: PartContext) -> CachePart:
    return CachePart(options)
