"""A classifier of each medium's own features: the parts `linear` (the target's classes) and `source-classes`."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from dckt_core import Formula, Material, PartContext, Role, StepAsideError, Value
from dckt_plugins.parts.base import by_medium
from dckt_plugins.parts.catalogue import ClassifierOptions
from dckt_plugins.parts.cca import Scale
from dckt_plugins.parts.each_medium import EachMediumPart
from dckt_plugins.parts.logistic import Logistic, named


class MediumClassifier:
    """Standardised features of one medium [n, d] to class probabilities [n, C]."""

    def __init__(self, scale: Scale, logistic: Logistic) -> None:
        self.scale, self.logistic = scale, logistic

    @classmethod
    def fit(
        cls,
        features: Tensor,
        labels: Tensor,
        *,
        classes: int,
        c: float,
        weights: Tensor | None = None,
        scale: Scale | None = None,
    ) -> MediumClassifier:
        scale = scale or Scale.of(features)
        return cls(scale, Logistic.fit(scale(features), labels, classes=classes, c=c, weights=weights))

    def __call__(self, features: Tensor) -> Tensor:
        return self.logistic(self.scale(features))

    def formula(self, features: Value, note: Formula) -> Value:
        """What calling it computes."""
        return self.logistic.formula(note.standardise(features, self.scale.mean, self.scale.factor), note)

    def state_dict(self) -> dict[str, Tensor]:
        return {"mean": self.scale.mean, "factor": self.scale.factor, **named({"of": self.logistic.state_dict()})}

    @classmethod
    def of_state(cls, state: Mapping[str, Tensor]) -> MediumClassifier:
        return cls(Scale(state["mean"], state["factor"]), Logistic.of_state(state, "of"))


class ClassifierPart(EachMediumPart[MediumClassifier]):
    """Class probabilities of each medium by itself.

    Args:
        role: whose classes.
    """

    def __init__(self, role: Role, options: ClassifierOptions) -> None:
        super().__init__(MediumClassifier)
        self._role, self._options = role, options

    def fit(self, material: Material) -> None:
        """Steps aside where a medium has labels of fewer than two classes."""
        known = material.source if self._role == "source" else material.target
        for medium, (features, labels) in by_medium(known).items():
            told = labels >= 0
            if len(torch.unique(labels[told])) < 2:
                raise StepAsideError(f"the {self._role}'s {medium}s have labels of fewer than two classes")
            self._of[medium] = MediumClassifier.fit(
                features[told], labels[told], classes=known.classes, c=self._options.c
            )


def build_linear(options: ClassifierOptions, context: PartContext) -> ClassifierPart:
    return ClassifierPart("target", options)


def build_source_classes(options: ClassifierOptions, context: PartContext) -> ClassifierPart:
    return ClassifierPart("source", options)
