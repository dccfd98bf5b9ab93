"""Semantic matching with self-training: what it says of the pairs without labels is learnt from, too.

A pair's pseudo-label is the class of the highest product of both media's probabilities, so that each medium teaches the
other (Blum and Mitchell, COLT 1998; Lee, "Pseudo-label", ICML workshop 2013). In round r of R the most confident r/R
of the pairs of each class are taken along, class by class, so that no class eats the others; penalties are those of
semantic matching.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from dckt_apps.experiment.baselines.fitting import Fitted, Material, Represent
from dckt_apps.experiment.baselines.semantic_matching import Classifier, pair
from dckt_apps.experiment.baselines.semantic_matching import fit as match
from dckt_core.base.errors import NothingToLearnError

ROUNDS = 5
"""R. The round that does best on validation is kept, the 0th being semantic matching; the last where there is none."""


def fit(material: Material) -> Fitted:
    """Draws nothing."""
    known = material.target
    without = (known.image_labels[: known.pairs] < 0).nonzero().squeeze(1)
    if not len(without):
        raise NothingToLearnError("there are no unlabelled pairs, without which it is semantic matching")
    first = match(material)
    chosen = {"image": first.choice["C_image"], "text": first.choice["C_text"]}
    labelled = {"image": material.labelled("image"), "text": material.labelled("text")}
    more = {"image": known.images[without], "text": known.texts[without]}

    def rounds() -> Iterator[tuple[Mapping[str, Any], Represent]]:
        represent = first.represent
        yield {"round": 0} | dict(first.choice), represent
        for number in range(1, ROUNDS + 1):
            view = represent(more["image"], more["text"])
            confidence, pseudo = (view.image * view.text).max(dim=1)
            kept = most_confident(confidence, pseudo, number / ROUNDS)
            made = [
                Classifier(
                    torch.cat([labelled[medium][0], more[medium][kept]]),
                    torch.cat([labelled[medium][1], pseudo[kept]]),
                    known.classes,
                    c,
                )
                for medium, c in chosen.items()
            ]
            represent = pair(*made)
            yield {"round": number} | dict(first.choice), represent

    return material.judge.best_of(rounds() if material.judge else reversed(list(rounds())))


def most_confident(confidence: Tensor, pseudo: Tensor, share: float) -> Tensor:
    """Rows of the most confident share of each class, at least one of it: int64, ascending.

    confidence, pseudo: [n], with the pseudo-labels.
    """
    kept = []
    for label in torch.unique(pseudo).tolist():
        rows = (pseudo == label).nonzero().squeeze(1)
        count = max(1, round(share * len(rows)))
        kept.append(rows[confidence[rows].argsort(descending=True, stable=True)[:count]])
    return torch.cat(kept).sort().values
