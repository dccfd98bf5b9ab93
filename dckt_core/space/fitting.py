"""The common space of a training: its parts are fitted, and validation chooses among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from dckt_core.contract.pairs import Medium
from dckt_core.contract.protocols import PartContext, Representation
from dckt_core.data.domain import SplitData
from dckt_core.evaluation.scoring import Score, score_view
from dckt_core.space.material import FittingMaterial
from dckt_core.space.parts import ChosenPart
from dckt_core.space.space import Space

MIN_VALIDATION = 2
"""Labelled validation pairs; with fewer there is no ranking to choose by."""


def fit_space(
    chosen: Sequence[ChosenPart],
    context: PartContext,
    material: FittingMaterial,
    *,
    aside: Mapping[str, str],
    validation: SplitData | None,
    margin: float,
    device: torch.device,
) -> tuple[Space, Score | None]:
    """The common space as validation chose it, and its score there; None where too little is labelled.

    Args:
        aside: parts that step aside before they are asked, and why.
        validation: the target's validation pairs, where there are any.
        margin: as of `Space.choose`.
        device: where the networks that parts build on are.

    Raises:
        NothingToLearnError: every part steps aside.
        PluginError: a part broke its contract.
    """
    space = Space.fit(chosen, context, material, aside)
    optional = [part.name for part in chosen if part.earn]
    rows = torch.arange(0) if validation is None else (validation.labels >= 0).nonzero().squeeze(1)
    if validation is None or len(rows) < MIN_VALIDATION:
        unproven = [name for name in optional if name in space.description.weights]
        return (space.without(unproven) if len(unproven) < len(space.description.weights) else space), None
    views: dict[Medium, Tensor] = {
        "image": validation.image[rows].to(device),
        "text": validation.text[rows].to(device),
    }
    labels, pairs = validation.labels[rows], [validation.pairs[row] for row in rows.tolist()]

    def score(view: Representation) -> Score:
        return score_view(view, labels, pairs)

    space = space.choose(optional, margin, lambda view: score(view).mean, views)
    return space, score(space.represent(views["image"], views["text"]))
