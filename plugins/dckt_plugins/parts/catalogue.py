"""The parts in the box, with what they take. No torch in here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le

from dckt_core import PartSpec, hookimpl

Directions = Annotated[int, Gt(0), Le(2**20), "at most so many directions"]
Ridge = Annotated[float, Gt(0), Le(1e38), "ridge, in variances of a standardised feature"]
Penalty = Annotated[float, Gt(0), Le(1e6), "inverse strength of the L2 penalty"]


@dataclass(frozen=True)
class CorrelationOptions:
    """What `correlation` takes."""

    width: Directions = 256
    ridge: Ridge = 0.5
    source_weight: Annotated[float, Ge(0), Le(1e6), "of a source pair beside one of the target, where it helps"] = 0.25


@dataclass(frozen=True)
class TransportOptions:
    """What `transport` takes."""

    eps: Annotated[float, Ge(0), Le(1e3), "entropy of the plan, in cosines; 0: chosen without labels"] = 0.0
    rho: Annotated[float, Ge(0), Le(1e3), "how firmly the plan's marginals hold; 0: exactly"] = 0.1
    rounds: Annotated[int, Gt(0), Le(1000), "of plan and correlation"] = 5
    hint: Annotated[float, Ge(0), Le(1e3), "weight of the source's classes in the plan"] = 0.5
    floor: Annotated[float, Ge(0), Le(1e3), "weight of what the source alone says, beside 1"] = 0.3
    related: Annotated[float, "standard deviations by which the source must beat a shuffled one"] = 4.0
    width: Directions = 256
    ridge: Ridge = 0.5


@dataclass(frozen=True)
class MediaMMDOptions:
    """What `media-mmd` takes."""

    discrepancy: Annotated[
        Literal["mmd", "class-mmd", "sinkhorn"], "between the target's images and texts; class-mmd: class by class"
    ] = "mmd"
    pull: Annotated[float, Ge(0), Le(1e6), "of the discrepancy, beside the source's pairs"] = 10.0
    updates: Annotated[int, Gt(0), Le(1_000_000), "of the maps"] = 300
    batch: Annotated[int, Ge(2), Le(2**20), "source pairs, target images and target texts in an update"] = 256
    lr: Annotated[float, Gt(0), Le(1e3), "learning rate (Adam), where an axis has length 1"] = 3e-4
    temperature: Annotated[float, Gt(0), Le(1e3), "of the cosines between the source's images and texts"] = 0.1
    floor: Annotated[float, Ge(0), Le(1e3), "weight of what the source alone says, beside 1"] = 0.3
    related: Annotated[float, "standard deviations by which the source must beat a shuffled one"] = 4.0
    width: Directions = 256
    ridge: Ridge = 0.5


@dataclass(frozen=True)
class NeighbourOptions:
    """What `neighbours` takes."""

    count: Annotated[int, Gt(0), Le(1000), "neighbours of an item"] = 10
    power: Annotated[float, Ge(0), Le(100), "of the similarity, by which a neighbour counts"] = 3.0


@dataclass(frozen=True)
class ClassNameOptions:
    """What `class-names` takes."""

    temperature: Annotated[float, Gt(0), Le(1e3), "of the cosines between items and names"] = 0.05
    known: Annotated[float, "standard deviations by which names must lie nearer than shuffled ones"] = 4.0


@dataclass(frozen=True)
class StudentOptions:
    """What `students` takes."""

    rounds: Annotated[int, Gt(0), Le(1000), "of pseudo-labels; as many as the sampler's iterations"] = 5
    names: Annotated[float, Ge(0), Le(1), "share that the names of the classes keep"] = 1 / 3
    common_c: Penalty = 3.0
    own_c: Penalty = 0.01


@dataclass(frozen=True)
class ClassifierOptions:
    """What `linear` and `source-classes` take."""

    c: Penalty = 0.01


@dataclass(frozen=True)
class ZeroShotOptions:
    """What `zero-shot` takes."""

    centre: Annotated[bool, "take each medium's mean over training items off its features"] = True
    known: Annotated[float, "standard deviations by which images must lie nearer to their own texts"] = 4.0


@dataclass(frozen=True)
class CacheOptions:
    """What `cache` takes."""

    temperature: Annotated[float, Gt(0), Le(1e3), "of the cosines to names, where no labels choose it"] = 0.01
    known: Annotated[float, "standard deviations by which names must lie nearer than shuffled ones"] = 4.0


@hookimpl
def dckt_parts() -> list[PartSpec[Any]]:
    return [
        PartSpec(
            name="target-network",
            summary="the target network's class probabilities: the published method's representation",
            build="dckt_plugins.parts.network:build_target",
            api="1.0",
            networks=True,
            target_network=True,
            classes=True,
        ),
        PartSpec(
            name="source-network",
            summary="the source network's class probabilities: what an item would be among the source's classes",
            build="dckt_plugins.parts.network:build_source",
            api="1.0",
            networks=True,
        ),
        PartSpec(
            name="linear",
            summary="a linear classifier of each medium's features, trained on the target's labelled items",
            options=ClassifierOptions,
            build="dckt_plugins.parts.classifiers:build_linear",
            api="1.0",
            classes=True,
        ),
        PartSpec(
            name="source-classes",
            summary="the same, trained on the source's: what an item would be among the source's classes",
            options=ClassifierOptions,
            build="dckt_plugins.parts.classifiers:build_source_classes",
            api="1.0",
        ),
        PartSpec(
            name="correlation",
            summary="canonical correlations of images and texts over the training pairs of both domains",
            options=CorrelationOptions,
            build="dckt_plugins.parts.correlation:build",
            api="1.0",
        ),
        PartSpec(
            name="transport",
            summary="unpaired images and texts of the target, paired softly by optimal transport",
            options=TransportOptions,
            build="dckt_plugins.parts.transport:build",
            api="1.0",
            supersedes=("correlation",),
        ),
        PartSpec(
            name="media-mmd",
            summary="unpaired images and texts of the target, brought together as two distributions",
            options=MediaMMDOptions,
            build="dckt_plugins.parts.media_mmd:build",
            api="1.0",
            supersedes=("correlation",),
        ),
        PartSpec(
            name="neighbours",
            summary="places moved half way towards those of similar training items",
            options=NeighbourOptions,
            build="dckt_plugins.parts.neighbours:build",
            api="1.0",
            supersedes=("transport", "media-mmd", "correlation"),
        ),
        PartSpec(
            name="class-names",
            summary="classes by how near an item lies to their names",
            options=ClassNameOptions,
            build="dckt_plugins.parts.class_names:build",
            api="1.0",
            classes=True,
        ),
        PartSpec(
            name="students",
            summary="classifiers that learn from labels, names and, in rounds, from what they say themselves",
            options=StudentOptions,
            build="dckt_plugins.parts.students:build",
            api="1.0",
            classes=True,
            supersedes=("neighbours", "class-names", "source-classes"),
        ),
        PartSpec(
            name="zero-shot",
            summary="features themselves, of encoders that share a space",
            options=ZeroShotOptions,
            build="dckt_plugins.parts.zero_shot:build",
            api="1.0",
            same_space=True,
        ),
        PartSpec(
            name="cache",
            summary="classes by their names in a shared space, and by labelled items near by (Tip-Adapter)",
            options=CacheOptions,
            build="dckt_plugins.parts.cache:build",
            api="1.0",
            classes=True,
            same_space=True,
        ),
        PartSpec(
            name="class-correlation",
            summary="the correlation once more, with images paired with their class's mean text and texts likewise",
            options=CorrelationOptions,
            build="dckt_plugins.parts.class_correlation:build",
            api="1.0",
            supersedes=("correlation",),
        ),
    ]
