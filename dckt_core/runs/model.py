"""A trained run, read back: encodes images and texts, each on its own, into the common space."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import TypeAdapter
from torch import Tensor

from dckt_core.base.errors import DataError
from dckt_core.base.progress import Progress, silent
from dckt_core.config import Config, Part, read_config
from dckt_core.contract.discovery import Registry, load_registry
from dckt_core.contract.pairs import ImageItem, Pair, PairSet, TextItem
from dckt_core.contract.protocols import Encoder, EncoderContext
from dckt_core.contract.specs import Modality
from dckt_core.data.cache import default_cache_dir
from dckt_core.data.features import compute_features
from dckt_core.data.inputs import Inputs, inputs_for
from dckt_core.data.screening import images_digest, pairs_digest
from dckt_core.data.sources import find_dataset, load_screened
from dckt_core.evaluation.views import VIEW_BATCH
from dckt_core.io.files import write_text
from dckt_core.io.json import read_json, read_record
from dckt_core.io.tensors import checkpoint_file, load_weights, save_weights, weights_digest
from dckt_core.method.correlation import Correlation
from dckt_core.method.network import DomainNetwork
from dckt_core.method.space import CommonSpace
from dckt_core.runs.parts import Plugins, make_common_space, make_networks

MODEL_FORMAT = 1
ROLES, MEDIA = ("source", "target"), ("image", "text")
Checkpoint = Literal["before", "after", "control"]


@dataclass(frozen=True)
class EncoderDescription:
    """What a run must know of an encoder to build it again."""

    fingerprint: str
    dim: int
    trainable: bool
    state: Mapping[str, Any] | None


@dataclass(frozen=True)
class Description:
    """What `model.json` holds: label spaces and digests of the pairs by domain, encoders by medium."""

    format: int
    classes: dict[str, tuple[str, ...]]
    pairs: dict[str, str]
    encoders: dict[str, EncoderDescription]
    images: dict[str, str] = field(default_factory=dict)  # no run before had them

    def __post_init__(self) -> None:
        """Raises ValueError where a domain or a medium is missing."""
        if not self.classes.keys() == self.pairs.keys() == set(ROLES) or self.encoders.keys() != set(MEDIA):
            raise ValueError(f"a model tells of {ROLES} and of encoders of {MEDIA}")


def save_model(run_dir: Path, encoders: Mapping[str, Encoder], pair_sets: Mapping[str, PairSet]) -> None:
    """`model.json`, and the weights of frozen encoders that learnt from the texts at hand."""
    for role, encoder in encoders.items():
        if encoder.state is not None and not encoder.trainable:
            save_weights(_encoder_file(run_dir, role), encoder.module)
    description = Description(
        format=MODEL_FORMAT,
        classes={role: pair_set.classes for role, pair_set in pair_sets.items()},
        pairs={role: pairs_digest(pair_set) for role, pair_set in pair_sets.items()},
        encoders={
            role: EncoderDescription(encoder.fingerprint, encoder.dim, encoder.trainable, encoder.state)
            for role, encoder in encoders.items()
        },
        images={role: images_digest(_used(role, pair_set)) for role, pair_set in pair_sets.items()},
    )
    write_text(run_dir / "model.json", json.dumps(asdict(description), ensure_ascii=False))


def check_model(run_dir: Path, encoders: Mapping[str, Encoder], pair_sets: Mapping[str, PairSet]) -> None:
    """Whether a run that goes on has the encoders and pairs that it began with.

    Raises:
        DataError: it has not, or `model.json` cannot be read.
    """
    described = _read_model(run_dir)
    for role, encoder in encoders.items():
        if encoder.fingerprint != described.encoders[role].fingerprint:
            raise DataError(f"{run_dir}: its {role} encoder is another one than when the run began")
    for role, pair_set in pair_sets.items():
        if pair_set.classes != described.classes[role]:
            raise DataError(f"{run_dir}: its {role} data set has other classes than when the run began")
        if pairs_digest(pair_set) != described.pairs[role]:
            raise DataError(f"{run_dir}: its {role} data set has other pairs than when the run began")
        if role in described.images and images_digest(_used(role, pair_set)) != described.images[role]:
            raise DataError(f"{run_dir}: its {role} data set has other images than when the run began")


def _used(role: str, pair_set: PairSet) -> list[Pair]:
    """The pairs that a training looks at."""
    return [pair for pair in pair_set.pairs if role == "target" or pair.split == "train"]


@dataclass(frozen=True)
class TrainedModel:
    """The common space of a run with its encoders, in eval mode. `load` makes one.

    Attributes:
        classes: the target's label space. Where the target network's class probabilities are the only part of the
            common space, column c of a representation is the probability of `classes[c]`.
    """

    run_dir: Path
    checkpoint: Checkpoint
    config: Config
    classes: tuple[str, ...]
    space: CommonSpace
    image_encoder: Encoder
    text_encoder: Encoder
    registry: Registry
    cache_dir: Path
    device: torch.device
    progress: Progress = silent

    def encode_images(self, items: Sequence[ImageItem | Path | str], *, cache: bool = False) -> Tensor:
        """Common representations [n, D] of images, float32, on the CPU. See `common_space.py` for what they are.

        cache: keep a frozen encoder's features for the next time, as is worth it for a gallery.
        """
        images = [item if isinstance(item, ImageItem) else ImageItem(str(item), Path(item)) for item in items]
        return self._encode(self.image_encoder, images, cache)

    def encode_texts(self, items: Sequence[TextItem | str], *, cache: bool = False) -> Tensor:
        """Common representations [n, D] of texts, as for images."""
        texts = [item if isinstance(item, TextItem) else TextItem(str(n), item) for n, item in enumerate(items)]
        return self._encode(self.text_encoder, texts, cache)

    def predict_images(self, items: Sequence[ImageItem | Path | str]) -> list[str]:
        """The class of each image, one of `classes`, that the target network holds most probable."""
        return self._predict(self.encode_images(items))

    def predict_texts(self, items: Sequence[TextItem | str]) -> list[str]:
        """The class of each text, as for images."""
        return self._predict(self.encode_texts(items))

    def represent(self, medium: Modality, inputs: Tensor) -> Tensor:
        """Common representations [n, D] of one medium's features [n, d], or of the inputs [n, ...] of an encoder that
        trains along; both on the model's device.
        """
        if medium == "image":
            return self.space.represent(inputs, None).image
        return self.space.represent(None, inputs).text

    @cached_property
    def fingerprint(self) -> str:
        """Names all that a common representation depends on, wherever the run lies: equal names, equal encodings.

        64 hexadecimal digits.
        """
        parts = [weights_digest(self.space), self.space.config.model_dump_json()]
        for encoder in (self.image_encoder, self.text_encoder):
            learnt = encoder.state is not None and not encoder.trainable
            parts += [encoder.fingerprint, json.dumps(encoder.state), weights_digest(encoder.module) if learnt else ""]
        return hashlib.sha256(json.dumps([MODEL_FORMAT, *parts]).encode()).hexdigest()

    @property
    def dim(self) -> int:
        """D, the width of a common representation."""
        return self.space.dim

    def target(self) -> PairSet:
        """The data set that the run was trained to search, read again from where the configuration says.

        Raises:
            DataError: it is not there any more, or its label space is another one.
        """
        try:
            find_dataset(self.config.target, self.registry)
        except DataError as error:
            raise DataError(
                f"the target data set of {self.run_dir}: {error}; was it moved? --target says where"
            ) from None
        pair_set = load_screened(
            self.config, "target", self.registry, cache_dir=self.cache_dir, progress=self.progress
        ).pair_set
        if pair_set.classes != self.classes:
            raise DataError(f"{pair_set.origin}: its classes are not those that {self.run_dir} was trained on")
        return pair_set

    def _predict(self, rows: Tensor) -> list[str]:
        """By the first columns, which are the target network's class probabilities, up to a factor of each row."""
        return [self.classes[column] for column in rows[:, : len(self.classes)].argmax(dim=1).tolist()]

    def _encode(self, encoder: Encoder, items: Sequence[Any], cache: bool) -> Tensor:
        if not items:
            return torch.empty(0, self.dim)
        how: dict[str, Any] = {"device": self.device, "batch": self.config.encode_batch, "progress": self.progress}
        inputs: Inputs
        if cache or encoder.trainable:
            inputs = inputs_for(encoder, items, cache_dir=self.cache_dir, **how)
        else:
            inputs = compute_features(encoder, items, **how)
        medium: Modality = "image" if encoder is self.image_encoder else "text"
        parts = []
        for start in range(0, len(items), VIEW_BATCH):
            batch = inputs[torch.arange(start, min(start + VIEW_BATCH, len(items)))].to(self.device)
            parts.append(self.represent(medium, batch).cpu())
        return torch.cat(parts)


def load(
    run: Path | str,
    *,
    registry: Registry | None = None,
    checkpoint: Checkpoint = "after",
    target: str | None = None,
    device: str = "cpu",
    cache_dir: Path | None = None,
    progress: Progress = silent,
) -> TrainedModel:
    """A run folder as a model to use.

    Args:
        checkpoint: the target network `before` transfer, `after` it (best on validation), or its `control`.
        target: where the target data set lies, if not where the configuration says.

    Raises:
        DataError: no run, an unfinished one, or files that do not belong together.
    """
    run_dir = Path(run)
    if not run_dir.is_dir():
        raise DataError(f"{run_dir}: no such run")
    if not (run_dir / "summary.json").exists():
        raise DataError(f"{run_dir}: not a finished run")
    described = _read_model(run_dir)
    config = read_config(run_dir / "config.toml")
    if target is not None:
        config = config.model_copy(update={"target": config.target.model_copy(update={"location": target})})
    registry = registry or load_registry()
    cache_dir = cache_dir or default_cache_dir()
    plugins = Plugins(config, registry)
    encoders = {}
    for role, build in (("image", plugins.image_encoder), ("text", plugins.text_encoder)):
        saved = described.encoders[role]
        try:
            encoder = build(EncoderContext(seed=config.seed, cache_dir=cache_dir, state=saved.state))
        except DataError as error:
            raise DataError(f"{error} (as {run_dir / 'config.toml'} has it; change it there if it was moved)") from None
        if saved.state is None and encoder.fingerprint != saved.fingerprint:
            raise DataError(f"{run_dir}: its {role} encoder had other weights or another preprocessing than this one")
        if saved.state is not None and not encoder.trainable:
            load_weights(_encoder_file(run_dir, role), encoder.module)
        encoders[role] = encoder
    roles = ROLES if checkpoint == "after" and config.representation.source else ("target",)
    counts = {role: len(described.classes[role]) for role in roles}
    networks = make_networks(config, encoders["image"], encoders["text"], counts)
    weights = checkpoint_file(run_dir, checkpoint)
    if checkpoint == "control" and not weights.exists():
        raise DataError(f"{run_dir}: has no control, because it was trained with transfer.control = false")
    load_weights(weights, networks["target"])
    if checkpoint == "after":
        space = _space_after_transfer(run_dir, config, networks, encoders)
    else:
        space = CommonSpace(networks["target"], config.representation)
    place = torch.device(device)
    return TrainedModel(
        run_dir=run_dir,
        checkpoint=checkpoint,
        config=config,
        classes=described.classes["target"],
        space=space.to(place).eval(),
        image_encoder=encoders["image"],
        text_encoder=encoders["text"],
        registry=registry,
        cache_dir=cache_dir,
        device=place,
        progress=progress,
    )


def _space_after_transfer(
    run_dir: Path, config: Config, networks: Mapping[str, DomainNetwork], encoders: Mapping[str, Encoder]
) -> CommonSpace:
    choice, correlation = config.representation, None
    left_out: tuple[Part, ...] = ()
    if choice.margin < 1 and (choice.source or choice.correlation):
        left_out = _left_out(run_dir / "summary.json")
    if choice.correlation:
        correlation = Correlation(encoders["image"].dim, encoders["text"].dim, choice.correlation_width)
        load_weights(checkpoint_file(run_dir, "correlation"), correlation)
    if choice.source:
        load_weights(checkpoint_file(run_dir, "source"), networks["source"])
    return make_common_space(config, networks, correlation, left_out)


def _left_out(summary: Path) -> tuple[Part, ...]:
    """The parts of the common representation that validation chose to do without."""
    try:
        said = read_json(summary, "the summary of a run")["validation"]["after"]["left_out"]
        return TypeAdapter(tuple[Part, ...]).validate_python(said)
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{summary}: not the summary of a run") from None


def _read_model(run_dir: Path) -> Description:
    return read_record(run_dir / "model.json", "the description of a model", Description, format=MODEL_FORMAT)


def _encoder_file(run_dir: Path, role: str) -> Path:
    return run_dir / "checkpoints" / f"{role}_encoder.safetensors"
