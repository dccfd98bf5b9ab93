"""A domain as the networks and the parts see it: inputs of both media, and labels as far as they are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dckt_core.base.errors import DataError, UsageError
from dckt_core.base.progress import Progress, logger, silent
from dckt_core.contract.pairs import MEDIA, Medium, Pair, PairSet, Role, Split
from dckt_core.contract.protocols import Encoder
from dckt_core.data.inference import PLAIN, Inference
from dckt_core.data.inputs import Inputs, inputs_for


@dataclass(frozen=True)
class Batch:
    """Inputs and labels of n pairs, on the device."""

    image: Tensor
    text: Tensor
    labels: Tensor  # [n], int64


@dataclass(frozen=True)
class SplitData:
    """Complete pairs of a domain; row i of `image`, `text` and `labels` is `pairs[i]`."""

    pairs: Sequence[Pair]
    image: Inputs
    text: Inputs
    labels: Tensor  # [N], int64; -1 where there is no label

    def __len__(self) -> int:
        return len(self.pairs)

    def batch(self, rows: Tensor, device: torch.device) -> Batch:
        """The pairs of some rows [n]."""
        return Batch(self.image[rows].to(device), self.text[rows].to(device), self.labels[rows].to(device))


@dataclass(frozen=True)
class Items:
    """Items of one medium; row i of `rows` and `labels` is `items[i]`."""

    items: Sequence[Pair]
    rows: Inputs  # [n, d]
    labels: Tensor  # [n], int64; -1 where there is no label

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True)
class Domain:
    """Source or target, ready to train on.

    Attributes:
        splits: complete pairs by split. "train" are those with a label, which are all that the method's networks see;
            in "val" and "test" some or all labels may be -1.
        unlabelled: training pairs without a label.
        lone: training items whose partner nobody knows, by medium.
        names: the classes' names and phrases as texts, with the numbers of their classes.

    The last three are what parts learn from beside the networks: rows of features, and none at all where an encoder
    trains along.
    """

    role: Role
    pair_set: PairSet
    splits: Mapping[Split, SplitData]
    unlabelled: SplitData
    lone: Mapping[Medium, Items]
    names: Items

    @property
    def classes(self) -> int:
        """How many classes are known for learning; the first so many of the label space."""
        return len(self.pair_set.classes)

    @property
    def train(self) -> SplitData:
        return self.splits["train"]


def make_domain(
    role: Role,
    pair_set: PairSet,
    splits: Sequence[Split],
    *,
    image: Encoder,
    text: Encoder,
    device: torch.device,
    batch: int,
    cache_dir: Path,
    how: Inference = PLAIN,
    progress: Progress = silent,
    for_parts: bool = True,
    prompts: Sequence[str] = (),
) -> Domain:
    """A data set as inputs of networks and parts; frozen encoders run here, or their cached features are read.

    Args:
        splits: those to make; "train" is one of them.
        batch: items that pass a frozen encoder at once.
        how: frozen encoders compute.
        for_parts: also what parts alone learn from: unlabelled pairs, lone items and names. Where an encoder trains
            along there are no features of these, and they are left out, which is said.
        prompts: templates with `{}` in the place of a class's name; none for the names as they are.

    Raises:
        DataError, PluginError: as `inputs_for`.
    """

    def inputs(medium: Medium, pairs: Sequence[Pair]) -> Inputs:
        encoder = image if medium == "image" else text
        items = [pair.item(medium) for pair in pairs]
        return inputs_for(encoder, items, device=device, batch=batch, cache_dir=cache_dir, how=how, progress=progress)

    along = [name for name, encoder in (("image", image), ("text", text)) if encoder.trainable]
    left_out = len(pair_set.training) - len(pair_set.labelled("train"))
    if along and for_parts and left_out:
        logger.warning(
            "%s: %d items without a label or a partner are left out, because the %s encoder trains along",
            *(role, left_out, " and the ".join(along)),
        )
    return domain_of(role, pair_set, splits, inputs, for_parts=for_parts and not along, prompts=prompts)


def domain_of(
    role: Role,
    pair_set: PairSet,
    splits: Sequence[Split],
    inputs: Callable[[Medium, Sequence[Pair]], Inputs],
    *,
    for_parts: bool = True,
    prompts: Sequence[str] = (),
) -> Domain:
    """A data set as inputs, wherever these come from.

    Args:
        splits: those to make; "train" is one of them.
        inputs: makes one medium's inputs of some pairs that have it. Where it raises DataError or UsageError for the
            names of the classes, these are left out, which is said.
        for_parts: also what parts alone learn from: unlabelled pairs, lone items and names.
        prompts: as of `make_domain`.
    """

    def labels(pairs: Sequence[Pair]) -> Tensor:
        return torch.tensor(pair_set.labels(pairs), dtype=torch.int64)

    def complete(pairs: Sequence[Pair]) -> SplitData:
        return SplitData(pairs, inputs("image", pairs), inputs("text", pairs), labels(pairs))

    def alone(medium: Medium, pairs: Sequence[Pair]) -> Items:
        return Items(pairs, inputs(medium, pairs), labels(pairs))

    # At once, so that the features in the cache are of use whichever labels are known the next time.
    training = complete(pair_set.split("train") if for_parts else pair_set.labelled("train"))
    data: dict[Split, SplitData] = {"train": _some(training, training.labels >= 0)}
    unlabelled = _some(training, training.labels < 0)
    lone = {medium: alone(medium, pair_set.lone(medium) if for_parts else []) for medium in MEDIA}
    names = [
        Pair(f"name:{name}", None, prompt.replace("{}", name), label, "train", role=role)
        for label in pair_set.classes
        for name in pair_set.names_of(label)
        for prompt in prompts or ("{}",)
    ]
    try:
        named = alone("text", names if for_parts else [])
    except (DataError, UsageError) as error:
        log = (
            logger.info if role == "source" else logger.warning
        )  # no part of the box asks what the source's are called
        log("%s: the names of the classes are left out: %s", role, error)
        named = alone("text", [])
    data |= {split: complete(pair_set.split(split)) for split in splits if split != "train"}
    return Domain(role, pair_set, data, unlabelled, lone, named)


def _some(data: SplitData, chosen: Tensor) -> SplitData:
    """The pairs [N] that are chosen (bool [N])."""
    if chosen.all():
        return data
    rows = chosen.nonzero().squeeze(1)
    return SplitData([data.pairs[row] for row in rows.tolist()], data.image[rows], data.text[rows], data.labels[rows])
