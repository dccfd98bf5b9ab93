"""Searches the data set that a run was trained for, without an index folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from dckt_core.base.errors import DataError
from dckt_core.contract.options import parse_options
from dckt_core.contract.pairs import SPLITS, Pair, Split
from dckt_core.contract.protocols import IndexContext
from dckt_core.contract.specs import Modality
from dckt_core.retrieval.gallery import Gallery
from dckt_core.retrieval.searcher import Searcher
from dckt_core.runs.model import TrainedModel


def searcher_of_target(
    model: TrainedModel,
    media: tuple[Modality, ...] = ("image", "text"),
    *,
    split: Split | Literal["all"] = "all",
    index: str = "exact",
    options: Mapping[str, Any] | None = None,
) -> Searcher:
    """The target data set of a run, encoded now.

    Args:
        media: what shall be found.

    Raises:
        DataError: the data set is not there any more, or the split is empty.
    """
    plugin = model.registry.find("index", index)
    parsed = parse_options(plugin.spec, options or {}, where=f"index '{index}'")
    data = model.target()
    # Split by split, as training did, so that the features it left in the cache are found there.
    splits = [name for name in SPLITS if split in ("all", name)]
    galleries: dict[Modality, Gallery] = {}
    for medium in media:
        galleries[medium] = Gallery(medium, plugin, parsed, IndexContext(dim=model.dim, seed=model.config.seed))
        groups = [data.split(name) for name in splits] + ([data.lone(medium)] if "train" in splits else [])
        if not any(groups):
            raise DataError(f"{data.origin}: split '{split}' is empty")
        for pairs in filter(None, groups):
            if medium == "image":
                rows = model.encode_images([pair.image_item for pair in pairs], cache=True)
            else:
                rows = model.encode_texts([pair.text_item for pair in pairs], cache=True)
            galleries[medium].add([_item(pair, medium) for pair in pairs], rows)
    return Searcher(model, galleries, data.origin)


def _item(pair: Pair, medium: Modality) -> dict[str, str]:
    shown = pair.text_item.text if medium == "text" else str(pair.image)
    known = {} if pair.label is None else {"label": pair.label}
    return {"id": pair.id, **known, "split": pair.split, medium: shown}
