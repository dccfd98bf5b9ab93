"""AP^q, the cross-media domain consistency of each target pair: how well the source network ranks it."""

from __future__ import annotations

from torch import Tensor

from dckt_core import Representation, average_precisions


def domain_consistency(view: Representation, labels: Tensor) -> Tensor:
    """AP^q [Q] in [0, 2]: AP of image q against all texts plus AP of text q against all images, own pair included.

    Args:
        view: the target pairs' class probabilities under the source network, image [Q, C_s] and text [Q, C_s].
        labels: the pairs' target classes [Q]; relevant = same class.
    """
    image = average_precisions(view.image, view.text, labels, labels)
    text = average_precisions(view.text, view.image, labels, labels)
    return image + text
