"""Semantic matching: a linear classifier a medium; the common representation is its vector of class probabilities.

Multinomial logistic regression (scikit-learn) on standardised features. Rasiwasia et al., "A new approach to
cross-modal multimedia retrieval", ACM Multimedia 2010.
"""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

from dckt_apps.experiment.baselines.fitting import Fitted, Represent, Sample, Scale, best_of
from dckt_core.contract.protocols import Representation

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
"""C, the inverse of the ridge penalty, of each medium by itself; chosen together, by mAP on validation."""

MAX_ITERATIONS = 1000


class Classifier:
    """Class probabilities of one medium's features."""

    def __init__(self, rows: Tensor, labels: Tensor, c: float) -> None:
        from sklearn.linear_model import LogisticRegression

        self.scale = Scale.of(rows)
        self.model = LogisticRegression(C=c, max_iter=MAX_ITERATIONS).fit(self.scale(rows).numpy(), labels.numpy())

    def __call__(self, rows: Tensor) -> Tensor:
        """Features [n, d] to probabilities [n, C], float64."""
        return torch.from_numpy(self.model.predict_proba(self.scale(rows).numpy()))


def fit(train: Sample, val: Sample, generator: torch.Generator) -> Fitted:
    """One classifier a medium for each C, and the pair of them that does best on validation. Draws nothing."""
    images = {c: Classifier(train.image, train.labels, c) for c in PENALTIES}
    texts = {c: Classifier(train.text, train.labels, c) for c in PENALTIES}

    def pair(image: Classifier, text: Classifier) -> Represent:
        return lambda images, texts: Representation(image(images), text(texts))

    candidates = product(PENALTIES, PENALTIES)
    return best_of((({"C_image": i, "C_text": t}, pair(images[i], texts[t])) for i, t in candidates), val)
