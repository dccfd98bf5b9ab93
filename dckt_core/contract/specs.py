"""What a plugin's hooks return: frozen descriptions, listed without importing torch.

A spec names one thing that a plugin offers, the options it takes and how to build it. `build` does the heavy
import; everything up to it stays cheap, so that `dckt plugins` answers at once. It is a function, or the name of one
(`"my_module:build"`), whose module is imported when it is first called. What `build` returns is described in
`dckt_core.contract.protocols`.

Options are a plain dataclass whose fields all have defaults. Ranges and help ride along in `Annotated`::

    @dataclass(frozen=True)
    class Options:
        alpha: Annotated[float, Gt(0), Le(1), "upper bound of the keep probability"] = 1.0

They arrive validated, whether they came from the command line, a TOML file or Python.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

from dckt_core.base.errors import PluginError, did_you_mean

if TYPE_CHECKING:
    from dckt_core.contract.pairs import Medium, PairSet
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
        Part,
        PartContext,
        Sampler,
        SamplerContext,
    )
    from dckt_core.contract.records import Record

API_VERSION = "1.0"
"""Version of the extension contract, `major.minor`. A plugin of another major is skipped with the reason."""

Modality = Literal["image", "text", "both"]
"""What an encoder encodes."""

OptionsT = TypeVar("OptionsT")


@dataclass(frozen=True)
class NoOptions:
    """Options of a plugin that takes none."""


@dataclass(frozen=True)
class NamedFunction:
    """A function by its name, `module:function`; the module is imported when it is first called."""

    name: str

    @property
    def well_formed(self) -> bool:
        """Whether it may name something; cheap."""
        return re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*", self.name) is not None

    def __call__(self, *args: Any) -> Any:
        return self.function()(*args)

    def function(self) -> Callable[..., Any]:
        """What it names. Whatever the module raises while it is imported passes.

        Raises:
            PluginError: there is no such module, or nothing of that name in it that can be called.
        """
        module_name, _, name = self.name.partition(":")
        try:
            module = import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name and f"{module_name}.".startswith(f"{error.name}."):
                raise PluginError(f"'{self.name}' names nothing: there is no module '{error.name}'") from error
            raise  # an import of the module's own
        function = getattr(module, name, None)
        if not callable(function):
            own = [key for key, value in vars(module).items() if getattr(value, "__module__", "") == module_name]
            raise PluginError(f"'{self.name}' names nothing that can be called{did_you_mean(name, own)}")
        return function  # type: ignore[no-any-return]


@dataclass(frozen=True, kw_only=True)
class Spec(Generic[OptionsT]):
    """What all specs share.

    Where a function is asked for, its name does, such as `"my_module:build"`: it becomes a `NamedFunction`, and can be
    called as well.

    Attributes:
        name: what the user types, such as `vgg19`; lower case, digits, `-`, `_`, `.`.
        summary: one line for listings.
        options: a dataclass whose fields all have defaults.
        api: the version of the contract that the plugin was written for, such as `"1.0"`. Write it out: what is
            read from `API_VERSION` claims to fit every version to come.
    """

    kind: ClassVar[str]
    """What it describes, in one word: `encoder`, `sampler`, ..."""
    functions: ClassVar[tuple[str, ...]] = ("build",)
    """The fields that are called."""
    may_lack: ClassVar[tuple[str, ...]] = ()
    """Those of them that may be None."""
    name: str
    summary: str
    options: type[OptionsT] = NoOptions  # type: ignore[assignment]
    api: str

    def __post_init__(self) -> None:
        for field_name in self.functions:
            if isinstance(value := getattr(self, field_name), str):
                object.__setattr__(self, field_name, NamedFunction(value))

    def import_functions(self) -> None:
        """Imports now what would be imported when it is first called, and raises what that raises."""
        for field_name in self.functions:
            if isinstance(value := getattr(self, field_name), NamedFunction):
                value.function()


@dataclass(frozen=True, kw_only=True)
class EncoderSpec(Spec[OptionsT]):
    """Turns images or texts into feature rows.

    Attributes:
        modality: what it encodes, `"image"`, `"text"`, or `"both"`: then `context.medium` says which of them to build,
            and one name serves `--encoder` and `--text-encoder`.
        by_id: it goes by the items' ids and roles and looks at nothing else, so that pictures need not be there, and
            nothing from elsewhere can be encoded.
        build: `(options, context)` to a `protocols.Encoder`.
        models: names that its option `model` takes, where they can be listed at once: whoever asks for an encoder of
            such a name is told of this one. May raise where a package is missing.
    """

    kind: ClassVar[str] = "encoder"
    functions: ClassVar[tuple[str, ...]] = ("build", "models")
    modality: Modality
    by_id: bool = False
    build: Callable[[OptionsT, EncoderContext], Encoder] | str
    models: Callable[[], Iterable[str]] | str = lambda: ()

    @property
    def media(self) -> tuple[Medium, ...]:
        """What it encodes, one by one."""
        return ("image", "text") if self.modality == "both" else (self.modality,)


@dataclass(frozen=True, kw_only=True)
class DiscrepancySpec(Spec[OptionsT]):
    """Measures how far two domains' features lie apart. `build` returns a `protocols.Discrepancy`."""

    kind: ClassVar[str] = "discrepancy"
    build: Callable[[OptionsT, DiscrepancyContext], Discrepancy] | str


@dataclass(frozen=True, kw_only=True)
class SamplerSpec(Spec[OptionsT]):
    """Chooses the target pairs of each progressive iteration. `build` returns a `protocols.Sampler`."""

    kind: ClassVar[str] = "sampler"
    build: Callable[[OptionsT, SamplerContext], Sampler] | str


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(Spec[OptionsT]):
    """Reads a layout on disk, or makes a data set on the spot.

    Attributes:
        load: `(location, options, context)` to the pairs, with what is known of them. `location` is None for a data
            set that is asked for by its name alone.
        detect: True where the layout is recognised at a path; must be cheap and not read the whole set.
        settings: configuration that suits this data set, laid over the preset when it is the target. Anything
            that the user says wins over it.
        pictures: False for a layout of features, whose pictures need not be there.
        records: `(location, options, context)` to an iterable of `Record`, read one by one: what the layout states, in
            its own spelling and without a split where it has none. `dckt import` and listings of items of one medium
            read it where there is one, and else what `load` gives.
        marks: names of files and folders that it is recognised by, all of them, for whoever asks why it was not; `|`
            stands between names of which one is enough, `*` for anything.
    """

    kind: ClassVar[str] = "dataset"
    functions: ClassVar[tuple[str, ...]] = ("load", "detect", "records")
    may_lack: ClassVar[tuple[str, ...]] = ("records",)
    load: Callable[[Path | None, OptionsT, DatasetContext], PairSet] | str
    detect: Callable[[Path], bool] | str = lambda path: False
    settings: Mapping[str, Any] = field(default_factory=dict)
    pictures: bool = True
    records: Callable[[Path, OptionsT, DatasetContext], Iterable[Record]] | str | None = None
    marks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class IndexSpec(Spec[OptionsT]):
    """Finds nearest neighbours by cosine. `build` returns a `protocols.Index`."""

    kind: ClassVar[str] = "index"
    build: Callable[[OptionsT, IndexContext], Index] | str


@dataclass(frozen=True, kw_only=True)
class ObserverSpec(Spec[OptionsT]):
    """Is told what happens in training. `build` returns a `protocols.Observer`."""

    kind: ClassVar[str] = "observer"
    build: Callable[[OptionsT, ObserverContext], Observer] | str


@dataclass(frozen=True, kw_only=True)
class PartSpec(Spec[OptionsT]):
    """A part of the common space (`--part`). `build` returns a `protocols.Part`.

    Attributes:
        networks: its rows come from the method's two networks, which are trained only where some part asks for them.
        target_network: its rows are the target network's representation, as it gives them: a space of this part alone
            is the published method's, and has no figures beside the network's own.
        classes: its rows are probabilities of the target's classes, in the order of the label space: a run predicts
            by the last such part.
        same_space: it compares features of images and texts with one another, so it is for encoders that share a space
            (`Encoder.space`). Where they share none, it is not asked.
        supersedes: names of parts that it takes in. They are fitted all the same, so that it can build on them, but do
            not count beside it.
    """

    kind: ClassVar[str] = "part"
    build: Callable[[OptionsT, PartContext], Part] | str
    networks: bool = False
    target_network: bool = False
    classes: bool = False
    same_space: bool = False
    supersedes: tuple[str, ...] = ()
