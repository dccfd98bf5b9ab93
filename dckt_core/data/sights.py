"""What decoding tells of pictures, each decoded once: that it is broken, of one colour, or nearly another one.

A picture takes a millisecond or a few, so that what was seen is kept in the cache under the content of all pictures. No
torch in here.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np

from dckt_core.base.errors import DataError
from dckt_core.base.progress import Progress, logger, silent
from dckt_core.contract.pairs import Pair, PairSet, Split
from dckt_core.data.faults import Problem
from dckt_core.data.findings import Finding, first
from dckt_core.data.leaks import HELD
from dckt_core.data.lookalikes import SIDE, alike, look
from dckt_core.io.files import content_digest
from dckt_core.io.images import RESCALED, decoders, max_pixels, open_image
from dckt_core.io.json import read_json, write_sealed

THREADS = 4
SHARP = 4
"""So many times as many pixels of a side as a thumbnail has a JPEG keeps when it is decoded at a part of its size: with
fewer, thumbnails of two sizes of one photo differ."""
FORMAT = 4
"""Part of every key of the cache of what was seen."""
ONE_COLOUR = 3
"""Of 255: how far the samples of a picture of one colour lie apart at most."""

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Sights:
    """What was seen of pictures.

    Attributes:
        paths: [n], each once.
        reasons: why pictures cannot be used, by number.
        looks: uint8 [n, 12, 12, 3], as `look` gives them; black where there is a reason.
        plain: the numbers of those that are of one colour.
        rescaled: the numbers of those with more than 8 bits a sample, which are brought to their range.
    """

    paths: Sequence[Path]
    reasons: dict[int, str]
    looks: Array
    plain: list[int]
    rescaled: list[int]

    @property
    def problems(self) -> list[Problem]:
        """Of those that cannot be used, in the order of the paths."""
        return [Problem(self.paths[number], None, reason) for number, reason in sorted(self.reasons.items())]


def look_at(paths: Sequence[Path], progress: Progress = silent) -> Sights:
    """Decodes every picture once, in threads.

    Args:
        paths: each once.
    """
    seen = Sights(paths, {}, np.zeros((len(paths), SIDE, SIDE, 3), dtype=np.uint8), [], [])
    cap = max_pixels()
    with ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(lambda path: _look_at(path, _file_digest(path), cap), paths)
        for number, (reason, thumbnail, plain, rescaled) in enumerate(found):
            if thumbnail is None:
                seen.reasons[number] = reason
            else:
                seen.looks[number] = thumbnail
                if plain:
                    seen.plain.append(number)
                if rescaled:
                    seen.rescaled.append(number)
            progress(number + 1, len(paths), "decoding images")
    return seen


def sights(paths: Sequence[Path], *, cache_dir: Path, progress: Progress = silent) -> Sights:
    """As `look_at`; what was seen of the same pictures before is read from the cache, and none is decoded."""
    content = [digest.hex() for digest in digests(paths)]
    key = hashlib.sha256(json.dumps([FORMAT, decoders(), max_pixels(), content]).encode()).hexdigest()
    file = cache_dir / "images" / f"{key}.json"
    seen = _read(file, paths)
    if seen is None:
        seen = look_at(paths, progress)
        _write(file, seen)
    return seen


def digests(paths: Iterable[Path]) -> list[bytes]:
    """Something that names what each file holds; files that cannot be read are told apart by the reason alone."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(_file_digest, paths))


def of_pictures(seen: Sights, pair_set: PairSet, splits: Sequence[Split]) -> Iterator[Finding]:
    """What pictures show of one data set, its splits compared."""
    names = {path: number for number, path in enumerate(seen.paths)}
    ids: dict[int, str] = {}
    places: dict[int, set[Split]] = {}
    for pair in pair_set.pairs:
        if pair.image is not None and pair.split in splits and (number := names.get(pair.image)) is not None:
            ids.setdefault(number, pair.id)
            places.setdefault(number, set()).add(pair.split)
    plain, rescaled = ([number for number in found if number in ids] for found in (seen.plain, seen.rescaled))
    if plain:
        what = f"{len(plain)} of {len(ids)} pictures are of one colour"
        advice = "nothing can be learnt from them: are they what is shown where a picture is missing?"
        yield Finding("one colour", what, len(plain), len(ids), first(repr(ids[n]) for n in plain), advice)
    if rescaled:
        what = f"{len(rescaled)} of {len(ids)} pictures have more than 8 bits a sample, and are brought to their range"
        named = first(repr(ids[n]) for n in rescaled)
        yield Finding("rescaled", what, len(rescaled), len(ids), named, grave=False)
    pairs = [(one, other) for one, other in alike(seen.looks).tolist() if one in ids and other in ids]
    for later, earlier in (("val", "train"), ("test", "train"), ("test", "val")):
        found: dict[int, int] = {}
        for one, other in pairs:
            for here, there in ((one, other), (other, one)):
                if later in places[here] and earlier in places[there] and places[here].isdisjoint({earlier}):
                    found.setdefault(here, there)
        yield from _nearly(found, ids, sum(later in where for where in places.values()), later, f"split '{earlier}'")


def of_both(seen: Sights, source: PairSet, target: PairSet) -> Iterator[Finding]:
    """What pictures show of two data sets: pictures of the target's val and test that are nearly those of the source.

    Equal ones are left to `leaks_from`.
    """
    names = {path: number for number, path in enumerate(seen.paths)}
    ids: dict[int, str] = {}
    learnt = _numbers(source.training, names, ids)
    pairs = alike(seen.looks).tolist()
    for split in HELD:
        held = _numbers(target.split(split), names, ids)
        found: dict[int, int] = {}
        for one, other in pairs:
            for here, there in ((one, other), (other, one)):
                if here in held and there in learnt:
                    found.setdefault(here, there)
        yield from _nearly(found, ids, len(held), split, "those that the source is learnt from")


def _nearly(found: dict[int, int], ids: dict[int, str], of: int, split: str, where: str) -> Iterator[Finding]:
    if found:
        yield Finding(
            "nearly equal pictures",
            f"{len(found)} of {of} pictures of split '{split}' are nearly one of {where}",
            *(len(found), of),
            first(f"{ids[here]!r} and {ids[there]!r}" for here, there in found.items()),
            "figures on them tell what was memorised: look at them, and leave them out on one side",
        )


def _numbers(pairs: Iterable[Pair], names: dict[Path, int], ids: dict[int, str]) -> set[int]:
    found = set()
    for pair in pairs:
        if pair.image is not None and (number := names.get(pair.image)) is not None:
            found.add(number)
            ids.setdefault(number, pair.id)
    return found


@lru_cache(maxsize=1 << 15)
def _look_at(path: Path, content: bytes, cap: int) -> tuple[str, Array | None, bool, bool]:
    try:
        image = open_image(path, SHARP * SIDE)
    except DataError as error:
        return str(error).removeprefix(f"{path}: "), None, False, False
    extremes = cast("tuple[tuple[int, int], ...]", image.getextrema())  # of each of the three channels
    plain = all(high - low <= ONE_COLOUR for low, high in extremes)
    return "", look(image), plain, RESCALED in image.info


def _file_digest(path: Path) -> bytes:
    try:
        return content_digest(path)
    except OSError as error:
        return f"{error.errno}".encode()


def check_sights(file: Path) -> dict[str, Any]:
    """What a file of the cache says of pictures.

    Raises:
        DataError: it is missing, broken or altered.
    """
    return read_json(file, "what was seen of pictures", remedy="the pictures are looked at anew")


def _read(file: Path, paths: Sequence[Path]) -> Sights | None:
    """None where nothing that can be used is there."""
    try:
        said = check_sights(file)
        looks = np.frombuffer(base64.b64decode(said["looks"]), dtype=np.uint8).reshape(len(paths), SIDE, SIDE, 3)
        reasons = dict(said["bad"])
        plain, rescaled = list(said["plain"]), list(said["rescaled"])
        numbers = [*reasons, *plain, *rescaled]
        if all(type(n) is int and 0 <= n < len(paths) for n in numbers) and all(
            isinstance(reason, str) for reason in reasons.values()
        ):
            return Sights(paths, reasons, looks, plain, rescaled)
    except (DataError, ValueError, KeyError, TypeError):
        pass
    return None


def _write(file: Path, seen: Sights) -> None:
    said = {
        "format": FORMAT,
        "bad": sorted(map(list, seen.reasons.items())),
        "plain": seen.plain,
        "rescaled": seen.rescaled,
        "looks": base64.b64encode(seen.looks.tobytes()).decode("ascii"),
    }
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_sealed(file, said)
    except (OSError, ValueError) as error:
        logger.info("what was seen of pictures cannot be kept in the cache: %s", getattr(error, "strerror", error))
