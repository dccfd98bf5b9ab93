"""What turns items into rows: an encoder by itself, or one medium's half of a trained run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from pydantic_core import to_jsonable_python
from torch import Tensor

from dckt_core.base.errors import DataError, UsageError
from dckt_core.contract.options import parse_options
from dckt_core.contract.pairs import MEDIA, Medium
from dckt_core.contract.protocols import Encoder, EncoderContext
from dckt_core.data.context import Context
from dckt_core.data.inference import PLAIN, Inference, rows_of
from dckt_core.io.feature_files import FeatureTable, features_digest, read_features
from dckt_core.io.tensors import weights_digest
from dckt_core.runs.model import TrainedModel
from dckt_core.runs.plugins import make_encoder


@dataclass(frozen=True)
class Extractor:
    """Items are prepared by the encoder and pass `rows` in batches.

    Attributes:
        rows: the encoder's inputs [n, ...], on the device, to rows [n, dim], float32.
        fingerprint: names all that a row depends on besides its item.
        provenance: the same for people, fit for JSON.
    """

    medium: Medium
    encoder: Encoder
    rows: Callable[[Tensor], Tensor]
    dim: int
    device: torch.device
    fingerprint: str
    provenance: Mapping[str, Any]


def by_encoder(
    name: str,
    said: Mapping[str, str],
    context: Context,
    medium: Medium,
    *,
    texts: Sequence[str] = (),
    seed: int = 0,
    device: torch.device,
    how: Inference = PLAIN,
) -> Extractor:
    """Features under a registered encoder with these options.

    Args:
        how: its module computes.
        texts: what an encoder that learns a vocabulary learns it from.
    """
    registered = context.registry.find("encoder", name)
    options = parse_options(registered.spec, said, where=f"encoder '{name}'")
    given = EncoderContext(seed=seed, cache_dir=context.cache_dir, medium=medium, texts=texts)
    encoder = make_encoder(registered, options, given)
    weights = weights_digest(encoder.module)
    provenance = {
        "encoder": registered.name,
        "plugin": str(registered),
        "options": to_jsonable_python(asdict(options)),
        "seed": seed,
        "fingerprint": encoder.fingerprint,
        "weights_sha256": weights,
        **asdict(how),
    }
    return Extractor(
        medium=medium,
        encoder=encoder,
        rows=rows_of(encoder, device, how),
        dim=encoder.dim,
        device=device,
        fingerprint=f"{encoder.fingerprint} {weights} {how}",
        provenance=provenance,
    )


def by_features(model: TrainedModel, medium: Medium, table: FeatureTable) -> Extractor:
    """Places in the common space of a trained run, from features that something else computed.

    Raises:
        DataError: they are not what the run's encoder gives: of another width, or said to be another encoder's.
        UsageError: the run's encoder trains along, so that it takes no features.
    """
    encoder, run = model.encoder(medium), f"the {medium} encoder of {model.run_dir}"
    if encoder.trainable:
        raise UsageError(f"{run} trains along, so that features are not enough: give {medium}s")
    made = table.made_by.get("fingerprint")
    if made is not None and "run" in table.made_by:
        raise DataError(f"{table.place}: places in the common space of a run, and no features")
    if table.dim != encoder.dim:
        raise DataError(f"{table.place}: rows of {table.dim} values, and {run} gives {encoder.dim}")
    if made is not None and not model.by_id(medium) and made != encoder.fingerprint:
        raise DataError(f"{table.place}: its rows are of encoder '{made}', and {run} is '{encoder.fingerprint}'")
    digest = features_digest(table.place)

    def prepare(items: Sequence[Any]) -> Tensor:
        return table.take([item.number for item in items])

    provenance = {
        "run": str(model.run_dir),
        "checkpoint": model.checkpoint,
        "features": str(table.place),
        "features_sha256": digest,
        "fingerprint": encoder.fingerprint,
        "weights_sha256": model.fingerprint,
    }
    return Extractor(
        medium=medium,
        encoder=replace(encoder, prepare=prepare, words=None, cut=None, check=None),
        rows=lambda inputs: model.represent(medium, inputs),
        dim=model.dim,
        device=model.device,
        fingerprint=f"{model.fingerprint} {digest}",
        provenance=provenance,
    )


def features_of(model: TrainedModel, place: Path, medium: Medium | None) -> dict[Medium, FeatureTable]:
    """The features at a place by medium, as a run may take them.

    Args:
        medium: what they are of; None where the place says so, or their width.

    Raises:
        UsageError: nothing says what they are of.
        DataError: there is nothing that can be read.
    """
    if medium is not None:
        return {medium: read_features(place, medium=medium)}
    tables: dict[Medium, FeatureTable] = {one: read_features(place, medium=one) for one in MEDIA}
    if tables["image"].array != tables["text"].array:
        return tables
    table = tables["image"]
    fitting: list[Medium] = [one for one in MEDIA if model.encoder(one).dim == table.dim]
    told: list[Medium] = [one for one in MEDIA if one == table.medium]
    (found,) = told or fitting if len(told or fitting) == 1 else [None]
    if found is None:
        raise UsageError(f"{place}: say which medium its {len(table)} rows of {table.dim} values are of: image or text")
    return {found: table}


def by_run(model: TrainedModel, medium: Medium) -> Extractor:
    """Places in the common space of a trained run."""
    encoder, how = model.encoder(medium), model.setup.inference
    features = None if encoder.trainable else rows_of(encoder, model.device, how)

    def rows(inputs: Tensor) -> Tensor:
        return model.represent(medium, features(inputs) if features else inputs)

    provenance = {
        "run": str(model.run_dir),
        "checkpoint": model.checkpoint,
        "encoder": (model.config.encoder if medium == "image" else model.config.text_encoder).name,
        "plugin": encoder.plugin,
        "fingerprint": encoder.fingerprint,
        "weights_sha256": model.fingerprint,
    }
    return Extractor(
        medium=medium,
        encoder=encoder,
        rows=rows,
        dim=model.dim,
        device=model.device,
        fingerprint=model.fingerprint,
        provenance=provenance,
    )
