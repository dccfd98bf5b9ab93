"""The part `class-names`: what class an item is of by how near it lies to the classes' names in the common space.

Names that the text encoder does not know do harm. So they must lie nearer to the target's items, of both media, than
names with shuffled features: no label is needed to see that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from dckt_core import Formula, Material, Medium, PartContext, StepAsideError, Value
from dckt_kernels import sinkhorn_of_costs
from dckt_plugins.parts.base import by_medium, place, placing_part
from dckt_plugins.parts.catalogue import ClassNameOptions

Anchors = Callable[[Tensor], Tensor]
DRAWS = 20
FEWEST = 8
"""Items of a medium; nearer than chance means little of fewer."""
MOST = 2000


class ClassNamesPart:
    """Class probabilities by names."""

    def __init__(self, options: ClassNameOptions) -> None:
        self._options = options
        self._anchors = torch.zeros(0, 0)
        self._known = torch.zeros(0, dtype=torch.bool)

    def fit(self, material: Material) -> None:
        """Steps aside where names are unknown to the text encoder, or say nothing about the target's items."""
        target = material.target
        base = placing_part(material)
        if not len(target.names):
            raise StepAsideError("no names of the target's classes are known")
        names, known = class_rows(target.names, target.name_labels, target.classes)
        if int(known.sum()) < 2:
            raise StepAsideError(
                f"the text encoder knows the names of {int(known.sum())} of {target.classes} classes, and 2 are wanted"
            )
        if not bool(known.all()):
            material.note(f"the names of {int((~known).sum())} of {target.classes} classes are unknown, and left out")
        items = by_medium(target).items()
        places = [material.rows(base, medium, features[:MOST]) for medium, (features, _) in items]
        if min(map(len, places)) < FEWEST:
            raise StepAsideError(f"names are judged by the target's items, and it has fewer than {FEWEST} of a medium")

        def anchors(rows: Tensor) -> Tensor:
            return F.normalize(material.rows(base, "text", rows), dim=1)

        judged = nearness(places, names[known], anchors, self._options.temperature, material.generator("names"))
        if judged < self._options.known:
            raise StepAsideError(
                "the target's items lie no nearer to the names of their classes than to names with shuffled features "
                f"({judged:+.1f} standard deviations, and {self._options.known:g} are wanted)"
            )
        material.note(f"items lie nearer to the names than to shuffled ones by {judged:.0f} standard deviations")
        self._anchors, self._known = anchors(names), known

    def rows(self, medium: Medium, features: Tensor, before: Mapping[str, Tensor]) -> Tensor:
        """Features [n, d] to class probabilities [n, C]; a class of which no name is known has probability 0."""
        cosines = F.normalize(place(before), dim=1) @ self._anchors.T
        return (cosines / self._options.temperature).masked_fill(~self._known, -torch.inf).softmax(dim=1)

    def formula(self, medium: Medium, features: Value, before: Mapping[str, Value], note: Formula) -> Value:
        """What `rows` computes."""
        unknown = torch.zeros(len(self._known)).masked_fill(~self._known, -torch.inf)
        return note.softmax(note.linear(note.unit(place(before)), self._anchors.T / self._options.temperature, unknown))

    def state_dict(self) -> dict[str, Tensor]:
        return {"anchors": self._anchors, "known": self._known}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self._anchors, self._known = state["anchors"], state["known"]


def class_rows(names: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """The mean features of each class's names [C, d], and which classes have a name that is not all zeros [C]."""
    told = names.abs().sum(dim=1) > 0
    rows = torch.zeros(classes, names.shape[1])
    counts = torch.zeros(classes)
    rows.index_add_(0, labels[told], names[told])
    counts.index_add_(0, labels[told], torch.ones(int(told.sum())))
    return rows / counts.clamp_min(1)[:, None], counts > 0


def nearness(
    places: list[Tensor], names: Tensor, anchors: Anchors, temperature: float, generator: torch.Generator
) -> float:
    """How much nearer items lie to the names, shared out evenly among them, than to names with shuffled features.

    In standard deviations of the shuffled; of the medium for which it is less.

    Args:
        places: unit rows of items, by medium [n, k].
        names: features [c, d]; `anchors` turns them into unit rows [c, k].
    """

    def cost(rows: Tensor) -> Tensor:
        targets = anchors(rows)
        found = []
        for items in places:
            cosines = (items @ targets.T).double()
            shares = sinkhorn_of_costs(-cosines, eps=temperature).shares()
            found.append((shares * cosines).sum(dim=1).mean())
        return torch.stack(found)

    shuffled = [cost(names[:, torch.randperm(names.shape[1], generator=generator)]) for _ in range(DRAWS)]
    chance = torch.stack(shuffled)
    return float(((cost(names) - chance.mean(dim=0)) / chance.std(dim=0).clamp_min(1e-12)).min())


def build(options: ClassNameOptions, context: PartContext) -> ClassNamesPart:
    return ClassNamesPart(options)
