"""How far apart two data sets lie, medium by medium: the features that `dckt gap` compares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from dckt_apps.gap.drawn import drawn
from dckt_core.base.device import find_device
from dckt_core.base.errors import DataError, UsageError
from dckt_core.contract.pairs import MEDIA, Medium, TextItem
from dckt_core.contract.protocols import Item
from dckt_core.data.context import Context
from dckt_core.data.features import encode_items
from dckt_core.io.feature_files import FeatureTable, read_features
from dckt_core.io.feature_kinds import is_features
from dckt_core.retrieval.extractor import by_encoder
from dckt_core.retrieval.listing import Listing, RowItem, list_items

BATCH = 16


@dataclass(frozen=True)
class SetRows:
    """Features of one medium of two data sets.

    Attributes:
        of: what the rows are of: `image`, `text`, or `features` where nobody says.
        first: [n, d].
        second: [m, d].
        ids: of the second's items, in the order of its rows.
    """

    of: str
    first: Tensor
    second: Tensor
    ids: tuple[str, ...]


def set_rows(
    first: str,
    second: str,
    context: Context,
    *,
    encoders: Mapping[Medium, tuple[str, Mapping[str, Any]]],
    items: int,
    seed: int = 0,
    device: str = "auto",
) -> Iterator[SetRows]:
    """The features of two places, for each medium that an encoder is named for; or features that lie there already.

    Args:
        first, second: data sets, manifests or folders of files; or features, in a file or as `dckt extract` wrote them.
        encoders: name and options by medium. One that learns from texts learns from those of both places.
        items: at most so many of each place, drawn by `seed` where there are more.

    Raises:
        UsageError: no encoder is named for what is no features, or one for what is.
        DataError: nothing is there, or rows differ in width.
    """
    ready = [is_features(Path(place)) for place in (first, second)]
    if any(ready):
        if not all(ready):
            has, lacks = (first, second) if ready[0] else (second, first)
            raise UsageError(f"{has} holds features, and {lacks} does not: compare features with features")
        if encoders:
            raise UsageError(f"{first} holds features already: leave out the encoder")
        yield from _of_features(_tables(first), _tables(second), items, seed)
        return
    if not encoders:
        raise UsageError("say what makes features: an encoder for images, a text encoder for texts")
    for medium, (name, options) in encoders.items():
        listings = [_readable(list_items(place, medium, context)) for place in (first, second)]
        chosen = [drawn(len(one.entries), items, seed).tolist() for one in listings]
        some: list[list[Item]] = [
            [item for row in rows if not isinstance(item := one.entries[row].item, RowItem)]  # features are not here
            for one, rows in zip(listings, chosen, strict=True)
        ]
        texts = [item.text for of_place in some for item in of_place if isinstance(item, TextItem)]
        where = find_device(device)
        encoder = by_encoder(name, options, context, medium, texts=texts, seed=seed, device=where).encoder
        how: dict[str, Any] = {"batch": BATCH, "cache_dir": context.cache_dir, "progress": context.progress}
        rows = [encode_items(encoder, of_place, device=where, **how) for of_place in some]
        yield SetRows(medium, rows[0], rows[1], tuple(item.id for item in some[1]))


def _of_features(
    first: Mapping[str, FeatureTable], second: Mapping[str, FeatureTable], items: int, seed: int
) -> Iterator[SetRows]:
    both = [of for of in first if of in second]
    if len(first) == len(second) == 1:
        ((of, one),), ((of_other, other),) = first.items(), second.items()
        if "features" not in (of, of_other) and of != of_other:
            raise DataError(f"{other.place}: features of {of_other}s, and {one.place} holds those of {of}s")
        pairs = [(of if of != "features" else of_other, one, other)]
    elif both:
        pairs = [(of, first[of], second[of]) for of in both]
    else:
        places = [next(iter(tables.values())).place for tables in (first, second)]
        raise DataError(f"{places[1]}: its features are of none of the media that those of {places[0]} are of")
    for of, one, other in pairs:
        if one.dim != other.dim:
            raise DataError(f"{other.place}: rows of {other.dim} values, and {one.place} has rows of {one.dim}")
        chosen = [drawn(len(table), items, seed).tolist() for table in (one, other)]
        rows = [table.take(numbers) for table, numbers in zip((one, other), chosen, strict=True)]
        yield SetRows(of, rows[0], rows[1], tuple(other.ids[row] for row in chosen[1]))


def _tables(place: str) -> dict[str, FeatureTable]:
    """The features at a place by what they are of; one table of a medium that nobody says is called `features`."""
    tables: dict[str, FeatureTable] = {medium: read_features(place, medium=medium) for medium in MEDIA}
    one = tables["image"]
    if one.array != tables["text"].array:
        return tables
    return {one.medium or "features": one}


def _readable(listing: Listing) -> Listing:
    if listing.problems:
        more = f" (and {len(listing.problems) - 1} more)" if len(listing.problems) > 1 else ""
        raise DataError(f"{listing.problems[0]}{more}")
    return listing
