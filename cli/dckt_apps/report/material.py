"""What a report needs beyond the run folder: the data and the networks, computed once, or the reason why not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor

from dckt_apps.report.projection import evenly_spaced
from dckt_core.base.errors import DataError, DcktError
from dckt_core.config import read_config
from dckt_core.contract.names import LAYERS
from dckt_core.contract.pairs import Pair, PairSet, Role
from dckt_core.contract.protocols import Representation
from dckt_core.data.contents import Contents, contents_of
from dckt_core.data.context import Context
from dckt_core.data.domain import SplitData
from dckt_core.data.inputs import inputs_for
from dckt_core.data.screening import pairs_digest
from dckt_core.evaluation.views import layer_outputs, represent
from dckt_core.runs.model import Checkpoint, TrainedModel, load_run
from dckt_core.runs.outcome import SeenByParts
from dckt_core.runs.record import RunRecord
from dckt_core.runs.results import lookup
from dckt_core.runs.setup import Setup, moved
from dckt_core.space.space import Space

COMMON_LAYER = LAYERS[-1]
"""The last layer that means the same in both domains: behind it each has its own classes."""

MAP_PAIRS = 200
"""Pairs of each domain on the map of the common space, evenly spaced in the data set."""

T = TypeVar("T")


@dataclass(frozen=True)
class Missing:
    """A part of the report that cannot be made, and why, in one line."""

    reason: str


def attempt(make: Callable[[], T]) -> T | Missing:
    """What `make` makes, or what kept it from being made."""
    try:
        return make()
    except DcktError as error:
        return Missing(str(error))


def unwrap(part: T | Missing) -> T:
    """The part; raises DataError with the reason where it is missing."""
    if isinstance(part, Missing):
        raise DataError(part.reason)
    return part


@dataclass(frozen=True)
class Seen:
    """The test pairs under one checkpoint: those that have a label, or all of them where none has.

    Attributes:
        view: common representations of images and texts [N, D].
        labels: classes [N], int64; -1 throughout where none has a label.
        contents: which pairs share a picture or a text.
        common: outputs of the common layer for some of the pairs [2n, d]: image rows, then text rows; None where there
            is no network.
        parts: names of the parts of a common space, in their order; none of a network.
        of_parts: the view through some of them alone [N, D]; None for a network.
    """

    view: Representation
    labels: Tensor
    pairs: Sequence[Pair]
    contents: Contents
    common: Tensor | None
    parts: tuple[str, ...] = ()
    of_parts: Callable[[Sequence[str]], Representation] | None = None

    @property
    def labelled(self) -> bool:
        return bool((self.labels >= 0).any())


class Material:
    """A run's data and networks. Each is loaded once, when it is first asked for; what failed fails again.

    Every method raises DcktError where what it needs cannot be had.

    Args:
        target, source: where the data sets lie, if not where the configuration says.
    """

    def __init__(
        self,
        record: RunRecord,
        context: Context,
        *,
        target: str | None = None,
        source: str | None = None,
        device: str = "cpu",
    ) -> None:
        self.record = record
        self._context = context
        self._locations = {"source": source, "target": target}
        self._device = device
        self._model: TrainedModel | None = None
        self._seen: dict[Checkpoint, Seen | Missing] = {}
        self._source_common: Tensor | Missing = Missing(f"{record.path}: not a finished run")

    def target(self) -> PairSet:
        """The target data set."""
        return unwrap(self._target)

    @cached_property
    def _target(self) -> PairSet | Missing:
        return attempt(lambda: self._load_pairs("target"))

    def target_changed(self) -> bool:
        """Whether the target pairs are not those that the run was trained and scored on."""
        return bool(lookup(self.record.model, "pairs", "target") != pairs_digest(self.target()))

    def seen(self, checkpoint: Checkpoint) -> Seen:
        """The test pairs under a checkpoint."""
        if checkpoint not in self._seen:
            self._seen[checkpoint] = attempt(lambda: self._look(checkpoint))
        return unwrap(self._seen[checkpoint])

    def common(self, checkpoint: Checkpoint) -> Tensor:
        """Outputs of the common layer for some of the test pairs under a network, as in `Seen`."""
        if checkpoint not in self.checkpoints:
            untrained = self.record.results.untrained
            reason = f": {untrained}" if untrained else f" '{checkpoint}'"
            raise DataError(f"{self.record.path} has no network{reason}")
        common = self.seen(checkpoint).common
        assert common is not None, "every network has layers"
        return common

    def source_common(self) -> Tensor:
        """Outputs of the common layer for some source training pairs [2n, d], as in `Seen`.

        Under the source network as the run keeps it: as it was when the target network was best.
        """
        self.seen("after")
        return unwrap(self._source_common)

    @cached_property
    def checkpoints(self) -> list[Checkpoint]:
        """What there is to look at, the result last."""
        networks: list[Checkpoint] = ["before", "control", "after"]
        found = [name for name in networks if self.record.files.checkpoint(name).exists()]
        return found if lookup(self.record.summary, "test", "result") == "after" else [*found, "result"]

    @cached_property
    def _setup(self) -> Setup:
        config = moved(read_config(self.record.files.config), **self._locations)
        return Setup(config, self._context, device=torch.device(self._device))

    def _load_pairs(self, role: Role) -> PairSet:
        try:
            return self._setup.pairs(role)
        except DataError as error:
            raise DataError(f"the {role} data: {error}; if they were moved, --{role} says where to") from None

    def _at(self, checkpoint: Checkpoint) -> TrainedModel:
        """The run at a checkpoint: set up at the first, and shared by the others."""
        if self._model is None:
            self._model = load_run(self.record.path, self._context, checkpoint=checkpoint, device=self._device)
            return self._model
        return self._model.at(checkpoint)

    def _look(self, checkpoint: Checkpoint) -> Seen:
        data = self.target()
        pairs = data.labelled("test") or data.split("test")
        labels = torch.tensor(data.labels(pairs), dtype=torch.int64)
        if not pairs:
            raise DataError(f"{data.origin}: there are no test pairs")
        model = self._at(checkpoint)
        if model.classes != data.classes:
            raise DataError(f"{data.origin}: its classes are not those that {self.record.path} was trained on")
        split = self._split(model, pairs, labels)
        space, through = model.space, None
        if isinstance(space, Space):
            through = _through(space, SeenByParts(space, split, model.device))
            view = through(list(space.description.weights))
        else:
            view = represent(space, split, model.device)
        rows = evenly_spaced(len(pairs), MAP_PAIRS)
        some = SplitData([pairs[row] for row in rows.tolist()], split.image[rows], split.text[rows], labels[rows])
        if checkpoint == "after":
            self._source_common = attempt(lambda: self._look_at_source(model))
        network = model.networks.get("target")
        common = None if network is None else layer_outputs(network, some, COMMON_LAYER, model.device)
        parts = tuple(space.description.weights) if isinstance(space, Space) else ()
        return Seen(view, labels, pairs, contents_of(pairs), common, parts, through)

    def _look_at_source(self, model: TrainedModel) -> Tensor:
        train = self._load_pairs("source").labelled("train")
        pairs = [train[row] for row in evenly_spaced(len(train), MAP_PAIRS).tolist()]
        network = model.setup.kept_network(self.record.path, "source", "source")
        split = self._split(model, pairs, torch.zeros(len(pairs), dtype=torch.int64))
        return layer_outputs(network, split, COMMON_LAYER, model.device)

    def _split(self, model: TrainedModel, pairs: Sequence[Pair], labels: Tensor) -> SplitData:
        how: dict[str, Any] = {
            "device": model.device,
            "batch": model.config.encode_batch,
            "how": model.setup.inference,
            "cache_dir": self._context.cache_dir,
            "progress": self._context.progress,
        }
        images = inputs_for(model.encoder("image"), [pair.image_item for pair in pairs], **how)
        return SplitData(
            pairs, images, inputs_for(model.encoder("text"), [pair.text_item for pair in pairs], **how), labels
        )


def _through(space: Space, seen: SeenByParts) -> Callable[[Sequence[str]], Representation]:
    """The view of some of a space's parts, by their names."""

    def view(names: Sequence[str]) -> Representation:
        return seen.through(space.without([name for name in space.description.weights if name not in names]))

    return view
