"""What `build` gives back, and what it is given: the run-time half of the extension contract.

Shapes: n rows of a batch, d the width of a layer, Q target training pairs, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, cast, runtime_checkable

from dckt_core.contract.pairs import ImageItem as ImageItem  # for plugins: what `prepare` is given
from dckt_core.contract.pairs import Medium, Role
from dckt_core.contract.pairs import TextItem as TextItem

if TYPE_CHECKING:  # torch stays out, so that a plugin's data set is read and checked without it
    import torch
    from torch import Tensor, nn

T = TypeVar("T")

# --- encoders -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class EncoderContext:
    """What an encoder may use while it is built.

    Attributes:
        seed: for every random draw (`context.generator("purpose")`).
        cache_dir: a folder for downloads and other files that may be made again.
        medium: which one to build, for an encoder of both.
        texts: the training texts of source and target, for encoders that learn a vocabulary; empty on reload.
        names: what the classes are called: words to know, if there is a way, though no text may have them.
        places: where the run's data sets lie, for features that lie with them.
        state: what `Encoder.state` was when the run was saved; None in a new run.
        shared: what encoders of one run have made by `once`.
    """

    seed: int
    cache_dir: Path
    medium: Medium | None = None
    texts: Sequence[str] = ()
    names: Sequence[str] = ()
    places: Mapping[Role, Path] = field(default_factory=dict)
    state: Mapping[str, Any] | None = None
    shared: dict[Any, Any] = field(default_factory=dict)

    def once(self, key: Any, make: Callable[[], T]) -> T:
        """What `make` gives, made once under a key for both encoders of a run: a model that serves both media."""
        if key not in self.shared:
            self.shared[key] = make()
        return cast(T, self.shared[key])

    def generator(self, purpose: str) -> torch.Generator:
        """A CPU generator of its own for each purpose, so that one more draw here changes nothing there."""
        from dckt_core.base.rng import generator_for

        return generator_for(self.seed, purpose)


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """One medium's encoder: items are prepared on the CPU, then pass the module in batches.

    Attributes:
        prepare: items to one tensor of module inputs [n, ...]; the trailing shape is the same at every call.
            Images arrive as `ImageItem` (`item.open()` is an RGB PIL image, `item.open(size)` one that will be scaled
            to that size), texts as `TextItem`. For images it is called from several threads at once.
        module: inputs [n, ...] to features [n, dim], float.
        dim: width of a feature row.
        fingerprint: names weights and preprocessing. Equal fingerprints mean equal features, so it keys the
            feature cache and is checked when a run is loaded.
        trainable: False: the engine runs the module once, in eval mode, and caches the features.
            True: each domain network trains a copy of the module.
        head: pretrained linear layers that continue the module, in order. The network's first layers of this
            medium start from those whose shapes fit (fc6 and fc7 of VGG19).
        state: what the encoder learnt from the training texts, as JSON-able data (a vocabulary). An encoder
            with a state is saved with the run, module weights included, and built again from it.
        cached: False keeps the features out of the cache, for an encoder that reads them from somewhere or whose
            features depend on more of an item than its picture or text (its `id`, its `role`).
        check: called with all items before the first of them is prepared; raises DataError where some cannot be
            encoded, for an encoder that can tell at once and count them.
        words: each word of a text, and whether the encoder has a vector for it; None where it does not go by words.
            How many of the texts' words are known is told, and a training or a query whose words are all unknown
            refused.
        learns_words: whether it learns what words mean from the training texts alone. Where these are few, pretrained
            vectors are recommended.
        cut: whether a text is longer than what the encoder reads, so that the rest is left out; None where nothing is,
            or nobody knows. How many texts are cut is told.
        space: names the space that the rows lie in, where images and texts can be compared in it by their cosine: two
            encoders of equal `space` and `dim` are halves of one model. None: the rows compare with no other medium's.
        plugin: who is named in errors; the engine fills it in.
    """

    prepare: Callable[[Sequence[Any]], Tensor]
    module: nn.Module
    dim: int
    fingerprint: str
    trainable: bool = False
    head: Sequence[nn.Linear] = ()
    state: Mapping[str, Any] | None = None
    cached: bool = True
    check: Callable[[Sequence[Any]], None] | None = None
    words: Callable[[str], Sequence[tuple[str, bool]]] | None = None
    learns_words: bool = False
    cut: Callable[[str], bool] | None = None
    space: str | None = None
    plugin: str = ""

    def __str__(self) -> str:
        """What errors call it."""
        return self.plugin or f"encoder '{self.fingerprint}'"


Item = ImageItem | TextItem
"""What an encoder is given: an image or a text."""

# --- discrepancies --------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class DiscrepancyContext:
    """What a discrepancy may use while it is built.

    Attributes:
        seed: for every random draw.
        layers: width d of each layer that it will be given, by name (`image_fc6` ... `common_fc9`).
        updates: how many optimizer steps the transfer phase takes, for schedules.
    """

    seed: int
    layers: Mapping[str, int]
    updates: int

    def generator(self, purpose: str) -> torch.Generator:
        """A CPU generator of its own for each purpose."""
        from dckt_core.base.rng import generator_for

        return generator_for(self.seed, purpose)


class PairwiseDiscrepancy(Protocol):
    """The simple form: one layer at a time."""

    def __call__(self, source: Tensor, target: Tensor, /) -> Tensor:
        """Source rows [n, d] and target rows [m, d] to a differentiable scalar."""
        ...


@runtime_checkable
class LayerwiseDiscrepancy(Protocol):
    """The form for those that gain from seeing all layers at once, or that keep something per layer.

    Where the object is an `nn.Module`, its parameters join the optimizer. Where it has `state_dict` (named tensors)
    and `load_state_dict`, what they hold goes into checkpoints; either form may have them.
    """

    def many(self, layers: Mapping[str, tuple[Tensor, Tensor]], progress: float) -> Mapping[str, Tensor]:
        """Every layer's (source [n, d], target [m, d]) to every layer's scalar, under the same names.

        progress: share of the transfer phase that is done, in [0, 1].
        """
        ...


Discrepancy = PairwiseDiscrepancy | LayerwiseDiscrepancy
"""Either form: a function of one layer, or an object with `many`."""

# --- samplers -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class SamplerContext:
    """What a sampler may use while it is built.

    Attributes:
        iterations: K, the number of progressive iterations.
    """

    iterations: int


@dataclass(frozen=True)
class Representation:
    """Common representations of pairs under one network: class probabilities, `image` [N, C] and `text` [N, C]."""

    image: Tensor
    text: Tensor


class SamplerState(Protocol):
    """What a sampler sees of one progressive iteration. What is not asked for is not computed."""

    iteration: int
    """From 1 to K."""
    labels: Tensor
    """Target training labels [Q], int64."""
    source_labels: Tensor
    """Source training labels [P], int64."""
    generator: torch.Generator
    """The run's own generator for selections (CPU); the only source of random draws allowed here."""

    def target_by_source(self) -> Representation:
        """All Q target pairs through the SOURCE network as it is now: [Q, C_s]."""
        ...

    def target_by_target(self) -> Representation:
        """All Q target pairs through the TARGET network as it is now: [Q, C_t]."""
        ...

    def target_losses(self) -> Tensor:
        """The target network's own semantic loss of each target pair, image + text: [Q], nats."""
        ...

    def layer(self, domain: Literal["source", "target"], name: str) -> Tensor:
        """A layer's outputs for all training pairs of a domain under that domain's network, such as `image_fc7`.

        [P or Q, d]; for `common_*` image rows first, then text rows: [2P or 2Q, d].
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The pairs that the next iteration trains on.

    Attributes:
        indices: rows of the target training pairs, int64 [k], 1 <= k. An index given twice is seen twice.
        source_indices: rows of the source training pairs, or None for all of them.
        details: named values of all Q target pairs, each [Q], for `selection.csv` (such as `ap`, `keep_rate`).
    """

    indices: Tensor
    source_indices: Tensor | None = None
    details: Mapping[str, Tensor] = field(default_factory=dict)


class Sampler(Protocol):
    """Chooses the target pairs of each iteration."""

    def select(self, state: SamplerState, /) -> Selection:
        """Called once an iteration, before its updates."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """JSON-able; empty where the sampler remembers nothing between iterations."""
        ...

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Takes back what `state_dict` gave."""
        ...


# --- data sets ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class DatasetContext:
    """What a data set may use while it is loaded.

    Attributes:
        cache_dir: a folder for files that may be made again.
        progress: called as `progress(done, total, "what")` in long work; may be ignored.
        pictures: False where nobody will look at the pictures, which then need not be there.
        image_roots: folders that the user allows pictures to be in, besides the data set's own.
    """

    cache_dir: Path
    progress: Callable[[int, int, str], None] = lambda done, total, what: None
    pictures: bool = True
    image_roots: tuple[Path, ...] = ()


# --- indexes --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class IndexContext:
    """What an index may use while it is built.

    Attributes:
        dim: width of the vectors.
        seed: for every random draw.
    """

    dim: int
    seed: int


class Index(Protocol):
    """Nearest neighbours by cosine.

    One whose vectors can be exported has, besides, `stored()`: all ids, and their vectors [n, dim] of unit length.
    """

    def add(self, ids: Sequence[str], vectors: Tensor, /) -> None:
        """Adds vectors [n, dim]; an id that is there already is replaced."""
        ...

    def remove(self, ids: Sequence[str], /) -> None:
        """Takes ids out; an unknown id is a KeyError."""
        ...

    def search(self, queries: Tensor, k: int, /) -> tuple[list[list[str]], Tensor]:
        """Queries [q, dim] to the ids and cosines [q, min(k, size)] of the nearest, best first."""
        ...

    def save(self, path: Path, /) -> None:
        """Writes itself into a folder."""
        ...

    def load(self, path: Path, /) -> None:
        """Reads back what `save` wrote."""
        ...

    def __len__(self) -> int: ...


# --- parts of the common space --------------------------------------------------------------------------------


class StepAsideError(Exception):
    """Raised by a part's `fit` that has nothing to learn from, or finds that it would harm: why, in one line.

    The space does without the part, and says so.
    """


@dataclass(frozen=True, kw_only=True)
class PartContext:
    """What a part may use while it is built, for a new run and when a run is read back.

    Attributes:
        seed: for every random draw.
        networks: the method's networks by domain, in eval mode, where they were trained: what a part with
            `networks = True` is about. Otherwise empty.
    """

    seed: int
    networks: Mapping[Role, Represents] = field(default_factory=dict)

    def generator(self, purpose: str) -> torch.Generator:
        """A CPU generator of its own for each purpose."""
        from dckt_core.base.rng import generator_for

        return generator_for(self.seed, purpose)


class Represents(Protocol):
    """A network of the method, or the common space."""

    @property
    def dim(self) -> int:
        """D, the width of a representation: of a network C, the classes of its domain."""
        ...

    def represent(self, images: Tensor | None, texts: Tensor | None, /) -> Representation:
        """Inputs of either medium [n, ...] to representations [n, D]: of a network, class probabilities."""
        ...


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of one domain: feature rows of frozen encoders, of training items alone, float32 on the CPU.

    Attributes:
        images: [n, d_i].
        texts: [m, d_t].
        pairs: the first so many rows of both belong together, row by row; of the others nobody knows the partner.
        image_labels: [n], int64, numbers of classes; -1 where nobody knows.
        text_labels: [m], the same.
        classes: size of the domain's label space.
        names: features of the classes' names and phrases [k, d_t]; there may be none, or several of a class.
        name_labels: [k], int64.
    """

    images: Tensor
    texts: Tensor
    pairs: int
    image_labels: Tensor
    text_labels: Tensor
    classes: int
    names: Tensor
    name_labels: Tensor


class Material(Protocol):
    """What a part is fitted on. What is not asked for is not computed."""

    @property
    def seed(self) -> int:
        """The run's."""
        ...

    @property
    def source(self) -> Known:
        """The large set that helps."""
        ...

    @property
    def target(self) -> Known:
        """The small set that is searched."""
        ...

    @property
    def validation(self) -> Known:
        """The target's validation pairs, for choices alone."""
        ...

    @property
    def sampler(self) -> Sampler:
        """The run's own, for parts that learn from some of their pairs before others."""
        ...

    def generator(self, purpose: str, /) -> torch.Generator:
        """A CPU generator of its own for each purpose."""
        ...

    def rows(self, part: str, medium: Medium, features: Tensor, /) -> Tensor:
        """What a part that was fitted before gives for features [n, d]: [n, k]. KeyError where there is none."""
        ...

    def note(self, text: str, /) -> None:
        """One line about what was chosen and why, for the user and for the run's summary."""
        ...


class Part(Protocol):
    """Turns feature rows of either medium into rows in which images and texts are compared by cosine.

    One that can be exported has, besides, `formula(medium, features, before, note)`: it notes down what `rows`
    computes, by the methods of `note`, a `Formula`, and returns the `Value` of its rows. `before` has those of the
    parts before it. None says that its rows cannot be said so.
    """

    def fit(self, material: Material, /) -> None:
        """Learns from what is known; called once.

        Raises:
            StepAsideError: there is nothing to learn from.
        """
        ...

    def rows(self, medium: Medium, features: Tensor, before: Mapping[str, Tensor], /) -> Tensor:
        """Features [n, d] to rows [n, k], float32; k is the same for both media and at every call.

        before: what the parts before this one give for the same features, by name; computed when asked for.
        """
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """All that `rows` depends on, as tensors by name."""
        ...

    def load_state_dict(self, state: Mapping[str, Tensor], /) -> None:
        """Takes back what `state_dict` gave, in a part that was built anew and not fitted.

        Raises:
            ValueError, KeyError, RuntimeError: the state does not fit.
        """
        ...


# --- observers ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ObserverContext:
    """What an observer may use while it is built.

    Attributes:
        run_dir: the run's folder, made already.
    """

    run_dir: Path


class Observer(Protocol):
    """Is told what happens, in the main process only. One that raises ends the run with its name.

    One that writes may have `state_dict` (JSON-able) and `load_state_dict` besides: a run that goes on from a
    checkpoint hands back what the observer had told by then, and tells it the rest anew.
    """

    def on_metrics(self, row: Mapping[str, Any], /) -> None:
        """One row of measurements. Keys `phase`, `iteration` and `update` say when; the rest are numbers."""
        ...

    def on_selection(self, iteration: int, rows: Sequence[Mapping[str, Any]], /) -> None:
        """What the sampler chose: a row for each target pair, with `id`, `kept` and the sampler's details."""
        ...

    def on_end(self, summary: Mapping[str, Any], /) -> None:
        """The run is over; the summary is what `summary.json` holds."""
        ...
