"""What each released format left on disk is still read, and means what it meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from dckt_core.data.feature_cache import read_segment
from dckt_core.engine.snapshot import FORMAT, SnapshotFolder, load_snapshot
from dckt_core.runs.model import MODEL_FORMAT, load
from tests.support.tolerance import SMALL, approx, assert_same
from tests.support.trainings import SNAPSHOT, STOPPED_AFTER, ending, trainer

pytestmark = pytest.mark.numerics

HERE = Path(__file__).parent
FORMATS = sorted(HERE.glob("format-*"))


def test_the_present_formats_are_kept() -> None:
    assert {folder.name for folder in FORMATS} >= {f"format-{number}" for number in (FORMAT, MODEL_FORMAT)}
    size = sum(file.stat().st_size for folder in FORMATS for file in folder.rglob("*") if file.is_file())
    assert size < 100_000 * len(FORMATS), "tiny"


@pytest.mark.parametrize("folder", FORMATS, ids=lambda folder: folder.name)
def test_a_model(folder: Path, tmp_path: Path) -> None:
    expected = json.loads((folder / "run/expected.json").read_text())
    model = load(folder / "run", cache_dir=tmp_path)
    assert model.classes == ("green", "red")
    rows = model.encode_texts(list(expected))
    assert_same(rows, torch.tensor(list(expected.values())), terms=SMALL)


@pytest.mark.parametrize("folder", FORMATS, ids=lambda folder: folder.name)
def test_a_stopped_training_goes_on(folder: Path) -> None:
    made, *_ = trainer(**SNAPSHOT)
    snapshot = SnapshotFolder(folder).latest()
    assert snapshot is not None
    made.restore(snapshot)
    assert (made.state.at.phase, made.state.at.update) == ("transfer", STOPPED_AFTER - 10)
    score = ending(made)["after"].score
    expected = json.loads((folder / "expected-score.json").read_text())
    assert [score.image_to_text, score.text_to_image] == approx(expected, terms=SMALL)


@pytest.mark.parametrize("folder", FORMATS, ids=lambda folder: folder.name)
def test_features(folder: Path) -> None:
    items, rows = read_segment(folder / "features.safetensors", 2)
    assert items == [bytes([number]) * 32 for number in range(3)]
    assert torch.equal(rows, torch.arange(6.0).reshape(3, 2))
    small = load_snapshot(folder / "small.state.safetensors")
    assert small.tensors["rows"].tolist() == [0, 1, 2]
