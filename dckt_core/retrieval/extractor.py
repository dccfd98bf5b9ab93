"""What turns items into rows: an encoder by itself, or one medium's half of a trained run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from pydantic_core import to_jsonable_python
from torch import Tensor

from dckt_core.contract.options import parse_options
from dckt_core.contract.pairs import Medium
from dckt_core.contract.protocols import Encoder, EncoderContext
from dckt_core.data.context import Context
from dckt_core.data.features import forward
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
) -> Extractor:
    """Features under a registered encoder with these options.

    Args:
        texts: what an encoder that learns a vocabulary learns it from.
    """
    registered = context.registry.find("encoder", name)
    options = parse_options(registered.spec, said, where=f"encoder '{name}'")
    given = EncoderContext(seed=seed, cache_dir=context.cache_dir, medium=medium, texts=texts)
    encoder = make_encoder(registered, options, given)
    module = encoder.module.to(device).eval()
    weights = weights_digest(module)
    provenance = {
        "encoder": registered.name,
        "plugin": str(registered),
        "options": to_jsonable_python(asdict(options)),
        "seed": seed,
        "fingerprint": encoder.fingerprint,
        "weights_sha256": weights,
    }
    return Extractor(
        medium=medium,
        encoder=encoder,
        rows=lambda inputs: forward(encoder, module, inputs),
        dim=encoder.dim,
        device=device,
        fingerprint=f"{encoder.fingerprint} {weights}",
        provenance=provenance,
    )


def by_run(model: TrainedModel, medium: Medium) -> Extractor:
    """Places in the common space of a trained run."""
    encoder = model.encoder(medium)
    module = encoder.module.to(model.device).eval()

    def rows(inputs: Tensor) -> Tensor:
        return model.represent(medium, inputs if encoder.trainable else forward(encoder, module, inputs))

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
