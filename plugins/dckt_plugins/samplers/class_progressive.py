"""`class-progressive`: classes of either domain that lie farthest from the other wait, fewer each iteration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from dckt_core import ROLES, SamplerContext, SamplerState, Selection
from dckt_plugins.samplers.catalogue import ClassProgressiveOptions

LAYER = "common_fc9"
"""Where class means are taken: the last layer that both domains share the shape of, all media together."""


class ClassProgressive:
    """Keeps nothing between iterations."""

    def __init__(self, options: ClassProgressiveOptions, context: SamplerContext) -> None:
        self._drop, self._iterations = options.drop, context.iterations

    def select(self, state: SamplerState, /) -> Selection:
        share = dropped_share(state.iteration, self._iterations, self._drop)
        rows = {domain: state.layer(domain, LAYER).double() for domain in ROLES}
        labels = {"source": state.source_labels, "target": state.labels}
        both_media = {domain: values.repeat(2) for domain, values in labels.items()}
        kept, distance = {}, {}
        for domain, other in (ROLES, ROLES[::-1]):
            classes, far = class_distances(rows[domain], both_media[domain], rows[other], both_media[other])
            count = max(1, len(classes) - int(share * len(classes)))
            near = classes[torch.argsort(far, stable=True)[:count]]
            kept[domain] = torch.isin(labels[domain], near).nonzero().squeeze(1)
            distance[domain] = far[torch.searchsorted(classes, labels[domain])]
        return Selection(
            indices=kept["target"],
            source_indices=kept["source"],
            details={"class_distance": distance["target"]},
        )

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None: ...


def dropped_share(iteration: int, iterations: int, drop: float) -> float:
    """From `drop` in iteration 1 to 0 in the last, in equal steps; `drop` throughout where there is only one."""
    return drop if iterations == 1 else drop * (iterations - iteration) / (iterations - 1)


def class_distances(rows: Tensor, labels: Tensor, others: Tensor, other_labels: Tensor) -> tuple[Tensor, Tensor]:
    """The classes present [c] and, for each, its mean's Euclidean distance to the other domain's nearest class mean.

    rows [n, d] with labels [n]; others [m, d] with other_labels [m].
    """
    present, own = torch.unique(labels, return_inverse=True)
    other_present, other = torch.unique(other_labels, return_inverse=True)
    means = _means(rows, own, len(present))
    other_means = _means(others, other, len(other_present))
    return present, torch.cdist(means, other_means).amin(dim=1)


def _means(rows: Tensor, groups: Tensor, count: int) -> Tensor:
    sums = rows.new_zeros(count, rows.shape[1], dtype=rows.dtype).index_add_(0, groups, rows)
    return sums / groups.bincount(minlength=count)[:, None]
