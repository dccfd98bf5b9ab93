"""Opens an index folder, together with the run that encoded it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dckt_core.base.errors import DataError
from dckt_core.base.progress import Progress, silent
from dckt_core.contract.discovery import Registry, load_registry
from dckt_core.retrieval.searcher import Searcher
from dckt_core.retrieval.store import Made, read_galleries, read_header
from dckt_core.runs.model import TrainedModel, load


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
    path = Path(path)
    header = read_header(path)
    if model is None:
        how: dict[str, Any] = {"device": device, "cache_dir": cache_dir, "progress": progress}
        model = load_model(path, header.model, run, registry or load_registry(), **how)
    check_model(path, header.model, model)
    return Searcher(model, read_galleries(path, header, model.registry), str(path))


def load_model(path: Path, made: Made, run: Path | str | None, registry: Registry, **how: Any) -> TrainedModel:
    """The run that made an index; `how` goes to `load`."""
    place = Path(run or made.run)
    if run is None and not place.is_dir():
        raise DataError(f"{path}: the run that made it is not at {place} any more; --run says where it is")
    return load(place, registry=registry, checkpoint=made.checkpoint, **how)


def check_model(path: Path, made: Made, model: TrainedModel) -> None:
    """Raises DataError where an index was made by another model."""
    if model.fingerprint != made.fingerprint:
        raise DataError(f"{path}: made by another model than {model.run_dir} ('{model.checkpoint}') is now")
