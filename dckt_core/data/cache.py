"""Where files go that may be made again: features of frozen encoders, findings about pictures, the sample data."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dckt_core.base.errors import UsageError

KINDS = {
    "features": ("features of", re.compile(r"[0-9a-f]{64}")),
    "images": ("what was found out about pictures", re.compile(r"[0-9a-f]+\.json")),
    "unpacked": ("pictures out of archives", re.compile(r"[0-9a-f]{32}")),
    "sample": ("the sample data", re.compile(r"sample-[a-z]+-v\d+")),
}
"""Folders of the cache: what they hold, and what dckt calls things in there. Nothing else is ever cleared."""


def default_cache_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """`DCKT_CACHE_DIR`, else `dckt` in `XDG_CACHE_HOME`, else `~/.cache/dckt`. The folder may not exist yet.

    Raises:
        UsageError: none of the variables is set and the user has no home folder.
    """
    if named := environ.get("DCKT_CACHE_DIR"):
        return Path(named)
    shared = Path(environ.get("XDG_CACHE_HOME", ""))
    if shared.is_absolute():  # the XDG convention: a relative path counts as unset
        return shared / "dckt"
    try:
        return Path.home() / ".cache" / "dckt"
    except RuntimeError:
        raise UsageError("there is no home folder for the cache; name a folder in DCKT_CACHE_DIR") from None


@dataclass(frozen=True)
class Cached:
    """A part of the cache.

    Attributes:
        kind: a name out of `KINDS`.
        what: it holds, in words.
        paths: its files and folders.
        size: of its files, bytes.
        changed: when the newest of them was written, seconds since 1970.
    """

    kind: str
    what: str
    paths: tuple[Path, ...]
    size: int
    changed: float


def cached(root: Path) -> list[Cached]:
    """The parts of a cache, the largest first, each encoder's features by themselves; none where there is no cache."""
    parts = []
    for kind, (what, name) in KINDS.items():
        found = sorted(path for path in _inside(root / kind) if name.fullmatch(path.name))
        if kind == "features":
            parts += [_part(kind, f"{what} {_encoder_of(path)}", (path,)) for path in found]
        elif found:
            parts.append(_part(kind, what, tuple(found)))
    return sorted(parts, key=lambda part: (-part.size, part.what))


def clear(part: Cached) -> None:
    """Removes a part; what needs it makes it again.

    Raises:
        OSError: it cannot be removed.
    """
    for path in part.paths:
        with suppress(FileNotFoundError):  # gone by another hand
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _inside(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from folder.iterdir()


def _part(kind: str, what: str, paths: tuple[Path, ...]) -> Cached:
    size, changed = 0, 0.0
    for path in paths:
        for file in [path, *(path.rglob("*") if path.is_dir() else ())]:
            with suppress(OSError):
                found = file.lstat()
                size += 0 if file.is_dir() else found.st_size
                changed = max(changed, found.st_mtime)
    return Cached(kind, what, paths, size, changed)


def _encoder_of(folder: Path) -> str:
    """The fingerprint that `FeatureCache` notes beside its rows."""
    try:
        return str(json.loads((folder / "about.json").read_text("utf-8"))["encoder"])
    except (OSError, ValueError, KeyError, TypeError):
        return "an encoder that is not noted"
