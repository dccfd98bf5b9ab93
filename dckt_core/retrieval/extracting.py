"""Features of whatever lies at a place, by an encoder's name or by a run: what `dckt extract` does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dckt_core.base.device import find_device
from dckt_core.base.errors import UsageError
from dckt_core.contract.discovery import Registry
from dckt_core.contract.pairs import Medium, TextItem
from dckt_core.data.context import Context
from dckt_core.data.inference import PLAIN, Inference
from dckt_core.data.screening import OnError
from dckt_core.io.feature_kinds import is_features
from dckt_core.retrieval.extract import BATCH, SHARD_SIZE
from dckt_core.retrieval.extract import extract as extract_items
from dckt_core.retrieval.extractor import by_encoder, by_features, by_run, features_of
from dckt_core.retrieval.listing import list_items, media_at, of_table
from dckt_core.retrieval.shards import Extraction
from dckt_core.runs.model import TrainedModel


def extract(
    place: Path | str,
    out: Path | str,
    *,
    by: str | TrainedModel,
    options: Mapping[str, Any] | None = None,
    medium: Medium | None = None,
    seed: int = 0,
    device: str = "auto",
    shard_size: int = SHARD_SIZE,
    batch: int = BATCH,
    how: Inference | None = None,
    on_error: OnError = "fail",
    max_bad_fraction: float = 0.01,
    context: Context | None = None,
) -> Extraction:
    """Writes the features of images or texts into a folder, shard by shard; called again, it goes on where it stopped.

    Args:
        place: a manifest (.jsonl), a folder with one, a folder of images or of .txt files, or a data set's name; for a
            run also features as its encoder gives them, in a file or a folder that this wrote.
        by: an encoder's name; or a run, as `load` gives it, for places in its common space.
        options: of the encoder.
        medium: None for the encoder's, or the only one that there is.
        out: the folder, which is made.
        seed: of an encoder that draws; a run has its own.
        device: of the encoder, `auto`, `cpu`, `cuda` or `mps`; a run has its own.
        shard_size: items in a file.
        batch: items that pass the module at once; it may change the last bits of a row.
        how: the encoder computes; a run has its own way.
        on_error: `fail` ends at the first bad line or item, `skip` leaves it out.
        max_bad_fraction: share of lines and items that `skip` may leave out, in [0, 1].
        context: plugins, cache and progress; None for a run's own, or all that are installed.

    Raises:
        UsageError: an unknown encoder or option, another medium than the encoder's, a folder that holds something else.
        DataError: nothing is at the place, or a line or an item is bad.
    """
    rows = is_features(Path(place))
    if isinstance(by, TrainedModel):
        if options or how:
            raise UsageError("options, and how to compute, go with an encoder's name; a run has its own")
        context = context or by.context
        if rows:
            tables = features_of(by, Path(place), medium)
            if len(tables) > 1:
                raise UsageError(f"{place}: say which medium: image or text")
            ((medium, table),) = tables.items()
            listing, extractor = of_table(table, medium, context.image_roots), by_features(by, medium, table)
        else:
            medium = medium or _only_medium(str(place), context.registry)
            listing, extractor = list_items(str(place), medium, context), by_run(by, medium)
    else:
        context = context or Context()
        medium = _medium_of(context.registry, by, medium)
        if rows:
            raise UsageError(f"{place}: features already, and no {medium}s")
        listing = list_items(str(place), medium, context)
        texts = [entry.item.text for entry in listing.entries if isinstance(entry.item, TextItem)]
        given: dict[str, Any] = {"texts": texts, "seed": seed, "device": find_device(device)}
        extractor = by_encoder(by, options or {}, context, medium, how=how or PLAIN, **given)
    return extract_items(
        extractor,
        listing,
        Path(out),
        shard_size=shard_size,
        batch=batch,
        on_error=on_error,
        max_bad_fraction=max_bad_fraction,
        progress=context.progress,
    )


def _only_medium(place: str, registry: Registry) -> Medium:
    """The medium of a place for a run, which has an encoder for either."""
    media = media_at(place, registry)
    if len(media) != 1:
        raise UsageError(f"{place}: say which medium: image or text")
    return media[0]


def _medium_of(registry: Registry, encoder: str, said: Medium | None) -> Medium:
    media: tuple[Medium, ...] = registry.find("encoder", encoder).spec.media
    if said is None and len(media) > 1:
        raise UsageError(f"encoder '{encoder}' is one of both media: say which: image or text")
    medium = said or media[0]
    if medium not in media:
        raise UsageError(f"encoder '{encoder}' is one of {media[0]}s, and medium says {medium}")
    return medium
