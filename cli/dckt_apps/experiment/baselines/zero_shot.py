"""Zero-shot: what two encoders that share a space say with nothing learnt from the data (Radford et al., ICML 2021).

`zero-shot` compares images and texts by the cosine of their features. `zero-shot-names` compares each with the names of
the classes, put into the configuration's `prompts`; several texts of a class are averaged. The common representation is
softmax(cos(x, name of class c) / T) over the classes c.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dckt_apps.experiment.baselines.fitting import Fitted, Material, Represent
from dckt_apps.experiment.baselines.nearest_class_mean import class_means, probabilities
from dckt_core.base.errors import NothingToLearnError
from dckt_core.contract.protocols import Representation
from dckt_core.space.fitting import NO_SHARED_SPACE

TEMPERATURES = (0.01, 0.02, 0.05, 0.1)
"""T, one for both media, chosen on validation; the first, which is CLIP's own, where there is none."""


def fit(material: Material) -> Fitted:
    """Chooses and draws nothing."""
    _require_same_space(material)
    return Fitted(Representation, {})


def fit_names(material: Material) -> Fitted:
    """The temperature. Draws nothing; a class without a name has probability 0."""
    _require_same_space(material)
    names, labels, classes = material.target.names, material.target.name_labels, material.target.classes
    there = torch.unique(labels)
    if len(there) < 2:
        raise NothingToLearnError(f"it needs names of two classes, and the target has those of {len(there)}")
    means = class_means(F.normalize(names.double(), dim=1), labels)

    def at(temperature: float) -> Represent:
        def spread(rows: Tensor) -> Tensor:
            found = torch.zeros(len(rows), classes, dtype=torch.float64)
            found[:, there] = probabilities(rows.double(), means, temperature)
            return found

        return lambda images, texts: Representation(spread(images), spread(texts))

    return material.judge.best_of(({"temperature": t}, at(t)) for t in TEMPERATURES)


def _require_same_space(material: Material) -> None:
    if not material.same_space:
        raise NothingToLearnError(NO_SHARED_SPACE)
