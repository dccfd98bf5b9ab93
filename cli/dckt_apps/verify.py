"""Whether what dckt wrote is still what it wrote: a run, an index, an extraction, an experiment, the cache, a folder of
these. Every file is read, and none is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from dckt_core.base.errors import DataError, UsageError, describe
from dckt_core.base.progress import Progress, silent
from dckt_core.data import cache, feature_cache
from dckt_core.data.sights import check_sights
from dckt_core.engine.snapshot import load_snapshot
from dckt_core.io.json import write_sealed
from dckt_core.io.seal import Seal, digests
from dckt_core.io.tensors import load_tensors
from dckt_core.retrieval import index_folder, shards
from dckt_core.runs.layout import SNAPSHOTS, Layout
from dckt_core.runs.seal import is_finished, run_seal, seal_run


@dataclass(frozen=True)
class Fault:
    """A file that is not what it was.

    Attributes:
        says: what is wrong with it.
        remedy: what makes it anew.
    """

    file: Path
    says: str
    remedy: str


@dataclass(frozen=True)
class Verified:
    """What was found at a place.

    Attributes:
        kind: `run`, `unfinished run`, `index`, `extraction`, `features`, `verdicts` or `sample`.
        files: how many were looked at.
    """

    place: Path
    kind: str
    files: int
    faults: tuple[Fault, ...]


def verify(place: Path, progress: Progress = silent) -> list[Verified]:
    """All that lies at a place and is dckt's, each read whole.

    Raises:
        DataError: nothing of dckt's lies there.
    """
    if not place.exists():
        raise DataError(f"{place}: no such file or folder")
    found = list(_at(place))
    if not found:
        raise DataError(f"{place}: holds no run, index, extraction, experiment or cache")
    done = []
    for number, look in enumerate(found):
        progress(number, len(found), "reading")
        done.append(look())
    progress(len(found), len(found), "reading")
    return done


def accept(place: Path) -> None:
    """Vouches for the files of a run, an index or an extraction as they are now.

    Raises:
        UsageError: it is none of these, or not finished.
        DataError: what vouched for them is altered itself, and that can only be made anew.
    """
    if Layout(place).config.is_file():
        if not Layout(place).summary.is_file():
            raise UsageError(f"{place}: not a finished run, and nothing vouches for its files yet")
        seal_run(place)
    elif (place / index_folder.HEADER).is_file():
        index = index_folder.read_header(place)
        now = digests(place, (place / name for name in index.files))
        write_sealed(place / index_folder.HEADER, asdict(replace(index, files=now)))
    elif shards.is_extraction(place):
        extraction = shards.open_extraction(place).header
        shards.write_header(place, replace(extraction, files=digests(place, (place / one for one in extraction.files))))
    else:
        raise UsageError(f"{place}: no run, index or extraction")


def _at(place: Path, depth: int = 2) -> Iterator[Callable[[], Verified]]:
    """How to look at each thing that lies at a place."""
    if Layout(place).config.is_file():
        yield partial(_run if is_finished(place) else _unfinished, place)
    elif (place / index_folder.HEADER).is_file():
        yield partial(_index, place)
    elif shards.is_extraction(place):
        yield partial(_extraction, place)
    elif place.is_dir():
        yield from _of_cache(place)
        for inside in sorted(place.iterdir()) if depth else ():
            if inside.is_dir() and not inside.name.startswith("."):
                yield from _at(inside, depth - 1)


def _run(place: Path) -> Verified:
    try:
        seal = run_seal(place)
    except DataError as error:
        return _broken(place, "run", Layout(place).digests, error)
    return _sealed(place, "run", seal)


def _index(place: Path) -> Verified:
    file = place / index_folder.HEADER
    try:
        header = index_folder.read_header(place)
    except DataError as error:
        return _broken(place, "index", file, error)
    return _sealed(place, "index", index_folder.index_seal(place, header))


def _extraction(place: Path) -> Verified:
    try:
        return _sealed(place, "extraction", shards.open_extraction(place).seal)
    except DataError as error:
        return _broken(place, "extraction", place / shards.HEADER, error)


def _sealed(place: Path, kind: str, seal: Seal) -> Verified:
    told = {name: seal.fault(name) for name in seal.files}
    faults = [Fault(place / name, says, seal.remedy) for name, says in told.items() if says]
    return Verified(place, kind, len(told) + 1, tuple(faults))


def _broken(place: Path, kind: str, file: Path, error: DataError) -> Verified:
    says, _, remedy = str(error).removeprefix(f"{file}: ").partition("; ")
    return Verified(place, kind, 1, (Fault(file, says, remedy),))


def _unfinished(place: Path) -> Verified:
    """Its checkpoints vouch for themselves; nothing vouches for the rest yet."""
    files = sorted(Layout(place).checkpoints.glob(SNAPSHOTS))
    return _each(place, "unfinished run", files, load_snapshot, "dckt train --resume takes the one before")


def _of_cache(place: Path) -> Iterator[Callable[[], Verified]]:
    """What of a cache vouches for itself."""
    for part in cache.cached(place):
        files = [file for path in part.paths for file in ([path] if path.is_file() else sorted(path.rglob("*")))]
        if part.kind == "features":
            segments = [file for file in files if file.suffix == ".safetensors"]
            load = partial(load_tensors, kind=feature_cache.KIND, format=feature_cache.FORMAT)
            yield partial(_each, part.paths[0], "features", segments, load, "it is computed anew when it is needed")
        elif part.kind == "images":
            yield partial(_each, place / part.kind, "verdicts", files, check_sights, "the pictures are looked at anew")


def _each(place: Path, kind: str, files: Iterable[Path], read: Callable[[Path], object], remedy: str) -> Verified:
    count, faults = 0, []
    for file in files:
        count += 1
        try:
            read(file)
        except DataError as error:
            faults.append(Fault(file, str(error).removeprefix(f"{file}: ").partition("; ")[0], remedy))
        except OSError as error:
            faults.append(Fault(file, describe(error), remedy))
    return Verified(place, kind, count, tuple(faults))
