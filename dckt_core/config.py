"""What a run is: one validated, frozen configuration.

Layers, each winning over the one before: a preset, the target data set's own settings, a TOML file, `DCKT_*`
variables, flags. The presets (`presets/*.toml`) hold every value of the method; the code holds none, so a preset
reads as the full statement of an experiment. Values and their sources: docs/method.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dckt_core.base.errors import DataError, UsageError, did_you_mean, one_line
from dckt_core.io.complaint import complaint
from dckt_core.io.files import is_endless
from dckt_core.io.limits import CONFIG
from dckt_core.io.text import parse_toml

ENV_PREFIX = "DCKT_"
ENV_NOT_CONFIG = frozenset(
    {
        *("CACHE_DIR", "DEBUG", "LOAD_PLUGINS", "MAX_PIXELS", "MAX_UNPACKED", "PLUGIN_TIMEOUT", "STRICT_PLUGINS"),
        *("TEST_DATA", "TRACE_PLUGINS"),
    }
)
DEFAULT_PRESET = "tuned"

Weight = Annotated[float, Field(ge=0, le=1e38)]  # float32 holds no more than 3e38
Factor = Annotated[float, Field(gt=0, le=1e38)]
Share = Annotated[float, Field(ge=0, le=1e6)]  # is squared
Count = Annotated[int, Field(ge=0, lt=2**31)]
Positive = Annotated[int, Field(ge=1, lt=2**31)]
Prompt = Annotated[str, Field(pattern=r"^[^{}]*\{\}[^{}]*$")]


class Section(BaseModel):
    """A table of the configuration: frozen, and strict about unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PluginChoice(BaseModel):
    """A plugin by name; every other key of the table is an option of that plugin, checked by its own spec."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class DataChoice(BaseModel):
    """A data set: a path, or the name of one that is made on the spot. Other keys are options of its layout."""

    model_config = ConfigDict(extra="allow", frozen=True)
    location: str
    layout: str = "auto"

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class NetworkConfig(Section):
    """Widths of the two domain networks and how they start."""

    media_width: Positive
    """Width of fc6 and fc7 of both media."""
    common_width: Positive
    """Width of fc8 and fc9."""
    batch_norm: Literal["own", "shared", "none"]
    """BatchNorm without affine parameters between each linear layer and its ReLU, and one with on the text input.
    `own`: each domain's batches by their own statistics. `shared`: from the start of transfer by running statistics
    over both domains' batches, so that what sets the domains apart stays in the layers."""
    target_init: Literal["own", "source"]
    """Where the target network's transfer starts: its own pre-training, or the source network but its classifier."""


class PartChoice(BaseModel):
    """A part of the common space; every key but these is an option of the part's plugin, checked by its own spec."""

    model_config = ConfigDict(extra="allow", frozen=True)
    weight: Share = 1.0
    """The cosine of two items is the mean of the parts' cosines, weighted by this; 0 leaves the part out."""
    earn: bool = False
    """The part stays only where mAP on validation is higher with it, by more than `space.margin`."""
    among: tuple[Annotated[float, Field(gt=0, le=1e6)], ...] = ()
    """Further weights: the part takes one of them where mAP on validation is higher with it by more than that."""

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class SpaceConfig(Section):
    """What the common space is made of, and how much each part weighs."""

    margin: Weight
    """A part is left out where mAP on validation is higher without by more than this, and by more than two standard
    errors of the pictures' differences, so that a small split's luck changes nothing; 1 keeps them whatever it says."""
    parts: Annotated[dict[str, PartChoice], Field(min_length=1)]
    """By the name of their plugin, in the order in which they are fitted: a part may build on those before it."""

    @property
    def chosen(self) -> dict[str, PartChoice]:
        """The parts that have a weight."""
        return {name: part for name, part in self.parts.items() if part.weight}


IDENTITIES = ("name", "location")
"""Keys of a table that say which plugin its other keys are options of; see `merge`."""


def reserved_keys(kind: str) -> frozenset[str]:
    """What the table of a plugin of that kind holds beside the plugin's options, so that no option may be called so."""
    choices: dict[str, type[BaseModel]] = {"dataset": DataChoice, "part": PartChoice}
    return frozenset(choices.get(kind, PluginChoice).model_fields).union(IDENTITIES)


class MediaLevel(Section):
    """Weights of the discrepancy between the domains on each medium's own layers."""

    weight: Weight
    """Factor of the whole level; 0 switches it off."""
    image_fc6: Weight
    image_fc7: Weight
    text_fc6: Weight
    text_fc7: Weight


class CorrelationLevel(Section):
    """Weights of the discrepancy between the domains on the layers that both media share."""

    weight: Weight
    """Factor of the whole level; 0 switches it off."""
    common_fc8: Weight
    common_fc9: Weight


class PairLoss(Section):
    """Weights of the distance between an image and its text, in each domain."""

    fc6: Weight
    fc7: Weight
    reduction: Literal["half_mean", "sum"]
    """sum / (2N) over a batch of N pairs, or the bare sum."""


class SemanticLoss(Section):
    """Weights of the cross-entropy in the joint phase. Pre-training takes it at weight 1."""

    source: Weight
    target: Weight


class LossConfig(Section):
    media: MediaLevel
    correlation: CorrelationLevel
    pair: PairLoss
    semantic: SemanticLoss

    def attachments(self) -> dict[str, float]:
        """Weight of each layer that the discrepancy is attached to; layers of weight 0 are left out."""
        levels = (self.media, self.correlation)
        weights = {
            name: level.weight * getattr(level, name)
            for level in levels
            for name in type(level).model_fields
            if name != "weight"
        }
        return {name: weight for name, weight in weights.items() if weight > 0}


class OptimizerConfig(Section):
    """Stochastic gradient descent with momentum. Biases have a learning rate and a decay of their own."""

    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: Weight
    bias_lr_factor: Weight
    bias_decay: Weight


class Schedule(Section):
    """Rows and steps of one training phase. `batch` is the pairs of one domain over all processes together."""

    batch: Annotated[int, Field(ge=2, le=2**20)]
    accumulation: Positive
    """Batches whose gradients are averaged into one update."""
    lr: Factor


class PretrainConfig(Schedule):
    source_updates: Count
    target_updates: Count


class TransferConfig(Schedule):
    iterations: Positive
    """K: how often the target pairs are chosen anew."""
    updates: Positive
    """Updates in each iteration."""
    lr_gamma: Weight
    lr_power: Weight
    """The rate at update `it`, counted over all iterations, is lr * (1 + lr_gamma * it) ** -lr_power."""
    keep_start: bool
    """The networks before transfer compete as iteration 0 when the best one on validation is kept."""
    control: bool
    """Also train a twin of the target network on the same batches without the source: what to compare with."""


class OfferConfig(Section):
    """How much of the target's items may be known: all that there is, or less, to see what each is worth."""

    fold: Count | None = None
    """Another split than the data set's own: this fold of its labelled pairs is the test split, from 0, the next one is
    validation, the others are for training. Beyond `folds` the pairs are dealt out anew."""
    folds: Annotated[int, Field(ge=3, lt=2**31)] | None = None
    """Folds in a deal; 5 where not given."""
    labels: Literal["all", "none"] = "all"
    """`none` takes the labels off all of them; `shots` leaves a few."""
    rest: Literal["unlabelled", "dropped"] = "unlabelled"
    """What becomes of the items that are not among the `shots`: they stay without a label, or they go."""
    pairing: Literal["kept", "broken"] = "kept"
    """`broken`: of half the pairs the image alone, of the others the text alone, drawn by the seed."""
    class_names: bool = True
    """Whether the classes' names are known: those of the data set, else the labels themselves."""
    train_items: Literal["all", "none"] = "all"
    """`none`: nothing at all, so that there is but the source to learn from, and the names where they are known."""
    validation: Literal["labelled", "unlabelled", "none"] = "labelled"
    """What choices may be made on: pairs with labels as far as there are any, pairs without, or none."""
    source_items: Literal["all", "none"] = "all"
    """`none`: nothing of the source, so that there is but the target to learn from; the difference is what it gave."""


class Config(Section):
    """A run, whole. `Config.resolve` makes one."""

    preset: str
    """Name of the values that the others are laid on."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Of every draw; the same one gives the same bits on a CPU."""
    source: DataChoice = DataChoice(location="sample-source")
    """The large data set that helps."""
    target: DataChoice = DataChoice(location="sample-target")
    """The small data set that is searched."""
    shots: Positive | None = None
    """At most so many training items of each class of the target have a label, drawn by the seed; all where not given.
    """
    offer: OfferConfig = OfferConfig()
    """What of the data may be known."""
    encoder: PluginChoice
    """Of images."""
    text_encoder: PluginChoice
    """Of texts."""
    prompts: tuple[Prompt, ...] = ()
    """Templates that each name of a class is put into before it is encoded, such as `a photo of a {}.`; none for the
    names as they are. A class with several texts is where their mean is."""
    discrepancy: PluginChoice
    """The loss between the domains."""
    sampler: PluginChoice
    """Of the curriculum: which target pairs come first."""
    observers: tuple[PluginChoice, ...] = (PluginChoice(name="csv"),)
    """Who is told of metrics."""
    network: NetworkConfig
    """The method's networks."""
    space: SpaceConfig
    """The common space."""
    loss: LossConfig
    """Weights of the method's losses."""
    optimizer: OptimizerConfig
    """Of the method's networks."""
    pretrain: PretrainConfig
    """Training of each network by itself."""
    transfer: TransferConfig
    """Training of both together."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `mps`."""
    precision: Literal["no", "bf16", "fp16"] = "no"
    """Mixed precision of the networks; losses are float32 always."""
    on_error: Literal["fail", "skip"] = "fail"
    """A bad line or image ends the run before it begins, or its pair is dropped."""
    max_bad_fraction: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Share of a data set's pairs that `skip` may drop; where more are bad, the run ends all the same."""
    checkpoint_minutes: Annotated[float, Field(ge=0)] = 10.0
    """How often training keeps what `--resume` goes on from; 0 for every update. It changes no result."""
    checkpoints_kept: Positive = 2
    """The last so many; older ones are removed."""
    encode_batch: Positive = 16
    """Items that pass a frozen encoder at once; the last block is filled up. More of them are no faster on a CPU."""
    encode_precision: Literal["float32", "bfloat16"] = "float32"
    """Of a frozen encoder's products. `bfloat16` is faster where the processor has instructions for it."""
    encode_compiled: bool = False
    """Compile frozen encoders (torch.compile): the better part of a minute, then faster. It takes a C++ compiler."""

    @model_validator(mode="after")
    def _is_of_one_mind(self) -> Self:
        if self.shots is not None and (self.offer.labels, self.offer.train_items) != ("all", "all"):
            key = "labels" if self.offer.labels == "none" else "train_items"
            raise ValueError(f"shots = {self.shots} and offer.{key} = 'none' exclude each other")
        if self.shots is None and self.offer.rest == "dropped":
            raise ValueError("offer.rest = 'dropped' goes with shots, which say how many are not dropped")
        if self.offer.fold is None and self.offer.folds is not None:
            raise ValueError(
                f"offer.folds = {self.offer.folds} goes with offer.fold, which says which of them is tested"
            )
        return self

    @classmethod
    def resolve(
        cls,
        *,
        preset: str | None = None,
        settings: Mapping[str, Any] | None = None,
        file: Path | None = None,
        environ: Mapping[str, str] | None = None,
        flags: Mapping[str, Any] | None = None,
    ) -> Config:
        """Lays the layers over one another and validates the result.

        Raises:
            UsageError: an unknown key, a value out of range, a file that is no TOML; one line that names it.
        """
        said = [read_toml(file) if file else {}, environ_layer(environ or {}), dict(flags or {})]
        named = preset or next((layer["preset"] for layer in reversed(said) if "preset" in layer), DEFAULT_PRESET)
        layers = [read_preset(str(named)), dict(settings or {}), *said, {"preset": named}]
        merged: dict[str, Any] = {}
        for layer in layers:
            merged = merge(merged, layer)
        return validate(merged)

    def to_toml(self) -> str:
        """As a file for `--config`; what is None is left out."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`, table by table. A table that names another plugin starts afresh, options and all.

    >>> merge({"encoder": {"name": "a", "x": 1}, "seed": 0}, {"encoder": {"name": "b"}})
    {'encoder': {'name': 'b'}, 'seed': 0}
    """
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            identity = next((k for k in IDENTITIES if k in value), None)
            fresh = identity is not None and value[identity] != below.get(identity)
            result[key] = dict(value) if fresh else merge(below, value)
        else:
            result[key] = value
    return result


def preset_names() -> list[str]:
    folder = resources.files("dckt_core") / "presets"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def read_preset(name: str) -> dict[str, Any]:
    """A preset's values; `extends` names the one that it changes."""
    if name not in preset_names():
        raise UsageError(f"unknown preset '{name}'{did_you_mean(name, preset_names())}")
    values = parse_toml((resources.files("dckt_core") / "presets" / f"{name}.toml").read_text("utf-8"))
    parent = values.pop("extends", None)
    return merge(read_preset(parent), values) if parent else values


def read_toml(file: Path) -> dict[str, Any]:
    if is_endless(file):
        raise UsageError(f"{file}: no file")
    try:
        return parse_toml(CONFIG.read(file).decode("utf-8"))
    except DataError as error:
        raise UsageError(str(error)) from None
    except ValueError as error:
        raise UsageError(f"{file}: {one_line(str(error))}") from None


def read_config(file: Path) -> Config:
    """The whole configuration of a run, as `Config.to_toml` wrote it.

    Raises:
        UsageError: it cannot be read, or is none; the message names the file.
    """
    values = read_toml(file)
    try:
        return validate(values)
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from None


def environ_layer(environ: Mapping[str, str]) -> dict[str, Any]:
    """`DCKT_TRANSFER__ITERATIONS=5` as {"transfer": {"iterations": 5}}."""
    said = [
        (name.removeprefix(ENV_PREFIX), value)
        for name, value in sorted(environ.items())
        if name.startswith(ENV_PREFIX) and name.removeprefix(ENV_PREFIX) not in ENV_NOT_CONFIG
    ]
    return assignments_layer((name.lower().replace("__", "."), value) for name, value in said)


def assignments_layer(assignments: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Dotted keys and values as typed (`transfer.lr`, `0.1`) as nested tables."""
    layer: dict[str, Any] = {}
    for dotted, value in assignments:
        *tables, key = dotted.split(".")
        nested: dict[str, Any] = {key: parse_value(value)}
        for table in reversed(tables):
            nested = {table: nested}
        layer = merge(layer, nested)
    return layer


def parse_value(text: str) -> Any:
    """A TOML value where it is one, else the text itself: `true`, `0.5`, `[1, 2]`, `fc6`."""
    try:
        return parse_toml(f"value = {text}")["value"]
    except ValueError:
        return text


def validate(values: Mapping[str, Any]) -> Config:
    """Nested tables to a Config, every complaint turned into one line."""
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        found = complaint(error)
        if not found.key:
            raise UsageError(found.text) from None
        if found.kind == "unknown":
            *tables, word = found.key.split(".")
            raise UsageError(f"unknown configuration key '{found.key}'{_suggest(tables, word)}") from None
        if found.kind == "missing":
            raise UsageError(f"configuration key '{found.key}' is missing") from None
        raise UsageError(f"configuration key '{found.key}' = {found.value}: {found.text}") from None


def _suggest(tables: list[str], word: str) -> str:
    section: type[BaseModel] = Config
    for table in tables:
        annotation = section.model_fields[table].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            break
        section = annotation
    return did_you_mean(word, section.model_fields)
