"""Other methods, on the same frozen features and draws, and allowed the same material: what a transfer has to beat.

Each is a function `Material -> Fitted`, in a file of its own. Whatever a method chooses (a penalty, a number of
components, an epoch) it chooses on the target's validation pairs, from a grid that its file states: by mAP where they
have labels, else by the mean reciprocal rank of their partners. Where there are none it takes a value that its file
states. One that finds nothing to learn from raises NothingToLearnError.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from dckt_apps.experiment.baselines.fitting import Baseline


class Entry(NamedTuple):
    """A baseline.

    Attributes:
        where: its module and function.
        learns_from: what it needs.
    """

    where: str
    summary: str
    learns_from: str


BASELINES = {
    "semantic-matching": Entry(
        "semantic_matching:fit", "logistic regression a medium, cosine of class probabilities", "the target's labels"
    ),
    "self-training": Entry(
        "self_training:fit",
        "semantic matching, and again on what it says of the pairs without labels",
        "the target's labels and unlabelled pairs",
    ),
    "nearest-class-mean": Entry(
        "nearest_class_mean:fit", "cosine to each class's mean a medium, as class probabilities", "the target's labels"
    ),
    "nearest-class-name": Entry(
        "nearest_class_name:fit",
        "cosine to each class's name by way of `cca-both`, as class probabilities",
        "the classes' names and pairs of either domain",
    ),
    "zero-shot": Entry("zero_shot:fit", "cosine of the features of encoders that share a space", "nothing"),
    "zero-shot-names": Entry(
        "zero_shot:fit_names",
        "cosine to each class's name in a space that encoders share, as class probabilities",
        "the classes' names",
    ),
    "cca": Entry("cca:fit", "canonical correlation analysis of principal components", "the target's pairs"),
    "cca-both": Entry("cca:fit_both", "the same over the pairs of both domains", "pairs of either domain"),
    "pls": Entry("pls:fit", "canonical partial least squares", "the target's pairs"),
    "dscmr": Entry(
        "dscmr:fit", "deep supervised cross-modal retrieval (Zhen et al., CVPR 2019)", "the target's labelled pairs"
    ),
}
"""What there is, by name."""


def find_baseline(name: str) -> Baseline:
    """The function of a baseline."""
    module, _, function = BASELINES[name].where.partition(":")
    fit: Baseline = getattr(import_module(f"dckt_apps.experiment.baselines.{module}"), function)
    return fit
