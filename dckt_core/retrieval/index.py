"""Makes indexes, changes and opens them.

Items are encoded by `extract` first, into a hidden folder of the index's, so that a build or an addition that was
stopped goes on where it was when the same is asked for once more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic_core import to_jsonable_python

from dckt_core.base.errors import DataError, UsageError
from dckt_core.base.progress import Progress, silent
from dckt_core.base.rng import generator_for
from dckt_core.contract.discovery import Registry, load_registry
from dckt_core.contract.options import parse_options
from dckt_core.contract.pairs import MEDIA, Medium
from dckt_core.data.cache import default_cache_dir
from dckt_core.data.context import Context
from dckt_core.data.coverage import tell
from dckt_core.data.cut_texts import tell_cut
from dckt_core.data.screening import OnError
from dckt_core.io.feature_kinds import is_features
from dckt_core.io.files import held, make_folder
from dckt_core.retrieval import recall
from dckt_core.retrieval.extract import BATCH, extract, extraction_key
from dckt_core.retrieval.extractor import Extractor, by_features, by_run, features_of
from dckt_core.retrieval.gallery import Item
from dckt_core.retrieval.index_folder import (
    ENCODING,
    HEADER,
    Galleries,
    Header,
    Made,
    is_index,
    read_galleries,
    read_header,
    write,
)
from dckt_core.retrieval.listing import Listing, list_items, media_at, of_pairs, of_table
from dckt_core.retrieval.searcher import Searcher
from dckt_core.retrieval.shards import Extraction, is_extraction, open_extraction
from dckt_core.runs.model import TrainedModel, load_run

BUSY = "another process is changing it"

EXACT = "exact"
"""The index that needs no measurement of what it finds."""


@dataclass(frozen=True)
class Encoding:
    """How items are encoded; see `extract`."""

    batch: int = BATCH
    on_error: OnError = "fail"
    max_bad_fraction: float = 0.01


def build_index(
    model: TrainedModel,
    location: Path | str | None,
    out: Path | str,
    *,
    medium: Medium | None = None,
    index: str = EXACT,
    options: Mapping[str, Any] | None = None,
    encoding: Encoding = Encoding(),
) -> Searcher:
    """A new index folder over everything at a place.

    Args:
        location: as `list_items` takes it; or features that the run's encoder, or what it stands for, gave, in a file
            or a folder that `dckt extract` filled. None for the data set that the run was trained to search.
        medium: None for both where there are both.
        index: name of an index plugin. Unless it is `exact`, its recall at 10 is measured and noted in `index.json`.
        options: of the index.

    Raises:
        DataError: nothing is there, or an item is bad.
        UsageError: the folder holds something already, or another process is at work in it.
    """
    out = Path(out)
    plugin = model.context.registry.find("index", index)
    parsed = parse_options(plugin.spec, options or {}, where=f"index '{index}'")
    made = Made(model.fingerprint, str(model.run_dir.absolute()), model.checkpoint)
    header = Header(made, model.dim, plugin.name, to_jsonable_python(asdict(parsed)), model.config.seed, counts={})
    make_folder(out)
    with held(out, BUSY):
        if is_index(out):
            raise UsageError(f"{out}: holds an index already, which may be added to")
        if any(not file.name.startswith((".", "contents-")) for file in out.iterdir()):
            raise UsageError(f"{out}: not empty, and no index ({HEADER} is not there); choose another folder")
        extractions = _encode(model, location, medium, None, out, encoding)
        galleries: Galleries = {}
        _add(header, galleries, extractions, model.context.registry)
        step: dict[str, Any] = {"did": "build", "added": _provenance(extractions)}
        if plugin.name != EXACT:
            step["recall_at_10"] = _recall(galleries, extractions, header.seed)
        write(out, header, galleries, step, extractions)
    return Searcher(model, galleries, str(out))


def add_to_index(
    path: Path | str,
    location: Path | str,
    model: TrainedModel,
    *,
    medium: Medium | None = None,
    encoding: Encoding = Encoding(),
) -> dict[Medium, tuple[int, int]]:
    """Everything at a place into an index that is there. An item whose id is there already takes the other's place.

    Args:
        model: the run that made the index.
        medium: None for those that the index holds, or all if the place has none of them.

    Returns:
        How many are new and how many took another's place, by medium.

    Raises:
        DataError: no index, one that another model made, nothing at the place, or an item is bad.
    """
    path = Path(path)
    check_model(path, read_header(path).model, model)
    with held(path, BUSY):
        header = read_header(path)
        galleries = read_galleries(path, header, model.context.registry)
        extractions = _encode(model, location, medium, list(galleries), path, encoding)
        told = _add(header, galleries, extractions, model.context.registry)
        write(path, header, galleries, {"did": "add", "added": _provenance(extractions)}, extractions)
    return told


def remove_from_index(
    path: Path | str, ids: Sequence[str], *, medium: Medium | None = None, registry: Registry | None = None
) -> dict[Medium, int]:
    """Takes items out of an index by id, of one medium or of all that have the id.

    Returns:
        How many went, by medium.

    Raises:
        DataError: no index.
        UsageError: an id is not there; then nothing is changed.
    """
    path = Path(path)
    read_header(path)
    with held(path, BUSY):
        header = read_header(path)
        galleries = read_galleries(path, header, registry or load_registry())
        searched = {one: gallery for one, gallery in galleries.items() if medium in (None, one)}
        for id_ in ids:
            if not any(id_ in gallery.items for gallery in searched.values()):
                raise UsageError(f"{path}: no {medium or 'item'} has the id '{id_}'")
        told: dict[Medium, int] = {}
        for one, gallery in searched.items():
            there = [id_ for id_ in dict.fromkeys(ids) if id_ in gallery.items]
            gallery.remove(there)
            told[one] = len(there)
        write(path, header, galleries, {"did": "remove", "removed": dict(told)}, {})
    return told


def open_index(
    path: Path | str,
    *,
    model: TrainedModel | None = None,
    run: Path | str | None = None,
    registry: Registry | None = None,
    device: str = "cpu",
    cache_dir: Path | None = None,
    progress: Progress = silent,
) -> Searcher:
    """An index folder, ready to be searched.

    Args:
        model: the run that made it, loaded already; then the arguments below say nothing.
        run: where that run lies, if not where it lay when the index was made.

    Raises:
        DataError: no index, a broken one, or one that another model made.
    """
    if model is None:
        context = Context(registry or load_registry(), cache_dir or default_cache_dir(), progress)
        return searcher_of_index(Path(path), context, run=run, device=device)
    return _searcher(Path(path), read_header(Path(path)), model)


def searcher_of_index(path: Path, context: Context, *, run: Path | str | None = None, device: str = "cpu") -> Searcher:
    """`open_index` in a context."""
    header = read_header(path)
    return _searcher(path, header, load_model(path, header.model, run, context, device=device))


def _searcher(path: Path, header: Header, model: TrainedModel) -> Searcher:
    check_model(path, header.model, model)
    return Searcher(model, read_galleries(path, header, model.context.registry), str(path))


def load_model(path: Path, made: Made, run: Path | str | None, context: Context, *, device: str) -> TrainedModel:
    """The run that made an index."""
    place = Path(run or made.run)
    if run is None and not place.is_dir():
        raise DataError(f"{path}: the run that made it is not at {place} any more; give its place as run")
    return load_run(place, context, checkpoint=made.checkpoint, device=device)


def check_model(path: Path, made: Made, model: TrainedModel) -> None:
    """Raises DataError where an index was made by another model."""
    if model.fingerprint != made.fingerprint:
        raise DataError(f"{path}: made by another model than {model.run_dir} ('{model.checkpoint}') is now")


def _encode(
    model: TrainedModel,
    location: Path | str | None,
    medium: Medium | None,
    preferred: Sequence[Medium] | None,
    out: Path,
    encoding: Encoding,
) -> dict[Medium, Extraction]:
    """The vectors of everything at a place, or of the run's target, by medium."""
    if location is None:
        data = model.target()
        wanted = [medium] if medium else list(MEDIA)
        pictures = not model.by_id("image")
        target = {
            one: (of_pairs(data.origin, Path(), data.pairs, one, pictures=pictures), by_run(model, one))
            for one in wanted
        }
        return _extract(model, target, out, encoding)
    location = str(location)
    if is_extraction(Path(location)) and "run" in open_extraction(Path(location)).header.made_by:
        return _of_extraction(model, open_extraction(Path(location)), medium)
    if is_features(Path(location)):
        listed = {
            one: (of_table(table, one, model.context.image_roots), by_features(model, one, table))
            for one, table in features_of(model, Path(location), medium).items()
        }
        return _extract(model, listed, out, encoding)
    media = [medium] if medium else media_at(location, model.context.registry)
    if medium is None and preferred:
        media = [one for one in media if one in preferred] or media
    found = {one: (list_items(location, one, model.context), by_run(model, one)) for one in media}
    extractions = _extract(model, found, out, encoding)
    if not any(map(len, extractions.values())):
        raise DataError(f"{location}: holds no {f'{medium}s' if medium else 'images or texts'} that can be used")
    return extractions


def _extract(
    model: TrainedModel,
    listed: Mapping[Medium, tuple[Listing, Extractor]],
    out: Path,
    encoding: Encoding,
) -> dict[Medium, Extraction]:
    extractions = {}
    for one, (listing, extractor) in listed.items():
        folder = out / ENCODING / extraction_key(extractor, listing)[:16]
        extractions[one] = extract(extractor, listing, folder, progress=model.context.progress, **asdict(encoding))
    return extractions


def _of_extraction(model: TrainedModel, extraction: Extraction, medium: Medium | None) -> dict[Medium, Extraction]:
    if medium not in (None, extraction.medium):
        raise DataError(f"{extraction.path}: holds no {medium}s")
    if extraction.header.made_by.get("weights_sha256") != model.fingerprint:
        raise DataError(
            f"{extraction.path}: its rows are not of {model.run_dir} ('{model.checkpoint}'): extract them by that run"
        )
    if extraction.header.words is not None:
        tell(str(extraction.path), {"": extraction.header.words})
    tell_cut(str(extraction.path), extraction.header.cut_texts or 0, len(extraction))
    return {extraction.medium: extraction}


def _add(
    header: Header, galleries: Galleries, extractions: Mapping[Medium, Extraction], registry: Registry
) -> dict[Medium, tuple[int, int]]:
    """Puts rows into galleries, new ones where there are none; how many are new and how many took another's place."""
    told = {}
    for medium, extraction in extractions.items():
        gallery = galleries.setdefault(medium, header.new_gallery(medium, registry))
        before, items = len(gallery), _items(extraction)
        for ids, rows in extraction.shards():
            part = list(islice(items, len(ids)))
            if [item.get("id") for item in part] != list(ids):
                raise DataError(f"{extraction.path}: its items are not those of its rows")
            gallery.add(part, rows)
        new = len(gallery) - before
        told[medium] = (new, len(extraction) - new)
    return told


def _items(extraction: Extraction) -> Iterator[Item]:
    """With paths that lead to the images from everywhere."""
    root = extraction.header.input.root
    for item in extraction.items():
        yield item | {"image": str(Path(root, item["image"]))} if "image" in item else item


def _provenance(extractions: Mapping[Medium, Extraction]) -> dict[str, Any]:
    return {medium: extraction.header.provenance() for medium, extraction in extractions.items()}


def _recall(galleries: Galleries, extractions: Mapping[Medium, Extraction], seed: int) -> dict[str, Any]:
    """Of each gallery, for queries of the other medium where there are any; else for its own items."""
    rows = {medium: extraction.load()[1] for medium, extraction in extractions.items()}
    told: dict[str, Any] = {}
    for medium, gallery in galleries.items():
        asking: Medium = next((other for other in rows if other != medium), medium)
        chosen = recall.sample(len(rows[asking]), generator_for(seed, f"recall of {medium}s"))
        own = chosen if asking == medium else None
        share = recall.recall(gallery, rows[medium], rows[asking][chosen], own)
        told[medium] = {"value": share, "queries": len(chosen), "of": f"{asking}s"}
    return told
