"""`precomputed-image`, `precomputed-text`: rows of a file of features, by the id and the role of a pair."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from dckt_core import DataError, Encoder, EncoderContext, Item, Medium, Role, UsageError
from dckt_plugins.encoders.catalogue import PrecomputedOptions
from dckt_plugins.encoders.feature_files import FeatureTable, read_table

FLAGS = {"image": "--encoder-opt", "text": "--text-encoder-opt"}


def build_image(options: PrecomputedOptions, context: EncoderContext) -> Encoder:
    """The encoder of images; errors as of `_build`."""
    return _build(options, "image")


def build_text(options: PrecomputedOptions, context: EncoderContext) -> Encoder:
    """The encoder of texts; errors as of `_build`."""
    return _build(options, "text")


def _build(options: PrecomputedOptions, medium: Medium) -> Encoder:
    """The encoder; see `catalogue.PrecomputedOptions`.

    Raises:
        UsageError: no file is named for the target, nor how wide rows are that come without one; or both are.
        DataError: a file cannot be used, or the two have rows of different widths.
    """
    name, flag = f"precomputed-{medium}", FLAGS[medium]
    if options.dim is not None:
        if (options.target, options.source) != (None, None):
            raise UsageError(f"encoder '{name}': {flag} dim=N is for rows without a file; the files say it themselves")
        return _of_rows(name, medium, options.dim, options.space)
    if options.target is None:
        raise UsageError(f"encoder '{name}' needs {flag} target=FILE, and source=FILE for training")
    given: dict[Role, tuple[str | None, str | None]] = {
        "target": (options.target, options.target_ids),
        "source": (options.source, options.source_ids),
    }
    tables: dict[Role, FeatureTable] = {
        role: read_table(Path(file), Path(ids) if ids else None, options.key, ids_option=f"{flag} {role}_ids=FILE")
        for role, (file, ids) in given.items()
        if file is not None
    }
    dim = tables["target"].features.shape[1]
    for table in tables.values():
        if table.features.shape[1] != dim:
            raise DataError(f"{table.file}: rows of {table.features.shape[1]} values, and {options.target} has {dim}")

    def row(item: Item) -> Tensor:
        if item.role is None:
            raise UsageError(
                f"encoder '{name}' knows the pairs of a run's source and target alone, so no query from elsewhere; "
                f"train with an encoder that computes features to search by any {medium}"
            )
        if item.role not in tables:
            raise UsageError(f"encoder '{name}' has no features of the {item.role}: {flag} {item.role}=FILE")
        return tables[item.role].row(item.id)

    def prepare(items: Sequence[Item]) -> Tensor:
        return torch.stack([row(item) for item in items]) if items else torch.empty(0, dim)

    return Encoder(
        prepare=prepare,
        module=nn.Identity(),
        dim=dim,
        fingerprint=f"{name}/{_digest(options)}",
        cached=False,  # the cache knows items by what they hold, and these features go by ids
        space=options.space,
    )


def _of_rows(name: str, medium: Medium, dim: int, space: str | None) -> Encoder:
    """For who has rows at hand, whose encoder nobody else knows."""

    def refuse(items: Sequence[Item]) -> Tensor:
        raise UsageError(f"encoder '{name}' has no file of features, and takes no {medium}s: give rows of {dim} values")

    module = nn.Identity()
    fingerprint = f"{name}/rows of {dim}"
    return Encoder(prepare=refuse, module=module, dim=dim, fingerprint=fingerprint, cached=False, space=space)


def _digest(options: PrecomputedOptions) -> str:
    """Names what the files hold, wherever they lie: 16 hexadecimal digits."""
    digest = hashlib.sha256(repr(options.key).encode())
    for file in (options.target, options.target_ids, options.source, options.source_ids):
        content = "none"
        if file is not None:
            with Path(file).open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
        digest.update(content.encode())
    return digest.hexdigest()[:16]
