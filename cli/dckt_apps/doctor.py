"""What dckt runs on here, and what is wrong with that."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch
from packaging.requirements import Requirement

import dckt_kernels
from dckt_core import __version__
from dckt_core.base.device import find_device
from dckt_core.contract.discovery import HOOKS, Registry
from dckt_core.data.cache import cached
from dckt_core.runs.folder import environment

LITTLE = 1_000_000_000
"""Bytes of room for the cache below which a training may find none."""


@dataclass(frozen=True)
class Finding:
    """One line of the picture.

    Attributes:
        about: what it belongs to: `versions`, `devices`, `kernels`, `plugins`, `extras` or `cache`.
        wrong: whether something has to be done about it.
    """

    about: str
    what: str
    says: str
    wrong: bool = False


def examine(registry: Registry, cache_dir: Path) -> Iterator[Finding]:
    """Everything that can be told without a run or a data set."""
    yield from _versions()
    yield from _devices()
    yield from _kernels()
    yield from _plugins(registry)
    yield from _requirements()
    yield from _cache(cache_dir)


def _versions() -> Iterator[Finding]:
    here = environment()
    yield Finding("versions", "dckt", __version__)
    yield Finding("versions", "python", f"{here['python']} on {here['platform']}")
    for package, version in here["packages"].items():
        if package != "dckt":
            yield Finding("versions", package, version)


def _devices() -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Finding("devices", "cpu", f"{cores} cores may be used, torch takes {torch.get_num_threads()} threads")
    for number in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(number)
        yield Finding("devices", f"cuda:{number}", f"{about.name}, {about.total_memory / 1e9:.0f} GB")
    if torch.backends.mps.is_available():
        yield Finding("devices", "mps", "Metal")
    yield Finding("devices", "auto", f"means {find_device('auto')}")


def _kernels() -> Iterator[Finding]:
    """What computes an MMD on each device; where a GPU does without its kernels, that is slow, and worth a word."""
    for kind in ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]:
        backend = dckt_kernels.resolve_backend(torch.empty(1, 1, device=kind))
        slow = kind == "cuda" and backend != "triton"
        yield Finding("kernels", kind, f"{backend}{'; Triton cannot be used, which would be faster' * slow}", slow)


def _plugins(registry: Registry) -> Iterator[Finding]:
    entries = [entry for spec in HOOKS.values() for entry in [*registry.all(spec.kind), *registry.clashing(spec.kind)]]
    for (distribution, version), count in sorted(Counter((one.distribution, one.version) for one in entries).items()):
        yield Finding("plugins", distribution, f"{version}, {count} plugins")
    for failure in registry.failures:
        yield Finding("plugins", failure.subject, f"left out: {failure.reason}", wrong=True)


def _requirements() -> Iterator[Finding]:
    """What dckt needs, where it is missing or too old, and which extras are whole."""
    needed = [Requirement(line) for line in metadata.requires("dckt") or []]
    for one in needed:
        if one.marker is None or one.marker.evaluate({"extra": ""}):
            fault = _fault(one)
            if fault:
                yield Finding("versions", one.name, fault, wrong=True)
    for extra in metadata.metadata("dckt").get_all("Provides-Extra") or []:
        lacks = ", ".join(lacking(needed, extra))
        yield Finding("extras", extra, f"not whole: {lacks}" if lacks else "installed")


def lacking(needed: Sequence[Requirement], extra: str) -> list[str]:
    """What an extra of dckt needs besides, as `needed` says, and is missing or too old; an extra may ask for others.

    >>> needed = [Requirement('no-such>=1; extra == "a"'), Requirement('dckt[a]; extra == "all"')]
    >>> lacking(needed, "all")
    ['no-such is not installed']
    """
    found: list[str] = []
    for one in needed:
        if one.marker is None or one.marker.evaluate({"extra": ""}) or not one.marker.evaluate({"extra": extra}):
            continue
        if one.name == "dckt":
            found += [fault for other in sorted(one.extras) for fault in lacking(needed, other)]
        elif fault := _fault(one):
            found.append(f"{one.name} {fault}")
    return list(dict.fromkeys(found))


def _fault(one: Requirement) -> str:
    """What is wrong with an installed package; empty where nothing is."""
    try:
        version = metadata.version(one.name)
    except metadata.PackageNotFoundError:
        return "is not installed"
    return "" if one.specifier.contains(version, prereleases=True) else f"is {version}, and {one.specifier} is needed"


def _cache(folder: Path) -> Iterator[Finding]:
    size = sum(part.size for part in cached(folder))
    yield Finding("cache", str(folder), f"{size / 1e6:.1f} MB")
    there = next(one for one in [folder, *folder.absolute().parents] if one.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        yield Finding("cache", "writing", f"{there}: {error.strerror}", wrong=True)
        return
    free = shutil.disk_usage(there).free
    yield Finding("cache", "room", f"{free / 1e9:.1f} GB free", wrong=free < LITTLE)
