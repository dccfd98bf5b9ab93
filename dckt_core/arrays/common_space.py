"""`CommonSpace`: fits the common space on arrays, and places, ranks and scores rows in it.

The shape is scikit-learn's, the engine is that of a run: `fit` trains as `dckt train` does, in a folder that it throws
away, and what it keeps is what a run folder holds.
"""

from __future__ import annotations

import json
import numbers
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from dckt_core.arrays.domains import as_domain, equal_numbers, leaks, notes
from dckt_core.arrays.given import Widths, as_given
from dckt_core.arrays.labels import Label, Labels, as_labels, check_kinds
from dckt_core.base.device import find_device
from dckt_core.base.errors import ArgumentError, DataError, DcktError, StorageError, UsageError, describe, one_line
from dckt_core.base.progress import Progress, silent
from dckt_core.config import DEFAULT_PRESET, Config, merge
from dckt_core.contract.discovery import Registry, load_registry
from dckt_core.contract.options import parse_options
from dckt_core.contract.pairs import MEDIA, Medium
from dckt_core.contract.protocols import IndexContext, Representation
from dckt_core.contract.registry import blame
from dckt_core.data.cache import default_cache_dir
from dckt_core.data.context import Context
from dckt_core.data.rows import as_rows
from dckt_core.evaluation.directions import DIRECTIONS
from dckt_core.evaluation.tasks import Evaluation, evaluate
from dckt_core.exports.exporting import FORMS, Form, write_card, write_space
from dckt_core.io.files import opened
from dckt_core.io.json import read_record, write_json
from dckt_core.runs.layout import Layout
from dckt_core.runs.model import TrainedModel
from dckt_core.runs.model import load as load_run
from dckt_core.runs.results import Results
from dckt_core.runs.seal import run_seal, seal_run
from dckt_core.runs.train import train_on

Floats = npt.NDArray[np.float32]
TextEncoder = Callable[[Sequence[str]], Any]
"""Strings to rows [n, d], as `SentenceTransformer.encode` does."""

ROWS: Mapping[Medium, str] = {"image": "precomputed-image", "text": "precomputed-text"}
"""Encoders of a run that was fitted on rows."""

CHECKPOINTS = ("space", "after", "source", "image_encoder", "text_encoder")
"""What of a run's weights the common space needs."""

ESTIMATOR, FORMAT = "estimator.json", 1
DEFAULT_RECALL = "recall@10"
SAID_BY_ROWS = ("offer", "shots", "prompts")
"""Settings that withhold what a data set has, or write class names: rows that are not to be known are not given."""
OF_FILES = (
    "encode_batch",
    "encode_precision",
    "encode_compiled",
    "on_error",
    "max_bad_fraction",
    "checkpoint_minutes",
    "checkpoints_kept",
)
"""Settings of runs that read files and encode them, or go on in a folder."""

SHARED = "rows"
"""What an estimator calls the space that the rows of both media lie in, where they do."""


@dataclass(frozen=True)
class _Saved:
    """What `estimator.json` holds beside the run."""

    format: int
    preset: str
    seed: int
    same_space: bool
    settings: dict[str, Any]
    device: str
    classes: tuple[Label, ...]
    notes: tuple[str, ...]


class CommonSpace(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """The space in which images and texts are compared by cosine, fitted on feature rows of both.

    Args:
        preset: `tuned`, `paper` or `authors`, as `--preset` takes them.
        random_state: seed of every draw: a whole number, a `RandomState` or `Generator` of numpy, which one is drawn
            from; None for 0. The same seed gives the same bits on a CPU.
        text_encoder: strings to rows [n, d_t], as `SentenceTransformer.encode` does: with it, class names and texts may
            be strings. It is not saved.
        same_space: whether the rows of both media are of one model, such as CLIP, so that the cosine of an image with a
            text says something as it is: then parts that build on that join the others (`zero-shot`, `cache`).
        settings: values of the configuration by their dotted keys, such as `{"space.parts.students.weight": 0}`.
        device: `auto`, `cpu`, `cuda` or `mps`.
        progress: called as `progress(done, total, "what")` while the method's networks are trained.

    Attributes:
        classes_: the target's labels [C], sorted: the columns of `predict_proba`.
        parts_: weights of the parts that the space is made of, by name.
        notes_: lines about the data and the choices: what is unknown or equal, which parts stepped aside and why.
        summary_: what `summary.json` of a run holds, without a test.
        model_: the `TrainedModel` that does the work.
        n_image_features_in_: width d_i of an image's row.
        n_text_features_in_: width d_t of a text's row.
    """

    def __init__(
        self,
        preset: str = DEFAULT_PRESET,
        random_state: Any = None,
        *,
        text_encoder: TextEncoder | None = None,
        same_space: bool = False,
        settings: Mapping[str, Any] | None = None,
        device: str = "auto",
        progress: Progress | None = None,
    ) -> None:
        self.preset = preset
        self.random_state = random_state
        self.text_encoder = text_encoder
        self.same_space = same_space
        self.settings = settings
        self.device = device
        self.progress = progress

    # --- fitting --------------------------------------------------------------------------------------------

    def fit(
        self,
        images: Any = None,
        texts: Any = None,
        labels: Any = None,
        *,
        source: tuple[Any, Any, Any] | None = None,
        unpaired_images: Any = None,
        unpaired_texts: Any = None,
        class_names: Any = None,
        validation: tuple[Any, Any, Any] | None = None,
    ) -> Self:
        """Learns from whatever is known of the target, with the help of the source.

        Args:
            images: rows [n, d_i] of the target's training pairs; or None, with the texts.
            texts: rows [n, d_t] that belong to the images.
            labels: their classes [n], strings or whole numbers; None, NaN, "" or -1 where one is unknown, None for all.
            source: images, texts and labels of the large domain that helps, or None; its labels may be None.
            unpaired_images: rows of target images whose partners nobody knows.
            unpaired_texts: rows of such texts.
            class_names: what the target's classes are called: a mapping from labels to a string, a row [d_t] or several
                of these; or a sequence of strings or rows [classes, d_t] in the order of the labels. Strings need the
                `text_encoder`; where labels are none or strings, a sequence of strings is of labels too.
            validation: images, texts and labels of pairs that choices are made on and nothing is learnt from. Without
                labelled ones the method's networks are not trained.

        Raises:
            ArgumentError: an argument cannot be used as it is, or there is nothing to learn from; one line that names
                it, and a ValueError.
            DivergedError: a loss was not finite.
        """
        with _as_value_errors():
            seed = _seed(self.random_state)
            widths: Widths = dict.fromkeys(MEDIA)
            of_source, target = as_given(
                widths,
                images=images,
                texts=self._encoded(texts),
                labels=labels,
                source=source,
                unpaired_images=unpaired_images,
                unpaired_texts=self._encoded(unpaired_texts),
                class_names=class_names,
                validation=validation,
                encode=self._encode,
            )
            if None in widths.values():
                raise ArgumentError("nothing to fit on: give a source, images and texts, or unpaired_images and _texts")
            sure = cast(dict[Medium, int], widths)
            context = Context(load_registry(), default_cache_dir(), self.progress or silent)
            config = self._config(seed, sure, with_source=of_source.pairs is not None)
            domains = {"source": as_domain("source", of_source, sure), "target": as_domain("target", target, sure)}
            with tempfile.TemporaryDirectory(prefix="dckt-") as folder:
                result = train_on(cast(Any, domains), config, context=context, run_dir=Path(folder))
                self._take(_read_files(Path(folder)), context.registry)
        self._seed, self._of_rows = seed, True
        self.classes_ = np.array(target.classes)
        said = (*notes("source", of_source), *notes("target", target), *leaks(of_source, target))
        said = (*said, *_notes_of_training(result.summary))
        self.notes_ = said
        return self

    def _config(self, seed: int, widths: Mapping[Medium, int], *, with_source: bool) -> Config:
        """What `dckt train` would resolve for these rows, without a data set's own settings and without observers."""
        if not isinstance(self.preset, str):
            raise ArgumentError(f"preset: {self.preset!r} is no name")
        if not isinstance(self.same_space, (bool, np.bool_)):
            raise ArgumentError(f"same_space: {self.same_space!r} is neither True nor False")
        if self.same_space and widths["image"] != widths["text"]:
            raise ArgumentError(
                f"same_space: rows of images have {widths['image']} values and those of texts {widths['text']}, and in "
                "one space they have as many"
            )
        space = {"space": SHARED} if self.same_space else {}
        place = {"location": "as given"}
        said: dict[str, Any] = {
            "seed": seed,
            "device": self.device,
            "source": place,
            "target": place,
            "encoder": {"name": ROWS["image"], "dim": widths["image"], **space},
            "text_encoder": {"name": ROWS["text"], "dim": widths["text"], **space},
            "observers": [],
        }
        if not with_source:
            said["offer"] = {"source_items": "none"}
        if not isinstance(self.settings or {}, Mapping):
            raise ArgumentError(
                f"settings: {type(self.settings).__name__}, where a mapping of keys to values is expected"
            )
        layer = merge({}, _nested(self.settings or {}))
        if fixed := sorted({*said, *SAID_BY_ROWS} & layer.keys()):
            raise ArgumentError(f"settings: '{fixed[0]}' is said by other arguments")
        if idle := sorted({*OF_FILES} & layer.keys()):
            raise ArgumentError(f"settings: '{idle[0]}' does nothing on arrays")
        return Config.resolve(preset=self.preset, flags=merge(layer, said))

    # --- use ------------------------------------------------------------------------------------------------

    def transform_images(self, images: Any) -> Floats:
        """Rows [n, d_i] to common representations [n, D], whose cosines compare with those of texts."""
        with _as_value_errors():
            return self._placed("image", images).numpy()

    def transform_texts(self, texts: Any) -> Floats:
        """Rows [n, d_t] to common representations [n, D]; with a `text_encoder` strings too."""
        with _as_value_errors():
            return self._placed("text", texts).numpy()

    def predict_proba(self, rows: Any, medium: Medium = "image") -> Floats:
        """Probabilities [n, C] of `classes_` for rows of one medium.

        Raises:
            ArgumentError: nothing in the space tells classes apart, because none is known.
        """
        with _as_value_errors():
            given = self._given(medium, rows)
            model = self.model_
            found = model.image_probabilities(given) if medium == "image" else model.text_probabilities(given)
            return found.numpy()

    def predict(self, rows: Any, medium: Medium = "image") -> npt.NDArray[Any]:
        """The most probable of `classes_` for rows of one medium: [n]."""
        columns = self.predict_proba(rows, medium).argmax(axis=1)
        return cast("npt.NDArray[Any]", self.classes_[columns])

    def rank(
        self,
        queries: Any,
        gallery: Any,
        k: int = 10,
        *,
        query_medium: Medium = "text",
        gallery_medium: Medium = "image",
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """The k nearest rows of a gallery [g, d] for each query [q, d], by default images for texts.

        Returns:
            Their numbers and their cosines, [q, min(k, g)] each, best first; equal cosines in the gallery's order.
        """
        if not isinstance(k, numbers.Integral) or isinstance(k, bool) or k < 1:
            raise ArgumentError(f"k: {k!r} is no whole number from 1")
        with _as_value_errors():
            placed = self._placed(gallery_medium, gallery)
            asked = self._placed(query_medium, queries)
            plugin = self.model_.context.registry.find("index", "exact")
            with blame(plugin):
                context = IndexContext(dim=self.model_.dim, seed=0)
                index = plugin.spec.build(parse_options(plugin.spec, {}, where="index 'exact'"), context)
                index.add([str(row) for row in range(len(placed))], placed)
                ids, cosines = index.search(asked, int(k))
        found = np.array([[int(one) for one in row] for row in ids], dtype=np.int64)
        return found.reshape(cosines.shape), cosines.numpy()

    def evaluate(self, images: Any, texts: Any, labels: Any = None, *, ks: Sequence[int] = ()) -> Evaluation:
        """Pairs that nothing was learnt from, scored as `dckt evaluate` scores a split, with intervals and chance."""
        with _as_value_errors():
            check_is_fitted(self)
            rows = self._given("image", images), self._given("text", texts)
            if len(rows[0]) != len(rows[1]):
                raise ArgumentError(f"images, texts: {len(rows[0])} and {len(rows[1])} rows, which do not pair up")
            if not len(rows[0]):
                raise ArgumentError("images, texts: no rows to score")
            said = as_labels(labels, len(rows[0]), "labels")
            self._check_labels(said)
            classes = list(dict.fromkeys([*self.classes_.tolist(), *sorted({str(x) for x in said if x is not None})]))
            by_name = {str(label): number for number, label in reversed(list(enumerate(classes)))}
            return evaluate(
                Representation(self._placed("image", images), self._placed("text", texts)),
                torch.tensor([-1 if label is None else by_name[str(label)] for label in said]),
                [str(number) for number in range(len(said))],
                pictures=_numbers(rows[0]),
                texts=_numbers(rows[1]),
                classes=[str(label) for label in classes],
                ks=ks,
            )

    def _check_labels(self, labels: Labels) -> None:
        """Raises ArgumentError where labels are of another kind than the space's, and none is spelt as one of these."""
        said = {label for label in labels if label is not None}
        known = self.classes_.tolist()
        if said and known and not {str(label) for label in said} & {str(label) for label in known}:
            check_kinds([*known, *said], "labels, and those of the space")

    def score(self, images: Any, texts: Any, labels: Any = None, *, metric: str | None = None) -> float:
        """How well pairs find one another across media, the mean of both directions, in [0, 1].

        Args:
            images: rows [n, d_i] of the pairs.
            texts: rows [n, d_t] that belong to them.
            labels: their classes [n], or None.
            metric: `map`, mean average precision with relevant = same class; `recall@K`, the share of items whose own
                partner is among the first K; `mrr`, the mean reciprocal rank of the own partner. By default `map`
                where a label is known, else `recall@10`.
        """
        found = self.evaluate(images, texts, labels)
        metric = metric or ("map" if found.tasks else DEFAULT_RECALL)
        if metric == "map":
            if not found.tasks:
                raise ArgumentError("metric: 'map' needs labels")
            values = [found.tasks[name].ranking for name in DIRECTIONS]
            precisions = [ranking.ap[ranking.relevant > 0] for ranking in values]
        elif metric == "mrr":
            precisions = [one.standings.reciprocal_rank() for one in found.instances.values()]
        elif recall := re.fullmatch(r"recall@([1-9]\d{0,8})", metric):
            precisions = [one.standings.found_by(int(recall[1])) for one in found.instances.values()]
        else:
            raise ArgumentError(f"metric: '{metric}' is none; there are map, mrr and recall@K, as {DEFAULT_RECALL}")
        return float(torch.stack([values.mean() for values in precisions]).mean())

    def _placed(self, medium: Medium, value: Any) -> Tensor:
        given = self._given(medium, value)
        return self.model_.encode_images(given) if medium == "image" else self.model_.encode_texts(given)

    def _given(self, medium: Medium, value: Any) -> Any:
        """Rows [n, d] of one medium; of a run with encoders of its own whatever these take."""
        check_is_fitted(self)
        if medium not in MEDIA:
            raise ArgumentError(f"medium: {medium!r} is neither 'image' nor 'text'")
        if medium == "text":
            value = self._encoded(value)
        return as_rows(value, f"{medium}s", width=self.model_.encoder(medium).dim) if self._of_rows else value

    def _encoded(self, texts: Any) -> Any:
        """Rows of strings; what are no strings stays what it is, and so do strings where a run encodes them itself."""
        strings = [texts] if isinstance(texts, str) else texts
        if not isinstance(strings, (list, tuple)) or (
            self.text_encoder is None and not getattr(self, "_of_rows", True)
        ):
            return texts
        of_strings = len(strings) > 0 and all(isinstance(one, str) for one in strings)
        return self._encode(strings, "texts") if of_strings else texts

    def _encode(self, strings: Sequence[str], name: str = "class_names") -> Tensor:
        if self.text_encoder is None:
            raise ArgumentError(f"{name}: strings, and no text_encoder that turns them into rows; or give rows")
        if not callable(self.text_encoder):
            raise ArgumentError(
                f"text_encoder: {type(self.text_encoder).__name__}, where a function from strings to rows is expected"
            )
        rows = as_rows(self.text_encoder(list(strings)), "rows of text_encoder")
        if len(rows) != len(strings):
            raise ArgumentError(f"text_encoder: gave {len(rows)} rows for {len(strings)} strings")
        return rows

    # --- there and back -------------------------------------------------------------------------------------

    def save(self, path: Path | str) -> None:
        """Writes a new folder, which is a run's: `load` takes it, and `dckt_core.load` too.

        Raises:
            ArgumentError: it is there already, or the settings are no JSON.
            StorageError: it cannot be written; the message names it and says why.
        """
        check_is_fitted(self)
        folder = Path(path)
        try:
            settings = json.loads(json.dumps(dict(self.settings or {})))
        except (TypeError, ValueError) as error:
            raise ArgumentError(f"settings: cannot be saved: {error}") from None
        with _as_storage_error(folder):
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                raise ArgumentError(f"{folder}: is there already") from None
            _write_files(folder, self._files)
        record = {
            "format": FORMAT,
            "preset": self.preset,
            "seed": self._seed,
            "same_space": bool(self.same_space),
            "settings": settings,
            "device": self.device,
            "classes": self.classes_.tolist(),
            "notes": list(self.notes_),
        }
        write_json(folder / ESTIMATOR, record)
        seal_run(folder)

    def export(self, path: Path | str, *, to: Form) -> list[Path]:
        """Writes the space into a folder for use without dckt, or its model card; see `dckt_core.export`.

        Returns:
            The files.
        """
        check_is_fitted(self)
        if to not in FORMS:
            raise ArgumentError(f"to: {to!r} is none of {', '.join(FORMS)}")
        with _as_value_errors():
            if to == "card":
                results = Results(self.summary_, Path("summary.json"))
                return write_card(Path(path).absolute().name, self.model_.config, results, Path(path))
            return write_space(self.model_, Path(path), to=to)

    @classmethod
    def load(cls, path: Path | str, *, text_encoder: TextEncoder | None = None, device: str | None = None) -> Self:
        """What `save` wrote, or a finished run of `dckt train`, whose encoders then take its pictures and texts.

        Args:
            device: None for the one that it was made with.

        Raises:
            DataError: it is neither.
        """
        folder, registry = Path(path), load_registry()
        file = folder / ESTIMATOR
        if not file.exists():
            model = load_run(folder, registry=registry, device=str(find_device(device or "cpu")))
            space = cls(
                model.config.preset,
                model.config.seed,
                text_encoder=text_encoder,
                same_space=model.setup.same_space,
                device=device or "auto",
            )
            space._take(_read_files(folder), registry, model)
            space._seed, space._of_rows, space.notes_ = model.config.seed, False, ()
            space.classes_ = np.array(model.classes)
            return space
        seal = run_seal(folder)
        seal.check(file)
        said = read_record(file, "an estimator's record", _Saved, format=FORMAT)
        space = cls(
            said.preset,
            said.seed,
            text_encoder=text_encoder,
            same_space=said.same_space,
            settings=said.settings or None,
            device=device or said.device,
        )
        try:
            space._take(_read_files(folder), registry)
        except (DataError, ValueError, KeyError, TypeError) as error:
            reason = error if isinstance(error, DataError) else f"summary.json: {describe(error)}"
            raise DataError(f"{folder}: not a whole saved space: {reason}") from None
        space._seed, space._of_rows, space.notes_ = said.seed, True, said.notes
        space.classes_ = np.array(said.classes)
        return space

    def _take(self, files: Mapping[str, bytes], registry: Registry, model: TrainedModel | None = None) -> None:
        """Becomes what a run's files hold."""
        self._files = dict(files)
        self.model_ = model or self._read_back(registry)
        self.summary_ = json.loads(self._files["summary.json"])
        self.parts_ = dict(self.summary_["space"]["weights"])
        for medium in MEDIA:
            setattr(self, f"n_{medium}_features_in_", self.model_.encoder(medium).dim)

    def _read_back(self, registry: Registry) -> TrainedModel:
        with tempfile.TemporaryDirectory(prefix="dckt-") as folder:
            _write_files(Path(folder), self._files)
            seal_run(Path(folder))
            try:
                return load_run(folder, device=str(find_device(self.device)), registry=registry)
            except DataError as error:  # the folder that is read is gone when the message is
                raise DataError(str(error).replace(f"{folder}/", "").replace(f"{folder}: ", "")) from None

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the model, which is made anew from the files of its run."""
        return {name: value for name, value in super().__getstate__().items() if name != "model_"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_files" in state:
            self.model_ = self._read_back(load_registry())


def _seed(random_state: Any) -> int:
    if random_state is None:
        return 0
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31))
    if not isinstance(random_state, numbers.Integral) or isinstance(random_state, bool) or random_state < 0:
        raise ArgumentError(f"random_state: {random_state!r} is neither a whole number from 0 nor a generator of numpy")
    return int(random_state)


def _nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Values by dotted keys as nested tables."""
    layer: dict[str, Any] = {}
    for dotted, value in settings.items():
        *tables, key = str(dotted).split(".")
        nested: dict[str, Any] = {key: value}
        for table in reversed(tables):
            nested = {table: nested}
        layer = merge(layer, nested)
    return layer


def _numbers(rows: Any) -> Tensor | None:
    """Which rows are equal; of what are no rows nothing is known."""
    return torch.tensor(equal_numbers(rows)) if isinstance(rows, Tensor) else None


def _notes_of_training(summary: Mapping[str, Any]) -> Iterator[str]:
    space = summary["space"]
    for name, reason in space["aside"].items():
        yield f"part '{name}' steps aside: {reason}"
    for name in space["left_out"]:
        yield f"part '{name}' is left out"
    for name, text in space["notes"]:
        yield f"part '{name}': {text}"
    if summary["negative_transfer"]:
        yield "negative transfer: on validation the target network scores below its target-only control"


def _read_files(folder: Path) -> dict[str, bytes]:
    """What of a run's folder the common space needs, by path in it."""
    files, seal = Layout(folder), run_seal(folder)
    needed = [files.config, files.environment, files.model, files.summary, *map(files.checkpoint, CHECKPOINTS)]
    found = {}
    for file in needed:
        if file.exists():
            seal.check(file)
            with opened(file) as stream:
                found[file.relative_to(folder).as_posix()] = stream.read()
    return found


def _write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)


@contextmanager
def _as_storage_error(folder: Path) -> Iterator[None]:
    """Turns what the system says of a folder that is written into the error of this package."""
    try:
        yield
    except DcktError:
        raise
    except OSError as error:
        raise StorageError(folder, error.strerror or one_line(str(error))) from error


@contextmanager
def _as_value_errors() -> Iterator[None]:
    """Turns what is said of options and data into errors that callers from Python expect."""
    try:
        yield
    except ArgumentError:
        raise
    except (UsageError, DataError) as error:
        raise ArgumentError(str(error)) from None
