"""A run's common space, or its card, into a folder: what `dckt export RUN` does."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Literal

from dckt_core.base.errors import ArgumentError, DataError, UsageError
from dckt_core.config import Config
from dckt_core.exports.card import card
from dckt_core.exports.needs import need
from dckt_core.exports.noted import note_down
from dckt_core.exports.onnx import as_metadata, write_onnx
from dckt_core.exports.plain import STEPS, TENSORS, write_plain
from dckt_core.io.files import make_folder, write_text
from dckt_core.runs.model import TrainedModel, load
from dckt_core.runs.record import read_run
from dckt_core.runs.results import Results

Form = Literal["onnx", "numpy", "card"]
FORMS: tuple[Form, ...] = ("onnx", "numpy", "card")
README = "README.md"


def export(run: TrainedModel | Path | str, out: Path | str, *, to: Form) -> list[Path]:
    """Writes what a run came to into a folder, which is made.

    Args:
        run: as `load` gives it, or its folder.
        to: `onnx`: `images.onnx` and `texts.onnx`, features [n, d] of the run's encoders in, `embeddings` [n, D] and,
            where a part tells classes apart, `probabilities` [n, C] out. `numpy`: `space.json` and
            `space.safetensors`, the same as a list of steps. `card`: `README.md`, how it was trained and scored.

    Returns:
        The files.

    Raises:
        UsageError: a part of the space cannot be exported, or a package is not installed.
        DataError: no run.
    """
    if to not in FORMS:
        raise ArgumentError(f"to: {to!r} is none of {', '.join(FORMS)}")
    model = run if isinstance(run, TrainedModel) else load(run)
    folder = Path(out)
    if to == "card":
        return write_card(model.run_dir.absolute().name, model.config, read_run(model.run_dir).results, folder)
    return write_space(model, folder, to=to)


def write_space(model: TrainedModel, folder: Path, *, to: Form) -> list[Path]:
    """The `onnx` and `numpy` of `export`."""
    halves, version = note_down(model), _version()
    if to == "onnx":
        need("onnx", extra="onnx")
        make_folder(folder)
        files = {half.medium: folder / f"{half.medium}s.onnx" for half in halves}
        for half in halves:
            write_onnx(files[half.medium], half, as_metadata(model.classes, version, half.medium))
        return list(files.values())
    make_folder(folder)
    write_plain(folder, halves, model.classes, version)
    return [folder / STEPS, folder / TENSORS]


def write_card(name: str, config: Config, results: Results, folder: Path) -> list[Path]:
    """The `card` of `export`.

    Raises:
        UsageError: there is a README.md already, which is somebody's.
        DataError: the run is not finished, or its summary does not hold what one holds.
    """
    file = folder / README
    if file.exists():
        raise UsageError(f"{file}: is there already")
    if not results.summary:
        raise DataError(f"{results.file.parent}: the run is not finished, and a card tells how it was scored")
    try:
        text = card(name, config, results, version=_version())
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{results.file}: not the summary of a run: {type(error).__name__}: {error}") from error
    make_folder(folder)
    write_text(file, text)
    return [file]


def _version() -> str:
    return metadata.version("dckt")
