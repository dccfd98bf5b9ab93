"""Nearest class name: how near an item lies to the names of each class, which are texts.

Names and items are placed by `cca-both`, with its largest numbers of components; texts may be compared with the names
by their standardised features instead, where validation says so. Several names or phrases of a class are averaged. The
common representation is softmax(cos(x, name of class c) / T) over the classes c.
"""

from __future__ import annotations

from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from dckt_apps.experiment.baselines.cca import Analysis
from dckt_apps.experiment.baselines.fitting import Fitted, Material, Represent, Scale
from dckt_apps.experiment.baselines.nearest_class_mean import class_means, probabilities
from dckt_core.base.errors import NothingToLearnError
from dckt_core.contract.protocols import Representation

TEMPERATURES = (0.3, 0.1, 0.05, 0.03)
"""T, one for both media, chosen on validation."""

USUAL = 0.05
"""T where there is no validation; texts are compared by their place then."""


def fit(material: Material) -> Fitted:
    """The temperature, and by what texts are compared with names. Draws nothing."""
    names, labels = material.target.names, material.target.name_labels
    found = len(torch.unique(labels))
    if found < 2:
        raise NothingToLearnError(f"it needs names of two classes, and {found} {'has' if found == 1 else 'have'} one")
    place = Analysis(material, both=True).largest()
    scale = Scale.of(torch.cat([names, material.target.texts]))
    by_place = class_means(F.normalize(place(material.target.images[:0], names).text, dim=1), labels)
    by_features = class_means(F.normalize(scale(names), dim=1), labels)

    def at(temperature: float, texts_by: str) -> Represent:
        def represent(images: Tensor, texts: Tensor) -> Representation:
            placed = place(images, texts)
            text = (placed.text, by_place) if texts_by == "cca" else (scale(texts), by_features)
            return Representation(probabilities(placed.image, by_place, temperature), probabilities(*text, temperature))

        return represent

    grid = product(TEMPERATURES, ("cca", "features")) if material.judge else [(USUAL, "cca")]
    return material.judge.best_of(({"temperature": t, "texts_by": by}, at(t, by)) for t, by in grid)
