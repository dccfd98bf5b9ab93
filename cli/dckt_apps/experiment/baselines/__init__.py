"""Methods that learn from the target alone, on the features of frozen encoders: what a transfer has to beat.

Each is a function `(target, generator) -> Fitted`, in a file of its own. Whatever a method chooses (a penalty, a number
of components, an epoch) it chooses by mAP on the validation split, from a grid that its file states.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dckt_apps.experiment.baselines.fitting import Baseline

BASELINES = {
    "semantic-matching": "logistic regression a medium, cosine of class probabilities",
    "nearest-class-mean": "cosine to each class's mean a medium, as class probabilities",
    "cca": "canonical correlation analysis of principal components",
    "pls": "canonical partial least squares",
    "dscmr": "deep supervised cross-modal retrieval (Zhen et al., CVPR 2019)",
}
"""What there is, by name."""


def find_baseline(name: str) -> Baseline:
    """The function of a baseline."""
    module = import_module(f"dckt_apps.experiment.baselines.{name.replace('-', '_')}")
    fit: Baseline = module.fit
    return fit
