"""The common space of a training: its parts are fitted, and validation chooses among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from dckt_core.contract.pairs import Medium
from dckt_core.contract.protocols import PartContext, Representation
from dckt_core.data.contents import contents_of
from dckt_core.data.domain import SplitData
from dckt_core.evaluation.scoring import Score, chooses_by, pair_aps, score_view
from dckt_core.space.material import FittingMaterial
from dckt_core.space.parts import ChosenPart
from dckt_core.space.space import Space

NO_SHARED_SPACE = "features of images and of texts do not lie in one space"
"""Why what compares them as they are steps aside."""


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
    """The common space as validation chose it, and its score there; None where there are too few validation pairs.

    Without labels validation tells who finds whose partner, which says little of classes: no part is chosen by that.
    What has to earn its place is left out then, and the others stay.

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
    kind = chooses_by(validation)
    if kind != "map":
        unproven = [name for name in optional if name in space.description.weights]
        if len(unproven) < len(space.description.weights):
            space = space.without(unproven)
    if validation is None or kind is None:
        return space, None
    rows = (validation.labels >= 0).nonzero().squeeze(1) if kind == "map" else torch.arange(len(validation))
    views: dict[Medium, Tensor] = {
        "image": validation.image[rows].to(device),
        "text": validation.text[rows].to(device),
    }
    labels, pairs = validation.labels[rows], [validation.pairs[row] for row in rows.tolist()]

    def score(view: Representation) -> Score:
        return score_view(view, labels, pairs)

    if kind == "map":
        among, pictures = {part.name: part.among for part in chosen}, contents_of(pairs).pictures
        space = space.choose(optional, margin, lambda view: _picture_aps(view, labels, pictures), views, among)
    return space, score(space.represent(views["image"], views["text"]))


def _picture_aps(view: Representation, labels: Tensor, pictures: Tensor) -> Tensor:
    """The mean AP of each picture's pairs, both directions: pairs that share one are no independent witnesses."""
    numbers: Tensor = torch.unique(pictures, return_inverse=True)[1]
    counts = torch.bincount(numbers)
    sums = torch.zeros(len(counts), dtype=torch.float64)
    return sums.index_add(0, numbers, pair_aps(view, labels).mean(dim=1)) / counts
