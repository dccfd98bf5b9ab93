"""The losses of DCKT and where they attach. METHOD: docs/method.md.

In one domain: the semantic loss (cross-entropy of images and texts, mean) and the pair-wise constraint (distance of
an image's and its text's fc6 and fc7 outputs). Between the domains: a discrepancy on each medium's fc6 and fc7
(media level) and on the common fc8 and fc9 (correlation level). The discrepancy is all that ties the two networks
together.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor

from dckt_core.config import PairLoss
from dckt_core.contract.guards import GuardedDiscrepancy
from dckt_core.engine.record import Loss
from dckt_core.method.network import Outputs


def semantic_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy, nats, of stacked image and text rows: logits [2n, C], labels [n]."""
    return F.cross_entropy(logits, labels.repeat(2))


def pair_loss(image: Tensor, text: Tensor, reduction: str) -> Tensor:
    """Squared Euclidean distance of pairs [n, d]: the sum, or sum / (2n)."""
    total = (image - text).square().sum()
    return total if reduction == "sum" else total / (2 * len(image))


def domain_loss(outputs: Outputs, labels: Tensor, *, semantic_weight: float, pair: PairLoss, domain: str) -> Loss:
    """The losses inside one domain for a batch of pairs with labels [n]."""
    terms = {
        f"{domain}_semantic": semantic_loss(outputs.logits.float(), labels),
        f"{domain}_pair_fc6": pair_loss(outputs.image_fc6.float(), outputs.text_fc6.float(), pair.reduction),
        f"{domain}_pair_fc7": pair_loss(outputs.image_fc7.float(), outputs.text_fc7.float(), pair.reduction),
    }
    weights = (semantic_weight, pair.fc6, pair.fc7)
    total = sum((w * term for w, term in zip(weights, terms.values(), strict=True)), start=outputs.logits.new_zeros(()))
    return Loss(total, terms)


def transfer_loss(
    source: Outputs, target: Outputs, *, discrepancy: GuardedDiscrepancy, weights: Mapping[str, float], progress: float
) -> Loss:
    """The weighted discrepancy between the domains over all attached layers.

    weights: layer name to weight, as `LossConfig.attachments` gives; at least one.
    progress: share of the transfer phase that is done, in [0, 1].
    """
    layers = {name: (getattr(source, name).float(), getattr(target, name).float()) for name in weights}
    values = discrepancy.many(layers, progress)
    total = sum((weights[name] * value for name, value in values.items()), start=target.logits.new_zeros(()))
    return Loss(total, {f"discrepancy_{name}": value for name, value in values.items()})
