"""The common space in which images and texts are compared: parts side by side, each a plugin.

A part turns feature rows of either medium into rows [n, k]. Each row of a part is scaled to length 1 times the root of
the part's weight, so that the cosine of two items is the weighted mean of the parts' cosines. By itself the target
network's class probabilities, which are the published method's common representation, stay as they are.

    Space.fit -> choose on validation -> save          in a training (`fit_space` does the first two)
    Space.load -> represent, probabilities             in its use
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import TypeAdapter
from torch import Tensor

from dckt_core.base.errors import DataError, NothingToLearnError, PluginError, UsageError
from dckt_core.contract.formula import Formula, Value
from dckt_core.contract.guards import GuardedPart
from dckt_core.contract.pairs import MEDIA, Medium
from dckt_core.contract.protocols import PartContext, Representation
from dckt_core.evaluation.intervals import standard_errors
from dckt_core.io.tensors import load_tensors, save_tensors
from dckt_core.space.material import FittingMaterial
from dckt_core.space.parts import ChosenPart, Rows

KIND, FORMAT = "common space", 1

CLEAR = 2.0
"""Standard errors that a gain on validation must exceed."""

Views = Mapping[Medium, Tensor]
"""Inputs of a split's images and texts [N, ...]."""


@dataclass(frozen=True)
class Description:
    """What became of the parts that were asked for, for people and for `Space.load`.

    Attributes:
        weights: of the parts that are in the space, by name, in their order.
        widths: of all parts that were fitted, those included that others build on.
        aside: why a part steps aside.
        left_out: parts that validation chose to do without.
        notes: what parts said about their choices: part, text.
    """

    weights: dict[str, float]
    widths: dict[str, int]
    aside: dict[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()


class Space:
    """Encodes either medium by itself. `fit` or `load` makes one.

    Args:
        parts: all that were fitted, in their order, those of weight 0 included that others build on.
        description: which of them count, and how much.
    """

    def __init__(self, parts: Mapping[str, GuardedPart], description: Description) -> None:
        self.parts = dict(parts)
        self.description = description

    @classmethod
    def fit(
        cls,
        chosen: Sequence[ChosenPart],
        context: PartContext,
        material: FittingMaterial,
        aside: Mapping[str, str] | None = None,
    ) -> Space:
        """Fits the parts in their order.

        Args:
            aside: parts that step aside before they are asked, and why.

        Raises:
            NothingToLearnError: every part steps aside.
        """
        aside = dict(aside or {})
        widths: dict[str, int] = {}
        for part in chosen:
            made = None if part.name in aside else part.build(context)
            reason = made.fit(material.beginning(part.name)) if made else aside[part.name]
            if made is None or reason is not None:
                aside[part.name] = str(reason)
                continue
            material.parts[part.name] = made
            given = {medium: Rows(material.parts, medium, material.probe(medium))[part.name] for medium in MEDIA}
            widths[part.name] = given["image"].shape[1]
            if given["text"].shape[1] != widths[part.name]:
                raise PluginError(f"{part.plugin}: its rows of images and of texts have different widths")
        if not widths:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in aside.items())
            raise NothingToLearnError(f"the common space has no part that could be fitted ({reasons})")
        weights = {part.name: part.weight for part in chosen if part.name in widths}
        for name in reversed(list(weights)):
            if name in weights:  # what a superseded part supersedes counts again
                for superseded in material.parts[name].spec.supersedes:
                    weights.pop(superseded, None)
        return cls(material.parts, Description(weights, widths, aside, (), tuple(material.notes)))

    def choose(
        self,
        optional: Iterable[str],
        margin: float,
        score: Callable[[Representation], Tensor],
        views: Views,
        among: Mapping[str, Sequence[float]] | None = None,
    ) -> Space:
        """The space without the parts that clearly harm, with those of `optional` that clearly help, and with weights
        out of `among` that are clearly better.

        One change at a time, the best one first, as long as it gains more than `margin`, and more than the luck of so
        few pairs explains: `CLEAR` standard errors of the pairs' own gains.

        Args:
            optional: parts that are in only where they add.
            score: of a split's representations, pair by pair [n], the higher the better.
            views: the split's inputs.
            among: further weights of some parts.
        """
        start, among = self.description.weights, among or {}
        unproven = {name for name in optional if name in start}
        kept = {name: weight for name, weight in start.items() if name not in unproven} or dict(start)
        rows = {medium: Rows(self.parts, medium, views[medium]) for medium in MEDIA}

        def reached(weights: Mapping[str, float]) -> Tensor:
            joined = [_join([(weight, rows[medium][name]) for name, weight in weights.items()]) for medium in MEDIA]
            return score(Representation(*joined))

        def changed() -> Iterator[dict[str, float]]:
            for name, weight in start.items():
                for other in dict.fromkeys((0.0, weight, *among.get(name, ()))):
                    if other != kept.get(name, 0.0):
                        weights = {**kept, name: other}
                        yield {name: weights[name] for name in start if weights.get(name)}

        def gained(gains: Tensor) -> bool:
            return float(gains.mean()) > margin and standard_errors(gains) > CLEAR

        best = reached(kept)
        while True:
            tried = [(reached(weights), weights) for weights in changed() if weights]
            clear = [one for one in tried if gained(one[0] - best)]
            if not clear:
                break
            best, kept = max(clear, key=lambda one: float(one[0].mean()))
        said = self.description
        left_out = tuple(name for name in start if name not in kept)
        return Space(self.parts, Description(kept, said.widths, said.aside, (*said.left_out, *left_out), said.notes))

    def without(self, names: Iterable[str]) -> Space:
        """The same space less some parts; the others keep their weights."""
        gone = set(names)
        weights = {name: weight for name, weight in self.description.weights.items() if name not in gone}
        left_out = tuple(name for name in self.description.weights if name in gone)
        said = self.description
        return Space(
            self.parts,
            Description(weights, said.widths, said.aside, (*said.left_out, *left_out), said.notes),
        )

    def alone(self, name: str) -> Space:
        """One part by itself."""
        return self.without([other for other in self.description.weights if other != name])

    @property
    def is_target_network(self) -> bool:
        """Whether it is the published method's representation and no more."""
        return [self.parts[name].spec.target_network for name in self.description.weights] == [True]

    # --- use ------------------------------------------------------------------------------------------------

    @property
    def dim(self) -> int:
        """D: the sum of the parts' widths."""
        return sum(self.description.widths[name] for name in self.description.weights)

    def encode(self, medium: Medium, inputs: Tensor) -> Tensor:
        """Inputs of one medium [n, ...] to common representations [n, D], float32, on the CPU."""
        return self.join(self.rows(medium, inputs))

    def rows(self, medium: Medium, inputs: Tensor) -> dict[str, Tensor]:
        """What each part in the space gives for inputs of one medium [n, ...]: rows [n, k], by its name."""
        found = Rows(self.parts, medium, inputs)
        return {name: found[name] for name in self.description.weights}

    def join(self, rows: Mapping[str, Tensor]) -> Tensor:
        """What `rows` gives, of this space or of one with more parts, to common representations [n, D]."""
        return _join([(weight, rows[name]) for name, weight in self.description.weights.items()])

    def represent(self, images: Tensor | None, texts: Tensor | None) -> Representation:
        """Common representations of image inputs [n, ...] and text inputs [m, ...]: [n, D] and [m, D], float32."""
        image, text = (
            torch.empty(0, self.dim) if inputs is None else self.encode(medium, inputs)
            for medium, inputs in zip(MEDIA, (images, texts), strict=True)
        )
        return Representation(image, text)

    def probabilities(self, medium: Medium, inputs: Tensor) -> Tensor:
        """Inputs [n, ...] to probabilities of the target's classes [n, C], by the last part that gives them.

        Raises:
            UsageError: no part tells classes apart.
        """
        telling = [name for name in self.description.weights if self.parts[name].spec.classes]
        if not telling:
            raise UsageError("no part of the common space knows the target's classes, so that none can be predicted")
        return Rows(self.parts, medium, inputs)[telling[-1]]

    def formula(self, medium: Medium) -> tuple[Formula, Value, Value | None]:
        """What `encode` computes for features of one medium, noted down: the formula, the value of the common
        representations [n, D], and that of the probabilities [n, C], where a part tells classes apart.

        Raises:
            UsageError: a part does not say what its rows are made of.
        """
        note, weights = Formula(), self.description.weights
        values = _Noted(self.parts, medium, note)
        telling = [name for name in weights if self.parts[name].spec.classes]
        common = values[next(iter(weights))]
        if len(weights) > 1:
            common = note.join([note.sum([note.unit(values[name])], [weights[name] ** 0.5]) for name in weights])
        return note, common, values[telling[-1]] if telling else None

    # --- there and back -------------------------------------------------------------------------------------

    def tensors(self) -> dict[str, Tensor]:
        """All that the representations depend on but networks, by `part/name`."""
        states = {name: part.state_dict() for name, part in self.parts.items()}
        return {f"{name}/{key}": value for name, state in states.items() for key, value in state.items()}

    def describe(self) -> dict[str, Any]:
        """What became of the parts, for `json.dumps`: see `Description`."""
        return asdict(self.description)

    def save(self, file: Path) -> None:
        """What its parts learnt, and which of them count, in one file."""
        save_tensors(file, self.tensors(), self.describe(), kind=KIND, format=FORMAT)

    @classmethod
    def load(cls, file: Path, chosen: Sequence[ChosenPart], context: PartContext) -> Space:
        """The space that `save` wrote.

        Args:
            chosen: the parts that it was fitted with; there may be more.
            context: as in `fit`, with the networks as they were.

        Raises:
            DataError: the file is missing or broken, or of other parts.
        """
        tensors, facts = load_tensors(file, kind=KIND, format=FORMAT)
        description = _description(file, facts)
        parts = {}
        for part in chosen:
            if part.name not in description.widths:
                continue
            made = part.build(context)
            start = f"{part.name}/"
            state = {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}
            try:
                made.load_state_dict(state)
            except DataError as error:
                raise DataError(f"{file}: {error}") from None
            parts[part.name] = made
        if missing := [name for name in description.widths if name not in parts]:
            raise DataError(f"{file}: part '{missing[0]}' of the common space is not in the configuration")
        return cls(parts, description)


class _Noted(Mapping[str, Value]):
    """The values of parts in a formula, each noted down once, when it is first asked for."""

    def __init__(self, parts: Mapping[str, GuardedPart], medium: Medium, note: Formula) -> None:
        self._parts, self._medium, self._note = parts, medium, note
        self._values: dict[str, Value] = {}

    def __getitem__(self, name: str) -> Value:
        if name not in self._values:
            value = self._parts[name].formula(self._medium, self._note.features, self, self._note)
            if value is None:
                raise UsageError(f"part '{name}' cannot be exported: it does not say what its rows are made of")
            self._values[name] = value
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)


def _description(file: Path, facts: Mapping[str, Any]) -> Description:
    try:
        said: Description = TypeAdapter(Description).validate_python(dict(facts))
        if not said.weights or not said.weights.keys() <= said.widths.keys():
            raise ValueError("its parts do not fit together")
    except ValueError:
        raise DataError(f"{file}: not the common space of a run") from None
    return said


def _join(parts: Sequence[tuple[float, Tensor]]) -> Tensor:
    """Parts' weights and rows [n, k] side by side, each row of length 1 times the root of the weight."""
    if len(parts) == 1:
        return parts[0][1].cpu()
    return torch.cat([weight**0.5 * F.normalize(rows.cpu(), dim=1) for weight, rows in parts], dim=1)
