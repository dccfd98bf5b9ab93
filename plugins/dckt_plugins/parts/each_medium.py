"""What parts share that have a classifier of each medium's own features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, Protocol, Self, TypeVar

from torch import Tensor

from dckt_core import MEDIA, Formula, Medium, Value
from dckt_plugins.parts.logistic import named, under


class Classifier(Protocol):
    """Features of one medium [n, d] to class probabilities [n, C]."""

    def __call__(self, features: Tensor) -> Tensor: ...

    def formula(self, features: Value, note: Formula) -> Value:
        """What calling it computes."""

    def state_dict(self) -> dict[str, Tensor]: ...

    @classmethod
    def of_state(cls, state: Mapping[str, Tensor]) -> Self:
        """What `state_dict` gave."""


C = TypeVar("C", bound=Classifier)


class EachMediumPart(Generic[C]):
    """Class probabilities of each medium by itself; who fits it fills `_of`.

    Args:
        kind: of both classifiers.
    """

    def __init__(self, kind: type[C]) -> None:
        self._kind = kind
        self._of: dict[Medium, C] = {}

    def rows(self, medium: Medium, features: Tensor, before: Mapping[str, Tensor]) -> Tensor:
        """Features [n, d] to class probabilities [n, C]."""
        return self._of[medium](features.cpu())

    def formula(self, medium: Medium, features: Value, before: Mapping[str, Value], note: Formula) -> Value:
        """What `rows` computes."""
        return self._of[medium].formula(features, note)

    def state_dict(self) -> dict[str, Tensor]:
        return named({medium: self._of[medium].state_dict() for medium in MEDIA})

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self._of = {medium: self._kind.of_state(under(state, medium)) for medium in MEDIA}
