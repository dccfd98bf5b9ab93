"""What a plugin's hooks return: frozen descriptions, listed without importing torch.

A spec names one thing that a plugin offers, the options it takes and how to build it. `build` does the heavy
import; everything up to it stays cheap, so that `dckt plugins` answers at once. What `build` returns is
described in `dckt_core.contract.protocols`.

Options are a plain dataclass whose fields all have defaults. Ranges and help ride along in `Annotated`::

    @dataclass(frozen=True)
    class Options:
        alpha: Annotated[float, Gt(0), Le(1), "upper bound of the keep probability"] = 1.0

They arrive validated, whether they came from the command line, a TOML file or Python.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

if TYPE_CHECKING:
    from dckt_core.contract.pairs import PairSet
    from dckt_core.contract.protocols import (
        DatasetContext,
        Discrepancy,
        DiscrepancyContext,
        Encoder,
        EncoderContext,
        Index,
        IndexContext,
        Observer,
        ObserverContext,
        Sampler,
        SamplerContext,
    )

API_VERSION = "1.0"
"""Version of the extension contract, `major.minor`. A plugin of another major is skipped with the reason."""

Modality = Literal["image", "text"]

OptionsT = TypeVar("OptionsT")


@dataclass(frozen=True)
class NoOptions:
    """Options of a plugin that takes none."""


@dataclass(frozen=True, kw_only=True)
class Spec(Generic[OptionsT]):
    """What all specs share.

    Attributes:
        name: what the user types, such as `vgg19`; lower case, digits, `-`, `_`, `.`.
        summary: one line for listings.
        options: a dataclass whose fields all have defaults.
        api: the version of the contract that the plugin was written for, such as `"1.0"`. Write it out: what is
            read from `API_VERSION` claims to fit every version to come.
    """

    kind: ClassVar[str]
    name: str
    summary: str
    options: type[OptionsT] = NoOptions  # type: ignore[assignment]
    api: str


@dataclass(frozen=True, kw_only=True)
class EncoderSpec(Spec[OptionsT]):
    """Turns images or texts into feature rows. `build(options, context)` returns a `protocols.Encoder`."""

    kind: ClassVar[str] = "encoder"
    modality: Modality
    build: Callable[[OptionsT, EncoderContext], Encoder]


@dataclass(frozen=True, kw_only=True)
class DiscrepancySpec(Spec[OptionsT]):
    """Measures how far two domains' features lie apart. `build` returns a `protocols.Discrepancy`."""

    kind: ClassVar[str] = "discrepancy"
    build: Callable[[OptionsT, DiscrepancyContext], Discrepancy]


@dataclass(frozen=True, kw_only=True)
class SamplerSpec(Spec[OptionsT]):
    """Chooses the target pairs of each progressive iteration. `build` returns a `protocols.Sampler`."""

    kind: ClassVar[str] = "sampler"
    build: Callable[[OptionsT, SamplerContext], Sampler]


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(Spec[OptionsT]):
    """Reads a layout on disk, or makes a data set on the spot.

    Attributes:
        load: `(location, options, context)` to the labelled pairs. `location` is None for a data set that is
            asked for by its name alone.
        detect: True where the layout is recognised at a path; must be cheap and not read the whole set.
        settings: configuration that suits this data set, laid over the preset when it is the target. Anything
            that the user says wins over it.
    """

    kind: ClassVar[str] = "dataset"
    load: Callable[[Path | None, OptionsT, DatasetContext], PairSet]
    detect: Callable[[Path], bool] = lambda path: False
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class IndexSpec(Spec[OptionsT]):
    """Finds nearest neighbours by cosine. `build` returns a `protocols.Index`."""

    kind: ClassVar[str] = "index"
    build: Callable[[OptionsT, IndexContext], Index]


@dataclass(frozen=True, kw_only=True)
class ObserverSpec(Spec[OptionsT]):
    """Is told what happens in training. `build` returns a `protocols.Observer`."""

    kind: ClassVar[str] = "observer"
    build: Callable[[OptionsT, ObserverContext], Observer]


AnySpec = (
    EncoderSpec[Any] | DiscrepancySpec[Any] | SamplerSpec[Any] | DatasetSpec[Any] | IndexSpec[Any] | ObserverSpec[Any]
)
