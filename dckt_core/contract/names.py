"""What the method's networks and their layers are called wherever they are named: in configurations, files, charts.

No torch in here. Media, sides and splits stand in `pairs`; tasks in `evaluation.directions`.
"""

from __future__ import annotations

from dckt_core.contract.pairs import ROLES

NETWORKS: tuple[str, ...] = (*ROLES, "control")
"""Of a training: those of both domains, and the target's twin that learns without the source."""

LAYERS = ("image_fc6", "image_fc7", "text_fc6", "text_fc7", "common_fc8", "common_fc9")
"""That a discrepancy may be attached to, in their order."""


def is_common(layer: str) -> bool:
    """Whether both media pass a layer: its output has the images' rows, then the texts'."""
    return layer.startswith("common_")
