"""The seven extension points. A plugin implements any of them in a module named by an entry point of group `dckt`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pluggy

from dckt_core.contract.specs import (
    DatasetSpec,
    DiscrepancySpec,
    EncoderSpec,
    IndexSpec,
    ObserverSpec,
    PartSpec,
    SamplerSpec,
)

PROJECT = "dckt"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a plugin's functions as implementations: `from dckt_core import hookimpl`."""


@hookspec
def dckt_encoders() -> Iterable[EncoderSpec[Any]]:
    """Image and text encoders (`--encoder`, `--text-encoder`)."""
    raise NotImplementedError


@hookspec
def dckt_discrepancies() -> Iterable[DiscrepancySpec[Any]]:
    """Domain-discrepancy losses (`--discrepancy`)."""
    raise NotImplementedError


@hookspec
def dckt_samplers() -> Iterable[SamplerSpec[Any]]:
    """Curriculum samplers (`--sampler`)."""
    raise NotImplementedError


@hookspec
def dckt_datasets() -> Iterable[DatasetSpec[Any]]:
    """Layouts on disk and data sets made on the spot (`--source`, `--target`)."""
    raise NotImplementedError


@hookspec
def dckt_indexes() -> Iterable[IndexSpec[Any]]:
    """Nearest-neighbour indexes for search (`--index`)."""
    raise NotImplementedError


@hookspec
def dckt_observers() -> Iterable[ObserverSpec[Any]]:
    """Loggers and callbacks of training (`--observer`)."""
    raise NotImplementedError


@hookspec
def dckt_parts() -> Iterable[PartSpec[Any]]:
    """Parts of the common space (`--part`)."""
    raise NotImplementedError
