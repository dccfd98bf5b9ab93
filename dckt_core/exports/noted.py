"""A common space, one medium at a time, as the steps that it is made of."""

from __future__ import annotations

from dataclasses import dataclass

from dckt_core.base.errors import UsageError
from dckt_core.contract.formula import Formula, Value
from dckt_core.contract.pairs import MEDIA, Medium
from dckt_core.runs.model import TrainedModel
from dckt_core.space.space import Space


@dataclass(frozen=True)
class Noted:
    """One medium's half of a space.

    Attributes:
        width: d, of a row of features.
        dim: D, of an embedding.
        classes: C.
        embeddings, probabilities: values of the formula; None where no part tells classes apart.
    """

    medium: Medium
    formula: Formula
    width: int
    dim: int
    classes: int
    embeddings: Value
    probabilities: Value | None


def note_down(model: TrainedModel) -> list[Noted]:
    """Both halves of a run's common space.

    Raises:
        UsageError: a part cannot be exported, or what was loaded is no common space.
    """
    space = model.space
    if not isinstance(space, Space):
        raise UsageError(f"{model.run_dir}: a common space is exported, and '{model.checkpoint}' is a network")
    halves = []
    for medium in MEDIA:
        formula, embeddings, probabilities = space.formula(medium)
        width, classes = model.encoder(medium).dim, len(model.classes)
        halves.append(Noted(medium, formula, width, space.dim, classes, embeddings, probabilities))
    return halves
