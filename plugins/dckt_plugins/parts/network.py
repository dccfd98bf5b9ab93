"""The method's own networks as parts of the common space: their class probabilities."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from dckt_core import Formula, Material, Medium, PartContext, Role, Value


class NetworkPart:
    """What one of the two networks gives.

    Args:
        role: whose network.
    """

    def __init__(self, role: Role, context: PartContext) -> None:
        self._network = context.networks[role]

    def fit(self, material: Material) -> None:
        """It was trained before."""

    def rows(self, medium: Medium, features: Tensor, before: Mapping[str, Tensor]) -> Tensor:
        """Inputs [n, ...] to class probabilities [n, C]."""
        if medium == "image":
            return self._network.represent(features, None).image
        return self._network.represent(None, features).text

    def formula(self, medium: Medium, features: Value, before: Mapping[str, Value], note: Formula) -> Value | None:
        """What the network says of itself."""
        say = getattr(self._network, "formula", None)
        value: Value | None = say(medium, features, note) if callable(say) else None
        return value

    def state_dict(self) -> dict[str, Tensor]:
        """Networks have files of their own."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None: ...


def build_target(options: object, context: PartContext) -> NetworkPart:
    return NetworkPart("target", context)


def build_source(options: object, context: PartContext) -> NetworkPart:
    return NetworkPart("source", context)
