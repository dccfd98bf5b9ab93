"""What is known of a domain, as the parts of the common space learn from it: feature rows and labels, no more."""

from __future__ import annotations

import torch
from torch import Tensor

from dckt_core.contract.pairs import Split
from dckt_core.contract.protocols import Known
from dckt_core.data.domain import Domain
from dckt_core.data.inputs import Inputs


def known(domain: Domain) -> Known:
    """The training items of a domain whose encoders are frozen: labelled pairs, unlabelled pairs, then lone items."""
    paired = (domain.train, domain.unlabelled)
    lone_images, lone_texts = domain.lone["image"], domain.lone["text"]
    labels = [data.labels for data in paired]
    return Known(
        images=torch.cat(
            [*(_rows(data.image, len(data)) for data in paired), _rows(lone_images.rows, len(lone_images))]
        ),
        texts=torch.cat([*(_rows(data.text, len(data)) for data in paired), _rows(lone_texts.rows, len(lone_texts))]),
        pairs=sum(map(len, paired)),
        image_labels=torch.cat([*labels, lone_images.labels]),
        text_labels=torch.cat([*labels, lone_texts.labels]),
        classes=domain.classes,
        names=_rows(domain.names.rows, len(domain.names)),
        name_labels=domain.names.labels,
    )


def known_split(domain: Domain, split: Split) -> Known:
    """The pairs of one split alone, as `known` has those of training; a split that is not there has none."""
    data, count = domain.splits.get(split, domain.train), len(domain.splits.get(split, ()))
    return Known(
        images=_rows(data.image, count),
        texts=_rows(data.text, count),
        pairs=count,
        image_labels=data.labels[:count],
        text_labels=data.labels[:count],
        classes=domain.classes,
        names=_rows(domain.names.rows, len(domain.names)),
        name_labels=domain.names.labels,
    )


def _rows(inputs: Inputs, count: int) -> Tensor:
    return inputs[torch.arange(count)]
