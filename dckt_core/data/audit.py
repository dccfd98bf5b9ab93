"""Labels that are likely wrong, by cross-validated confidence.

Confident learning (Northcutt, Jiang, Chuang, "Confident learning: estimating uncertainty in dataset labels", JAIR
2021): a classifier says of each item, from a fold that it has not learnt from, how probable each class is. A class's
threshold is the mean probability that items of that label have of it. An item counts as confidently of the most
probable class among those whose threshold it reaches; where that is not its label, the label is a suspect. Suspects are
ranked by the normalised margin, the probability of the label less that of the likely class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dckt_core.base.errors import DataError

FOLDS = 5
MIN_OF_CLASS = 5
"""Items that a class needs, those of one group counted once, so that each fold has one of it."""
MIN_CLASSES = 2

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Suspect:
    """An item whose label is likely wrong.

    Attributes:
        row: its number.
        label: the one that it has.
        likely: the class that it confidently is of.
        given: how probable its label is, in [0, 1].
        probability: how probable the likely class is.
    """

    row: int
    label: str
    likely: str
    given: float
    probability: float

    @property
    def margin(self) -> float:
        """In [-1, 0]: the lower, the more suspect."""
        return self.given - self.probability


@dataclass(frozen=True)
class Audit:
    """What came of looking for wrong labels.

    Attributes:
        suspects: the most suspect first.
        items: how many were looked at.
        accuracy: of the classifier on what it has not learnt from, in [0, 1]; where it is low, suspects say little.
        classes: those that were looked at.
        left_out: items of classes that have too few, by class.
    """

    suspects: list[Suspect]
    items: int
    accuracy: float
    classes: tuple[str, ...]
    left_out: Mapping[str, int]


def audit(features: Sequence[Array], labels: Sequence[str], groups: Sequence[Hashable], *, seed: int = 0) -> Audit:
    """Looks for labels that are likely wrong.

    Args:
        features: rows [n, d] of each of one medium or more, whose classifiers' probabilities are averaged.
        labels: [n].
        groups: [n]; items of equal ones, such as the captions of one picture, are in one fold.
        seed: of the division into folds.

    Raises:
        DataError: fewer than two classes have items of five groups.
    """
    sizes = Counter(labels)
    apart = Counter(label for label, _ in set(zip(labels, groups, strict=True)))
    left_out = {label: sizes[label] for label in sorted(sizes) if apart[label] < MIN_OF_CLASS}
    rows = np.array([row for row, label in enumerate(labels) if label not in left_out])
    classes = tuple(sorted(sizes.keys() - left_out.keys()))
    if len(classes) < MIN_CLASSES:
        raise DataError(f"an audit needs {MIN_CLASSES} classes of {MIN_OF_CLASS} items, and there are {len(classes)}")
    place = {label: number for number, label in enumerate(classes)}
    numbers = np.array([place[labels[row]] for row in rows])
    owner: dict[Hashable, int] = {}
    together = np.array([owner.setdefault(groups[row], len(owner)) for row in rows])
    each = [out_of_fold(one[rows], numbers, together, seed) for one in features]
    probabilities = np.mean(each, axis=0)
    suspects = [
        Suspect(
            int(rows[item]),
            classes[numbers[item]],
            classes[likely],
            float(probabilities[item, numbers[item]]),
            float(probabilities[item, likely]),
        )
        for item, likely in enumerate(confident(probabilities, numbers))
        if likely not in (-1, numbers[item])
    ]
    suspects.sort(key=lambda suspect: suspect.margin)
    accuracy = float((probabilities.argmax(axis=1) == numbers).mean())
    return Audit(suspects, len(rows), accuracy, classes, left_out)


def confident(probabilities: Array, labels: Array) -> Array:
    """The class that each item is confidently of, or -1 where it reaches no class's threshold: [n].

    Args:
        probabilities: [n, k], from folds that were not learnt from.
        labels: [n], numbers of classes, each of which occurs.
    """
    thresholds = np.array([probabilities[labels == number, number].mean() for number in range(probabilities.shape[1])])
    reached = np.where(probabilities >= thresholds, probabilities, -1.0)
    found: Array = np.where(reached.max(axis=1) >= 0, reached.argmax(axis=1), -1)
    return found


def out_of_fold(rows: Array, labels: Array, groups: Array, seed: int) -> Array:
    """Probabilities [n, k] of logistic regression on standardised features, from folds without an item's group."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=10 / rows.shape[1], max_iter=1000))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    found: Array = cross_val_predict(model, rows, labels, groups=groups, cv=folds, method="predict_proba")
    return found
