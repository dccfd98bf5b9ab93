"""The part `students`: classifiers that learn from labelled items and, in rounds, from what they say of others.

A pair's pseudo-label is the root of the product of what both media say of it, by the names of the classes and by
classifiers of the labelled (co-training, Blum and Mitchell, 1998; pseudo-labels, Lee, 2013). Three students, logistic
regressions on the places of both media, on image features and on text features, learn from labelled and pseudo-labelled
items, these weighted by confidence. In each round the run's sampler chooses which pseudo-labelled pairs are learnt
from: `ap-progressive` by how well both media of a pair agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from dckt_core import (
    MEDIA,
    Formula,
    Material,
    Medium,
    PartContext,
    Representation,
    StepAsideError,
    UsageError,
    Value,
)
from dckt_kernels import sinkhorn_of_costs
from dckt_plugins.parts.base import by_medium, place, placing_part
from dckt_plugins.parts.catalogue import StudentOptions
from dckt_plugins.parts.cca import Scale
from dckt_plugins.parts.classifiers import MediumClassifier
from dckt_plugins.parts.logistic import Logistic, named, under

LEAST = 1e-9


@dataclass(frozen=True)
class Pool:
    """The target's training items of one medium: features [n, d], unit places [n, k], labels [n], -1 where unknown."""

    features: Tensor
    places: Tensor
    labels: Tensor
    names: Tensor | None
    """Class probabilities by names [n, C], where names are known."""
    scale: Scale


class StudentsPart:
    """Class probabilities of either medium."""

    def __init__(self, options: StudentOptions) -> None:
        self._options = options
        self._common: Logistic | None = None
        self._own: dict[Medium, MediumClassifier] = {}
        self._by_names = False

    # --- fitting --------------------------------------------------------------------------------------------

    def fit(self, material: Material) -> None:
        """Steps aside where neither labels nor names of two classes are known, or a medium has no items."""
        base, target = placing_part(material), material.target
        if not len(target.images) or not len(target.texts):
            raise StepAsideError("the target has no training items of one medium")
        pools: dict[Medium, Pool] = {}
        for medium, (features, labels) in by_medium(target).items():
            places = F.normalize(material.rows(base, medium, features), dim=1)
            pools[medium] = Pool(features, places, labels, _by_names(material, medium, features), Scale.of(features))
        self._by_names = pools["image"].names is not None
        told = torch.unique(torch.cat([pool.labels for pool in pools.values()]))
        if not self._by_names and int((told >= 0).sum()) < 2:
            raise StepAsideError("no labels and no names of two classes or more are known")
        self._learn(material, pools, target.pairs, target.classes)
        if self._common is None:
            raise StepAsideError("all that is known or believed of the target's items is of one class")

    def _learn(self, material: Material, pools: dict[Medium, Pool], pairs: int, classes: int) -> None:
        unknown = {medium: pool.labels < 0 for medium, pool in pools.items()}
        said = self._first(pools, classes)
        rounds = self._options.rounds if any(bool(where.any()) for where in unknown.values()) else 0
        generator = material.generator("selection")
        source = _Source(material)
        for number in range(1, rounds + 1):
            beliefs = agree(said, pools, pairs)
            taught = {medium: torch.ones(len(pool.labels), dtype=torch.bool) for medium, pool in pools.items()}
            open_pairs = unknown["image"][:pairs].nonzero().squeeze(1)
            if len(open_pairs) > 1:
                state = _Round(
                    iteration=number,
                    labels=beliefs["image"][open_pairs].argmax(dim=1),
                    confidence=beliefs["image"][open_pairs].amax(dim=1),
                    places=Representation(*(pools[medium].places[open_pairs] for medium in MEDIA)),
                    beliefs=Representation(*(said[medium][open_pairs] for medium in MEDIA)),
                    source=source,
                    generator=generator,
                )
                chosen = open_pairs[torch.unique(material.sampler.select(state).indices)]
                for medium in MEDIA:
                    taught[medium][open_pairs] = False
                    taught[medium][chosen] = True
            self._teach(pools, beliefs, taught, classes)
            if self._common is None:
                return
            said = {medium: self._say(medium, pool) for medium, pool in pools.items()}

    def _first(self, pools: dict[Medium, Pool], classes: int) -> dict[Medium, Tensor]:
        """What names and classifiers of the labelled alone say of every item, by medium [n, C]."""
        opinions: dict[Medium, list[Tensor]] = {
            medium: [] if pool.names is None else [pool.names] for medium, pool in pools.items()
        }
        labelled = {medium: pool.labels >= 0 for medium, pool in pools.items()}
        if _enough(pools, labelled):
            self._teach(pools, {medium: _one_hot(pool, classes) for medium, pool in pools.items()}, labelled, classes)
            for medium, pool in pools.items():
                opinions[medium].append(self._students(medium, pool))
        return {medium: torch.stack(said).mean(dim=0) for medium, said in opinions.items()}

    def _teach(
        self, pools: dict[Medium, Pool], beliefs: dict[Medium, Tensor], taught: dict[Medium, Tensor], classes: int
    ) -> None:
        """Fits the three students on some items of each medium, with the labels most believed in."""
        rows, labels, weights = [], [], []
        for medium, pool in pools.items():
            chosen = taught[medium]
            label = beliefs[medium][chosen].argmax(dim=1)
            weight = torch.where(pool.labels[chosen] >= 0, 1.0, beliefs[medium][chosen].amax(dim=1))
            rows.append(pool.places[chosen])
            labels.append(label)
            weights.append(weight)
            if len(torch.unique(label)) > 1:
                self._own[medium] = MediumClassifier.fit(
                    pool.features[chosen],
                    label,
                    classes=classes,
                    c=self._options.own_c,
                    weights=weight,
                    scale=pool.scale,
                )
        everything = torch.cat(labels)
        if len(torch.unique(everything)) > 1:
            self._common = Logistic.fit(
                torch.cat(rows), everything, classes=classes, c=self._options.common_c, weights=torch.cat(weights)
            )

    # --- use ------------------------------------------------------------------------------------------------

    def _students(self, medium: Medium, pool: Pool) -> Tensor:
        return self._both(medium, pool.places, pool.features)

    def _say(self, medium: Medium, pool: Pool) -> Tensor:
        return self._mixed(self._students(medium, pool), pool.names)

    def _both(self, medium: Medium, places: Tensor, features: Tensor) -> Tensor:
        """The mean of the common student and the medium's own."""
        assert self._common is not None
        said = [self._common(places), *([self._own[medium](features)] if medium in self._own else [])]
        return torch.stack(said).mean(dim=0)

    def _mixed(self, students: Tensor, names: Tensor | None) -> Tensor:
        """Names keep their share throughout, so that no class is forgotten on the way."""
        return students if names is None else students.lerp(names, self._options.names)

    def rows(self, medium: Medium, features: Tensor, before: Mapping[str, Tensor]) -> Tensor:
        """Features [n, d] to class probabilities [n, C]."""
        places = F.normalize(place(before), dim=1)
        return self._mixed(
            self._both(medium, places, features.cpu()), before["class-names"] if self._by_names else None
        )

    def formula(self, medium: Medium, features: Value, before: Mapping[str, Value], note: Formula) -> Value:
        """What `rows` computes."""
        assert self._common is not None
        said = [self._common.formula(note.unit(place(before)), note)]
        if medium in self._own:
            said.append(self._own[medium].formula(features, note))
        students = note.sum(said, [1 / len(said)] * len(said))
        if not self._by_names:
            return students
        return note.sum([students, before["class-names"]], [1 - self._options.names, self._options.names])

    def state_dict(self) -> dict[str, Tensor]:
        own = named({medium: classifier.state_dict() for medium, classifier in self._own.items()})
        assert self._common is not None
        return own | named({"common": self._common.state_dict()}) | {"by_names": torch.tensor(self._by_names)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self._by_names = bool(state["by_names"])
        self._common = Logistic.of_state(state, "common")
        kept = {medium: under(state, medium) for medium in MEDIA}
        self._own = {medium: MediumClassifier.of_state(own) for medium, own in kept.items() if own}


def agree(said: dict[Medium, Tensor], pools: dict[Medium, Pool], pairs: int) -> dict[Medium, Tensor]:
    """What is believed of each item, by medium [n, C]: the root of the product of both media's of a pair, what is said
    of an item alone, and the label where it is known.
    """
    both = (said["image"][:pairs] * said["text"][:pairs]).sqrt() + LEAST
    both = both / both.sum(dim=1, keepdim=True)
    beliefs = {}
    for medium, pool in pools.items():
        alone = said[medium][pairs:]
        if (
            len(alone) > 1
        ):  # shared out evenly: nothing else keeps one class from eating the others where no pair agrees
            alone = sinkhorn_of_costs(-(alone + LEAST).log(), eps=1.0).shares()
        belief = torch.cat([both, alone])
        known = pool.labels >= 0
        belief[known] = F.one_hot(pool.labels[known], belief.shape[1]).to(belief.dtype)
        beliefs[medium] = belief
    return beliefs


class _Source:
    """The source's labelled pairs, for samplers that ask after them."""

    def __init__(self, material: Material) -> None:
        known = material.source
        self._material, self._rows = material, (known.image_labels[: known.pairs] >= 0).nonzero().squeeze(1)
        self.labels = known.image_labels[self._rows]

    @cached_property
    def places(self) -> Representation:
        """Unit places in the common space [p, k]."""
        base, known = placing_part(self._material), self._material.source
        images = self._material.rows(base, "image", known.images[self._rows])
        texts = self._material.rows(base, "text", known.texts[self._rows])
        return Representation(F.normalize(images, dim=1), F.normalize(texts, dim=1))


class _Round:
    """A `protocols.SamplerState` of the pairs whose labels are pseudo-labels."""

    def __init__(
        self,
        *,
        iteration: int,
        labels: Tensor,
        confidence: Tensor,
        places: Representation,
        beliefs: Representation,
        source: _Source,
        generator: torch.Generator,
    ) -> None:
        self.iteration, self.labels, self.generator = iteration, labels, generator
        self.source_labels = source.labels
        self._confidence, self._places, self._beliefs, self._source = confidence, places, beliefs, source

    def target_by_source(self) -> Representation:
        """Places in the common space, which the source's pairs have made as well."""
        return self._places

    def target_by_target(self) -> Representation:
        """What is said of both media."""
        return self._beliefs

    def target_losses(self) -> Tensor:
        """Little confidence is a great loss."""
        return -self._confidence.clamp_min(LEAST).log()

    def layer(self, domain: Literal["source", "target"], name: str) -> Tensor:
        """Places of the labelled pairs of the source, or of those of this round: all that students have is common."""
        if not name.startswith("common_"):
            raise UsageError(f"students have no layer '{name}'; this sampler needs the method's networks")
        if domain == "source" and not len(self.source_labels):
            raise UsageError("this sampler needs labelled source pairs, and there are none")
        view = self._source.places if domain == "source" else self._places
        return torch.cat([view.image, view.text])


def _by_names(material: Material, medium: Medium, features: Tensor) -> Tensor | None:
    try:
        return material.rows("class-names", medium, features)
    except KeyError:
        return None


def _enough(pools: dict[Medium, Pool], labelled: dict[Medium, Tensor]) -> bool:
    labels = torch.cat([pool.labels[labelled[medium]] for medium, pool in pools.items()])
    return len(torch.unique(labels)) > 1


def _one_hot(pool: Pool, classes: int) -> Tensor:
    return F.one_hot(pool.labels.clamp_min(0), classes).float()


def build(options: StudentOptions, context: PartContext) -> StudentsPart:
    return StudentsPart(options)
