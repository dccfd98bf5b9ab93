"""The number that choices are made on: mAP of a split across media, in both directions."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from dckt_core.data.domain import SplitData
from dckt_core.metrics import average_precisions
from dckt_core.network import DomainNetwork
from dckt_core.training.views import represent


@dataclass(frozen=True)
class Score:
    """mAP in [0, 1]."""

    image_to_text: float
    text_to_image: float

    @property
    def mean(self) -> float:
        return (self.image_to_text + self.text_to_image) / 2

    def as_row(self, network: str) -> dict[str, float]:
        """The score as metrics of a network's: `target_map_mean` and so on."""
        return {
            f"{network}_map_image_to_text": self.image_to_text,
            f"{network}_map_text_to_image": self.text_to_image,
            f"{network}_map_mean": self.mean,
        }


def score(network: DomainNetwork, data: SplitData, device: torch.device) -> Score:
    """Scores a network in eval mode on a split; relevant = same class, the own pair is a legitimate hit."""
    view = represent(network, data, device)
    directions = ((view.image, view.text), (view.text, view.image))
    maps = [average_precisions(queries, gallery, data.labels, data.labels) for queries, gallery in directions]
    return Score(*(float(values.mean()) for values in maps))
