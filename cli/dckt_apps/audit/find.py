"""From a data set and encoders to the pairs whose label is likely wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dckt_core.base.device import find_device
from dckt_core.base.errors import DataError, UsageError
from dckt_core.contract.pairs import Medium, Pair, PairSet
from dckt_core.data.audit import Audit, audit
from dckt_core.data.context import Context
from dckt_core.data.features import encode_items
from dckt_core.data.sameness import picture_names, text_name
from dckt_core.retrieval.extractor import by_encoder

BATCH = 64
CHOICES: Mapping[Medium, str] = {"image": "--encoder", "text": "--text-encoder"}


@dataclass(frozen=True)
class Chosen:
    """An encoder by name, and its options as typed."""

    name: str
    options: Mapping[str, str]


@dataclass(frozen=True)
class Audited:
    """What came of it; `pairs[suspect.row]` is a suspect's."""

    pairs: Sequence[Pair]
    audit: Audit
    by: Mapping[Medium, str]


def audit_labels(
    pair_set: PairSet,
    encoders: Mapping[Medium, Chosen],
    context: Context,
    *,
    seed: int = 0,
    device: str = "auto",
    batch: int = BATCH,
) -> Audited:
    """Looks for labels that are likely wrong among all labelled pairs of a data set, of whatever split.

    Args:
        encoders: what a classifier of each medium sees; of one medium or of both.
        seed: of the folds, and of what encoders draw.

    Raises:
        DataError: too few labels, or an item that cannot be read.
        UsageError: an encoder that is of another medium, or trains along.
    """
    pairs = [pair for pair in pair_set.pairs if pair.label is not None and all(map(pair.has, encoders))]
    labels = [pair.label for pair in pairs if pair.label is not None]
    if not pairs:
        raise DataError(
            f"{pair_set.origin}: no {' and '.join(encoders)} has a label, so that there is nothing to audit"
        )
    features, by = [], {}
    for medium, chosen in encoders.items():
        if medium not in context.registry.find("encoder", chosen.name).spec.media:
            raise UsageError(f"{CHOICES[medium]} {chosen.name}: no encoder of {medium}s")
        texts = [pair.text for pair in pairs if pair.text is not None]
        made = by_encoder(
            chosen.name, chosen.options, context, medium, texts=texts, seed=seed, device=find_device(device)
        )
        if made.encoder.trainable:
            raise UsageError(f"{CHOICES[medium]} {chosen.name}: an audit needs features, and it trains along")
        rows = encode_items(
            made.encoder,
            [pair.item(medium) for pair in pairs],
            device=made.device,
            batch=batch,
            cache_dir=context.cache_dir,
            progress=context.progress,
        )
        features.append(rows.numpy())
        by[medium] = chosen.name
    return Audited(pairs, audit(features, labels, _groups(pairs), seed=seed), by)


def _groups(pairs: Sequence[Pair]) -> list[object]:
    """Pairs of one picture are one; so are texts alone that are equal."""
    names = picture_names(pair.image for pair in pairs if pair.image is not None)
    return [names[pair.image] if pair.image is not None else text_name(pair.text or "") for pair in pairs]
