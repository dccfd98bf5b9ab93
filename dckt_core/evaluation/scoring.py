"""mAP of a split across media, in both directions: what choices are made on, and what a run reports in the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dckt_core.contract.protocols import Representation
from dckt_core.data.domain import SplitData
from dckt_core.evaluation.ranking import average_precisions, bootstrap_interval, chance_ap
from dckt_core.evaluation.views import Encodes, represent

DIRECTIONS = ("image_to_text", "text_to_image")


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


def score(network: Encodes, data: SplitData, device: torch.device) -> Score:
    """Scores what is in eval mode on a split; relevant = same class, the own pair is a legitimate hit."""
    return Score(*pair_aps(represent(network, data, device), data.labels).mean(dim=0).tolist())


def pair_aps(view: Representation, labels: Tensor) -> Tensor:
    """AP of each pair's image against all texts and of its text against all images: [N, 2], float64."""
    image = average_precisions(view.image, view.text, labels, labels)
    text = average_precisions(view.text, view.image, labels, labels)
    return torch.stack([image, text], dim=1)


def compare(views: Mapping[str, Representation], labels: Tensor, generator: torch.Generator) -> dict[str, Any]:
    """mAP of several networks on one split, by chance too, and what `after` gains over the others.

    Intervals are 95 % bootstrap intervals over the split's pairs; a gain's is paired, on the pairs' differences. All
    come from the same resamples, which are the generator's first: `dckt evaluate` draws them again.
    """
    start = generator.get_state()

    def estimate(values: Tensor) -> dict[str, Any]:
        resamples = torch.Generator()
        resamples.set_state(start)
        return {"value": float(values.mean()), "interval": list(bootstrap_interval(values, resamples))}

    aps = {name: pair_aps(view, labels) for name, view in views.items()}
    counts = (labels == labels[:, None]).sum(dim=1)
    chance = float(chance_ap(counts, len(labels)).mean())
    table: dict[str, Any] = {"chance": dict.fromkeys((*DIRECTIONS, "mean"), chance)}
    for name, values in aps.items():
        columns = dict(zip(DIRECTIONS, values.unbind(dim=1), strict=True)) | {"mean": values}
        table[name] = {column: estimate(data) for column, data in columns.items()}
    gain = {name: estimate(aps["after"] - values) for name, values in aps.items() if name != "after"}
    return {"map": table, "gain": gain}
