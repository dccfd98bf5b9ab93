"""The parts in the box, with what they take. No torch in here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Gt, Le

from dckt_core import PartSpec, hookimpl


@dataclass(frozen=True)
class CorrelationOptions:
    """What `correlation` takes."""

    width: Annotated[int, Gt(0), Le(2**20), "how many correlations"] = 128
    ridge: Annotated[float, Gt(0), Le(1e38), "ridge, in variances of a standardised feature"] = 0.5


@dataclass(frozen=True)
class LinearOptions:
    """What `linear` takes."""

    c: Annotated[float, Gt(0), Le(1e6), "inverse strength of the L2 penalty"] = 0.01


@hookimpl
def dckt_parts() -> list[PartSpec[Any]]:
    return [
        PartSpec(
            name="target-network",
            summary="the target network's class probabilities: the published method's representation",
            build="dckt_plugins.parts.network:build_target",
            api="1.0",
            networks=True,
            classes=True,
        ),
        PartSpec(
            name="source-network",
            summary="the source network's class probabilities: what an item would be among the source's classes",
            build="dckt_plugins.parts.network:build_source",
            api="1.0",
            networks=True,
        ),
        PartSpec(
            name="linear",
            summary="a linear classifier of each medium's features, trained on the target's labelled items",
            options=LinearOptions,
            build="dckt_plugins.parts.linear:build",
            api="1.0",
            classes=True,
        ),
        PartSpec(
            name="correlation",
            summary="canonical correlations of images and texts over the training pairs of both domains",
            options=CorrelationOptions,
            build="dckt_plugins.parts.correlation:build",
            api="1.0",
        ),
    ]
