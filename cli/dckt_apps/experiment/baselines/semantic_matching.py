"""Semantic matching: a linear classifier a medium; the common representation is its vector of class probabilities.

Multinomial logistic regression (scikit-learn) on standardised features. Rasiwasia et al., "A new approach to
cross-modal multimedia retrieval", ACM Multimedia 2010.
"""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

from dckt_apps.experiment.baselines.fitting import Fitted, Material, Represent, Scale
from dckt_core.contract.protocols import Representation

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
"""C, the inverse of the ridge penalty, of each medium by itself; chosen together on validation."""

USUAL = 1e-2
"""C where there is no validation: standardised features of a network are many and need a strong penalty."""

MAX_ITERATIONS = 1000


class Classifier:
    """Class probabilities of one medium's features.

    Args:
        rows, labels: [n, d] and [n].
        classes: the numbers that labels may be; of those that none has the probability is 0.
        c: inverse of the penalty.
    """

    def __init__(self, rows: Tensor, labels: Tensor, classes: int, c: float) -> None:
        from sklearn.linear_model import LogisticRegression

        self.scale, self.classes = Scale.of(rows), classes
        self.model = LogisticRegression(C=c, max_iter=MAX_ITERATIONS).fit(self.scale(rows).numpy(), labels.numpy())

    def __call__(self, rows: Tensor) -> Tensor:
        """Features [n, d] to probabilities [n, C], float64."""
        found = torch.zeros(len(rows), self.classes, dtype=torch.float64)
        if len(rows):
            found[:, self.model.classes_] = torch.from_numpy(self.model.predict_proba(self.scale(rows).numpy()))
        return found


def pair(image: Classifier, text: Classifier) -> Represent:
    """Both media by their classifiers."""
    return lambda images, texts: Representation(image(images), text(texts))


def fit(material: Material) -> Fitted:
    """One classifier a medium for each C, and the pair of them that does best on validation. Draws nothing."""
    classes = material.target.classes
    (image_rows, image_labels), (text_rows, text_labels) = material.labelled("image"), material.labelled("text")
    penalties = PENALTIES if material.judge else (USUAL,)
    images = {c: Classifier(image_rows, image_labels, classes, c) for c in penalties}
    texts = {c: Classifier(text_rows, text_labels, classes, c) for c in penalties}
    candidates = product(penalties, penalties)
    return material.judge.best_of(({"C_image": i, "C_text": t}, pair(images[i], texts[t])) for i, t in candidates)
