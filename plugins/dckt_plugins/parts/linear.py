"""The part `linear`: a linear classifier of each medium's features, which small targets need more than depth."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from dckt_core import Material, Medium, PartContext, StepAsideError
from dckt_plugins.parts.catalogue import LinearOptions
from dckt_plugins.parts.logistic import Logistic


class LinearPart:
    """Class probabilities of each medium by itself."""

    def __init__(self, options: LinearOptions) -> None:
        self._options = options
        self._classifiers: dict[Medium, Logistic] = {}

    def fit(self, material: Material) -> None:
        """Steps aside where one medium has labels of fewer than two classes."""
        target = material.target
        media: dict[Medium, tuple[Tensor, Tensor]] = {
            "image": (target.images, target.image_labels),
            "text": (target.texts, target.text_labels),
        }
        for medium, (features, labels) in media.items():
            known = labels >= 0
            if len(torch.unique(labels[known])) < 2:
                raise StepAsideError(f"the target's {medium}s have labels of fewer than two classes")
            self._classifiers[medium] = Logistic.fit(
                features[known], labels[known], classes=target.classes, c=self._options.c
            )

    def rows(self, medium: Medium, features: Tensor, before: Mapping[str, Tensor]) -> Tensor:
        """Features [n, d] to class probabilities [n, C]."""
        return self._classifiers[medium](features.cpu().float())

    def state_dict(self) -> dict[str, Tensor]:
        return {
            f"{medium}.{name}": value
            for medium, classifier in self._classifiers.items()
            for name, value in classifier.state_dict().items()
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        media: tuple[Medium, ...] = ("image", "text")
        self._classifiers = {medium: Logistic.of_state(state, medium) for medium in media}


def build(options: LinearOptions, context: PartContext) -> LinearPart:
    return LinearPart(options)
