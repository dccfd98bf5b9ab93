"""A trained run, read back: encodes images and texts, each on its own, into the common space."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from dckt_core.base.errors import DataError, NothingKnownError
from dckt_core.base.progress import Progress, logger, silent
from dckt_core.config import Config, read_config
from dckt_core.contract.discovery import Registry, load_registry
from dckt_core.contract.pairs import MEDIA, ROLES, Medium, Pair, PairSet, Role, Split, TextItem
from dckt_core.contract.protocols import Encoder, Item, PartContext, Represents
from dckt_core.data.cache import default_cache_dir
from dckt_core.data.context import Context
from dckt_core.data.coverage import cover, unknown_words
from dckt_core.data.features import compute_features
from dckt_core.data.inference import PLAIN
from dckt_core.data.inputs import Inputs, inputs_for
from dckt_core.data.screening import images_digest, pairs_digest
from dckt_core.data.sources import find_dataset
from dckt_core.evaluation.calibration import FORMAT as CALIBRATION_FORMAT
from dckt_core.evaluation.calibration import Calibration
from dckt_core.evaluation.views import VIEW_BATCH
from dckt_core.io.files import write_text
from dckt_core.io.json import read_record
from dckt_core.io.seal import Seal
from dckt_core.io.tensors import (
    load_weights,
    save_weights,
    tensors_digest,
    weights_digest,
)
from dckt_core.io.text import shown
from dckt_core.method.network import DomainNetwork
from dckt_core.runs.given import Images, Picture, Texts, given
from dckt_core.runs.layout import Layout
from dckt_core.runs.seal import run_seal
from dckt_core.runs.setup import Setup, moved
from dckt_core.space.space import Space

MODEL_FORMAT = 1
Checkpoint = Literal["result", "before", "after", "control"]


@dataclass(frozen=True)
class EncoderDescription:
    """What a run must know of an encoder to build it again."""

    fingerprint: str
    dim: int
    trainable: bool
    state: Mapping[str, Any] | None


@dataclass(frozen=True)
class Description:
    """What `model.json` holds: label spaces and digests of the pairs by domain, encoders by medium.

    Attributes:
        test: digest of the target's test pairs. Runs that share it compare, whatever else the target offered them.
    """

    format: int
    classes: dict[Role, tuple[str, ...]]
    pairs: dict[Role, str]
    encoders: dict[Medium, EncoderDescription]
    test: str
    images: dict[Role, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ValueError where a domain or a medium is missing."""
        if not self.classes.keys() == self.pairs.keys() == set(ROLES) or self.encoders.keys() != set(MEDIA):
            raise ValueError(f"a model tells of {ROLES} and of encoders of {MEDIA}")


def save_model(run_dir: Path, setup: Setup) -> None:
    """`model.json`, and the weights of frozen encoders that learnt from the texts at hand."""
    for medium, encoder in setup.encoders.items():
        if encoder.state is not None and not encoder.trainable:
            save_weights(Layout(run_dir).encoder(medium), encoder.module)
    description = Description(
        format=MODEL_FORMAT,
        classes={role: pair_set.classes for role, pair_set in setup.pair_sets.items()},
        pairs={role: pairs_digest(pair_set) for role, pair_set in setup.pair_sets.items()},
        encoders={
            medium: EncoderDescription(encoder.fingerprint, encoder.dim, encoder.trainable, encoder.state)
            for medium, encoder in setup.encoders.items()
        },
        test=pairs_digest(replace(setup.pairs("target"), pairs=setup.pairs("target").split("test"), names={})),
        images={}
        if setup.at_hand
        else {role: images_digest(_used(role, pair_set)) for role, pair_set in setup.pair_sets.items()},
    )
    write_text(Layout(run_dir).model, json.dumps(asdict(description), ensure_ascii=False))


def check_model(run_dir: Path, setup: Setup) -> None:
    """Whether a run that goes on has the encoders and pairs that it began with.

    Raises:
        DataError: it has not, or `model.json` cannot be read.
    """
    described = _read_model(run_dir)
    for medium, encoder in setup.encoders.items():
        if encoder.fingerprint != described.encoders[medium].fingerprint:
            raise DataError(f"{run_dir}: its {medium} encoder is another one than when the run began")
    for role, pair_set in setup.pair_sets.items():
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
    """The common space of a run with its encoders. `load` makes one.

    Attributes:
        run_dir: the run's folder.
        checkpoint: what was loaded.
        setup: configuration, data and encoders of the run.
        classes: the target's label space.
        space: what encodes: the common space, or with another checkpoint a network of the method.
        networks: those of the method that it has part in.
        target_named: whether whoever loaded it said where the target lies.
    """

    run_dir: Path
    checkpoint: Checkpoint
    setup: Setup
    classes: tuple[str, ...]
    space: Represents
    networks: Mapping[Role, DomainNetwork]
    target_named: bool = False

    def __repr__(self) -> str:
        said = ", ".join(f"{name}={getattr(self, name)!r}" for name in ("checkpoint", "dim", "classes"))
        return f"TrainedModel({str(self.run_dir)!r}, {said})"

    @property
    def config(self) -> Config:
        """The run's."""
        return self.setup.config

    @property
    def device(self) -> torch.device:
        """Where it computes; what it gives is on the CPU."""
        return self.setup.device

    @property
    def context(self) -> Context:
        """Plugins, cache and progress."""
        return self.setup.context

    def at(self, checkpoint: Checkpoint) -> TrainedModel:
        """The same run at another checkpoint, by the same encoders; arguments and errors as of `load`."""
        return _model_at(self.run_dir, self.setup, self.classes, checkpoint)

    def encoder(self, medium: Medium) -> Encoder:
        """The encoder of one medium."""
        return self.setup.encoders[medium]

    def by_id(self, medium: Medium) -> bool:
        """Whether the encoder of one medium goes by ids, so that nothing from elsewhere can be encoded."""
        return self.setup.plugins.by_id(medium)

    def encode_images(self, images: Images, *, cache: bool = False) -> Tensor:
        """Common representations [n, D] of images, float32, on the CPU. See `space/space.py` for what they are.

        Args:
            images: a path, a PIL image or a picture as an array, uint8 [h, w, 3] or [n, h, w, 3]; a sequence of these;
                or rows [n, d], floating-point, as the frozen image encoder gives them.
            cache: keep a frozen encoder's features of files for the next time, as is worth it for a gallery.

        Raises:
            ArgumentError: what was given is none of these.
            DataError: a picture cannot be read.
        """
        return self._batches("image", images, self.represent, self.dim, cache=cache)

    def encode_texts(self, texts: Texts, *, cache: bool = False) -> Tensor:
        """Common representations [n, D] of texts: a string, a sequence of strings, or rows, as for images."""
        return self._batches("text", texts, self.represent, self.dim, cache=cache)

    def predict_images(self, images: Images) -> list[str]:
        """The class of each image, one of `classes`, that is held most probable.

        Raises:
            UsageError: nothing in the common space tells classes apart.
        """
        return self._most_probable(self.image_probabilities(images))

    def predict_texts(self, texts: Texts, *, insist: bool = False) -> list[str]:
        """The class of each text, as for images.

        Args:
            insist: answer even for a text of which the run knows no word, which is chance.

        Raises:
            NothingKnownError: the run knows no word of a text.
        """
        if not insist:
            items = given("text", texts, self.encoder("text"))
            self.refuse_unknown([item.text for item in items if isinstance(item, TextItem)])
        return self._most_probable(self.text_probabilities(texts))

    def image_probabilities(self, images: Images) -> Tensor:
        """Probabilities [n, C] of `classes` for images, each row adding up to 1; errors as in `predict_images`."""
        return self._batches("image", images, self.probabilities, len(self.classes))

    def text_probabilities(self, texts: Texts) -> Tensor:
        """Probabilities [n, C] of `classes` for texts, as for images."""
        return self._batches("text", texts, self.probabilities, len(self.classes))

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """The words of a text that the run has no vector for, each once; none where its encoder goes by no words."""
        words = self.encoder("text").words
        return unknown_words(words, text) if words else ()

    def is_cut(self, text: str) -> bool:
        """Whether a text is longer than the run's text encoder reads; False where nobody knows."""
        cut = self.encoder("text").cut
        return cut is not None and cut(text)

    @cached_property
    def calibration(self) -> Calibration | None:
        """What the cosine of an image with a text says of their belonging together; None where validation said nothing.

        Raises:
            DataError: its file is broken.
        """
        seal, file = run_seal(self.run_dir), Layout(self.run_dir).calibration
        if self.checkpoint != "result" or not (file.exists() or file.name in seal.files):
            return None
        seal.check(file)
        return read_record(file, "the calibration of a run", Calibration, format=CALIBRATION_FORMAT)

    def knows(self, text: str) -> bool:
        """Whether the run knows a word of a text; True where its encoder goes by no words."""
        words = self.encoder("text").words
        return words is None or cover(words, [text]).known > 0

    def refuse_unknown(self, texts: Sequence[str]) -> None:
        """Raises NothingKnownError for a text of which the run knows no word: any answer to it would be chance."""
        for text in texts:
            if not self.knows(text):
                unknown = ", ".join(self.unknown_words(text))
                why = f"the run knows none of its words ({unknown})" if unknown else "it has no words"
                raise NothingKnownError(f"nothing is known of {shown(text)}: {why}; insist to be answered all the same")

    def _most_probable(self, rows: Tensor) -> list[str]:
        return [self.classes[column] for column in rows.argmax(dim=1).tolist()]

    def represent(self, medium: Medium, inputs: Tensor) -> Tensor:
        """Common representations [n, D] of one medium's features [n, d], or of the inputs [n, ...] of an encoder that
        trains along; inputs on the model's device.
        """
        if medium == "image":
            return self.space.represent(inputs, None).image
        return self.space.represent(None, inputs).text

    def probabilities(self, medium: Medium, inputs: Tensor) -> Tensor:
        """Probabilities [n, C] of `classes` for inputs as in `represent`."""
        if isinstance(self.space, Space):
            return self.space.probabilities(medium, inputs)
        return self.represent(medium, inputs)

    @cached_property
    def fingerprint(self) -> str:
        """Names all that a common representation depends on, wherever the run lies: equal names, equal encodings.

        64 hexadecimal digits.
        """
        parts = [weights_digest(network) for network in self.networks.values()]
        if isinstance(self.space, Space):
            parts += [tensors_digest(self.space.tensors()), json.dumps(self.space.description.weights)]
        for encoder in self.setup.encoders.values():
            learnt = encoder.state is not None and not encoder.trainable
            parts += [encoder.fingerprint, json.dumps(encoder.state), weights_digest(encoder.module) if learnt else ""]
        how = self.setup.inference
        parts += [] if how == PLAIN else [str(how)]
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
        pair_set = self._target_pairs()
        if pair_set.classes and pair_set.classes != self.classes:  # what is there to be scored alone has none
            raise DataError(f"{pair_set.origin}: its classes are not those that {self.run_dir} was trained on")
        if what := self._changed:
            logger.warning("%s: its %s not those that %s has seen", pair_set.origin, what, self.run_dir)
            self.__dict__["_changed"] = ""  # said once
        return pair_set

    def _target_pairs(self) -> PairSet:
        """The target's pairs, whatever their classes; raises DataError where it is not there any more."""
        try:
            find_dataset(self.config.target, self.setup.context.registry)
        except DataError as error:
            raise DataError(
                f"the target data set of {self.run_dir}: {error}; if it was moved, give its place as target"
            ) from None
        return self.setup.pairs("target")

    @cached_property
    def _changed(self) -> str:
        return self._changed_of(None)

    def _changed_of(self, split: Split | None) -> str:
        """What of the target, or of a split of it, is not as the run has seen it, by the digests in `model.json`; empty
        where all is.
        """
        described, pair_set = _read_model(self.run_dir), self._target_pairs()
        test = replace(pair_set, pairs=pair_set.split("test"), names={})
        if split in (None, "test") and pairs_digest(test) != described.test:
            return "test pairs are"
        if split != "test" and pairs_digest(pair_set) != described.pairs["target"]:
            return "pairs are"
        if "target" in described.images and images_digest(_used("target", pair_set)) != described.images["target"]:
            return "pictures are"
        return ""

    def check_unchanged(self, split: Split) -> None:
        """Passes where the pairs of a split, which figures will be of, are those that the run has seen; or where the
        target was named anew, so that others are meant.

        Raises:
            DataError: they are others: whether the run has learnt from them, nobody knows.
        """
        if self.target_named:
            return
        if what := self._changed_of(split):
            raise DataError(
                f"{self.setup.pairs('target').origin}: its {what} not those that {self.run_dir} has seen, so that it "
                f"may have learnt from what it would be scored on; --target {self.config.target.location} scores them "
                "all the same"
            )

    def _batches(
        self,
        medium: Medium,
        value: Images | Texts,
        compute: Callable[[Medium, Tensor], Tensor],
        width: int,
        *,
        cache: bool = False,
    ) -> Tensor:
        """What `compute` gives for what was given, a batch at a time: [n, width]."""
        encoder = self.encoder(medium)
        items = given(medium, value, encoder)
        if not len(items):
            return torch.empty(0, width)
        inputs = items if isinstance(items, Tensor) else self._inputs(encoder, items, cache)
        parts = []
        for start in range(0, len(items), VIEW_BATCH):
            batch = inputs[torch.arange(start, min(start + VIEW_BATCH, len(items)))].to(self.device)
            parts.append(compute(medium, batch).cpu())
        return torch.cat(parts)

    def _inputs(self, encoder: Encoder, items: Sequence[Item], cache: bool) -> Inputs:
        context = self.setup.context
        how: dict[str, Any] = {
            "device": self.device,
            "batch": self.config.encode_batch,
            "how": self.setup.inference,
            "progress": context.progress,
        }
        files = cache and not any(isinstance(item, Picture) for item in items)  # the cache knows pictures by file
        if files or encoder.trainable:
            return inputs_for(encoder, items, cache_dir=context.cache_dir, **how)
        return compute_features(encoder, items, **how)


def load(
    run: Path | str,
    *,
    checkpoint: Checkpoint = "result",
    source: str | None = None,
    target: str | None = None,
    device: str = "cpu",
    registry: Registry | None = None,
    cache_dir: Path | None = None,
    progress: Progress = silent,
) -> TrainedModel:
    """A run folder as a model to use.

    Args:
        checkpoint: the run's `result`, its common space; or the published method's target network `before` transfer,
            `after` it (best on validation), or its `control`.
        source: where the source data set lies, if not where the configuration says.
        target: where the target data set lies, likewise.
        device: `cpu`, `cuda` or `mps`.
        registry: plugins; None for all that are installed.
        cache_dir: None for the user's cache folder.
        progress: told how far long work is.

    Raises:
        DataError: no run, an unfinished one, or files that are altered or do not belong together.
    """
    context = Context(registry or load_registry(), cache_dir or default_cache_dir(), progress)
    return load_run(run, context, checkpoint=checkpoint, source=source, target=target, device=device)


def load_run(
    run: Path | str,
    context: Context,
    *,
    checkpoint: Checkpoint = "result",
    source: str | None = None,
    target: str | None = None,
    device: str = "cpu",
) -> TrainedModel:
    """`load` in a context."""
    run_dir = Path(run)
    seal, files = run_seal(run_dir), Layout(run_dir)
    seal.check(files.config, files.model)
    described = _read_model(run_dir)
    config = moved(read_config(files.config), source=source, target=target)
    states = {medium: described.encoders[medium].state for medium in MEDIA}
    classes = {role: len(names) for role, names in described.classes.items()}
    setup = Setup(config, context, device=torch.device(device), states=states, classes=classes)
    _load_encoders(run_dir, setup, described, seal)
    model = _model_at(run_dir, setup, described.classes["target"], checkpoint)
    return replace(model, target_named=target is not None)


def _model_at(run_dir: Path, setup: Setup, classes: tuple[str, ...], checkpoint: Checkpoint) -> TrainedModel:
    files, seal = Layout(run_dir), run_seal(run_dir)
    networks = _Networks(run_dir, setup, "after" if checkpoint == "result" else checkpoint)
    space: Represents
    if checkpoint == "result":
        built = PartContext(seed=setup.config.seed, networks=networks)
        seal.check(files.checkpoint("space"))
        space = Space.load(files.checkpoint("space"), setup.parts, built)
    else:
        if not files.checkpoint(checkpoint).exists():
            if checkpoint == "control" and files.checkpoint("after").exists():
                raise DataError(f"{run_dir}: has no control, because it was trained with transfer.control = false")
            raise DataError(f"{run_dir}: has no network '{checkpoint}', because it trained none")
        space = networks["target"]
    return TrainedModel(run_dir, checkpoint, setup, classes, space, networks.read)


def _load_encoders(run_dir: Path, setup: Setup, described: Description, seal: Seal) -> None:
    try:
        encoders = setup.encoders
    except DataError as error:
        how = f"change it there if it was moved, then: dckt verify --accept {run_dir}"
        raise DataError(f"{error} (as {Layout(run_dir).config} has it; {how})") from None
    for medium, encoder in encoders.items():
        saved = described.encoders[medium]
        if saved.state is None and encoder.fingerprint != saved.fingerprint:
            raise DataError(f"{run_dir}: its {medium} encoder had other weights or another preprocessing than this one")
        if saved.state is not None and not encoder.trainable:
            seal.check(Layout(run_dir).encoder(medium))
            load_weights(Layout(run_dir).encoder(medium), encoder.module)


class _Networks(Mapping[Role, DomainNetwork]):
    """The method's networks as a run kept them; each is read when it is first asked for.

    Args:
        target: which target network.
    """

    def __init__(self, run_dir: Path, setup: Setup, target: str) -> None:
        self._run_dir, self._setup = run_dir, setup
        self._kept: dict[Role, str] = {"target": target, "source": "source"}
        self.read: dict[Role, DomainNetwork] = {}

    def __getitem__(self, role: Role) -> DomainNetwork:
        if role not in self.read:
            self.read[role] = self._setup.kept_network(self._run_dir, self._kept[role], role)
        return self.read[role]

    def __iter__(self) -> Iterator[Role]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)


def _read_model(run_dir: Path) -> Description:
    return read_record(Layout(run_dir).model, "the description of a model", Description, format=MODEL_FORMAT)
