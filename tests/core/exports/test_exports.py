"""A space under ONNX and as steps gives what dckt gives, for all that a target may offer; what cannot be is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import dckt_core
from dckt_core import ArgumentError, CommonSpace, DataError, UsageError, export
from dckt_core.config import PluginChoice
from dckt_core.contract.formula import OPS, Formula
from dckt_core.exports.card import card, plain
from dckt_core.exports.exporting import write_card
from dckt_core.exports.noted import Noted
from dckt_core.exports.onnx import write_onnx
from dckt_core.runs.results import Results
from tests.support.needs import part
from tests.support.rows import SOURCE, TEST, TINY, TRAIN, VALIDATION

NO_NETWORKS = {"space.parts.target-network.weight": 0, "space.parts.source-network.weight": 0}


def under_onnx(file: Path, features: Any) -> list[Any]:
    runtime = part("onnxruntime")
    found: list[Any] = runtime.InferenceSession(str(file)).run(None, {"features": np.asarray(features, np.float32)})
    return found


def fitted(**given: Any) -> CommonSpace:
    source = (SOURCE.images, SOURCE.texts, SOURCE.labels)
    return CommonSpace(settings=NO_NETWORKS, random_state=0).fit(source=source, **given)


def test_every_step_is_the_same_under_onnx(tmp_path: Path) -> None:
    part("onnx")
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    note = Formula()
    values = [note.standardise(note.features, drawn(6), 1 + drawn(6).abs())]
    values.append(note.linear(values[-1], drawn(6, 4), drawn(4)))
    values.append(note.unit(values[-1]))
    values.append(note.nearest(values[-1], drawn(20, 4), drawn(20, 3), count=5, power=4))
    values.append(note.relu(values[-1]))
    values.append(note.exp(values[-1]))
    values.append(note.join([values[2], values[-1]]))
    values.append(note.sum([values[-1], note.linear(values[-1], drawn(7, 7))], [0.25, -2]))
    blind = torch.zeros(7)
    blind[3] = -torch.inf
    values.append(note.softmax(note.linear(values[-1], torch.eye(7), blind)))
    assert {step.op for step in note.steps} == set(OPS)
    features = drawn(9, 6)
    features[4] = 0
    expected = note.rows(features)
    for value in values:
        width = expected[value.number].shape[1]
        write_onnx(tmp_path / "one.onnx", Noted("image", note, 6, width, 0, value, None), {"dckt": "test"})
        (found,) = under_onnx(tmp_path / "one.onnx", features)
        np.testing.assert_allclose(found, expected[value.number], rtol=1e-5, atol=1e-5)
    assert under_onnx(tmp_path / "one.onnx", features[:0])[0].shape == (0, 7)


OFFERS: dict[str, dict[str, Any]] = {
    "all labels": {"images": TRAIN.images, "texts": TRAIN.texts, "labels": TRAIN.labels},
    "pairs": {"images": TRAIN.images, "texts": TRAIN.texts},
    "nothing": {},
    "unpaired": {"unpaired_images": TRAIN.images, "unpaired_texts": TRAIN.texts},
}


@pytest.mark.parametrize("offer", OFFERS)
def test_spaces_of_all_kinds(offer: str, tmp_path: Path) -> None:
    part("onnx")
    space = fitted(**OFFERS[offer])
    files = space.export(tmp_path / "space", to="onnx")
    for file, rows, own in zip(
        files,
        (TEST.images, TEST.texts),
        (space.transform_images(TEST.images), space.transform_texts(TEST.texts)),
        strict=True,
    ):
        found = under_onnx(file, rows)
        np.testing.assert_allclose(found[0], own, rtol=0, atol=1e-5)
        if offer == "all labels":
            medium: Any = "image" if file.name == "images.onnx" else "text"
            np.testing.assert_allclose(found[1], space.predict_proba(rows, medium), rtol=0, atol=1e-5)
    said = [path.name for path in space.export(tmp_path / "plain", to="numpy")]
    assert said == ["space.json", "space.safetensors"]
    steps = json.loads((tmp_path / "plain" / "space.json").read_text("utf-8"))
    assert (steps["dim"], set(steps["media"])) == (space.model_.dim, {"image", "text"})


def test_a_part_that_does_not_say_its_arithmetic_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dckt_plugins.parts.cca import CorrelatedPart

    space = fitted()
    monkeypatch.delattr(CorrelatedPart, "formula")
    with pytest.raises(ArgumentError, match=r"^part 'correlation' cannot be exported: it does not say what its rows"):
        space.export(tmp_path / "space", to="onnx")
    assert not (tmp_path / "space").exists()


def test_networks_are_exported_and_those_that_train_their_encoder_refused(run: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="^part 'target-network' cannot be exported"):
        export(run, tmp_path / "out", to="onnx")


def test_forms_that_there_are_none_of(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="^to: 'pickle' is none of onnx, numpy, card$"):
        fitted().export(tmp_path, to="pickle")  # type: ignore[arg-type]


def test_a_card_of_a_space_without_a_test(tmp_path: Path) -> None:
    (file,) = fitted(**OFFERS["all labels"]).export(tmp_path / "my_space", to="card")
    text = file.read_text("utf-8")
    assert "# my\\_space" in text
    assert "It was fitted without a test." in text


def test_a_card_of_a_run_that_was_tested_on_one_picture(run: str, tmp_path: Path) -> None:
    def without_intervals(table: Any) -> Any:
        if isinstance(table, dict):
            return {key: None if key == "interval" else without_intervals(value) for key, value in table.items()}
        return table

    summary = json.loads((Path(run) / "summary.json").read_text("utf-8"))
    config = dckt_core.load(run).config
    shown = [card("a", config, Results(told, Path()), version="1") for told in (summary, without_intervals(summary))]
    after = summary["test"]["map"]["after"]["mean"]
    low, high = after["interval"]
    assert f" | {after['value']:.3f} ({low:.3f}-{high:.3f}) |\n" in shown[0]
    assert f" | {after['value']:.3f} |\n" in shown[1]
    assert len(shown[0].splitlines()) == len(shown[1].splitlines())


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ({}, "runs/a: the run is not finished, and a card tells how it was scored"),
        ({"source": {}, "target": {}}, r"runs/a/summary\.json: not the summary of a run: KeyError: "),
        ({"source": 3, "target": 4}, r"runs/a/summary\.json: not the summary of a run: "),
    ],
)
def test_a_card_of_a_summary_that_is_broken(run: str, tmp_path: Path, held: dict[str, Any], said: str) -> None:
    config = dckt_core.load(run).config
    with pytest.raises(DataError, match=f"^{said}"):
        write_card("a", config, Results(held, Path("runs/a/summary.json")), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_card_tells_nothing_of_the_folders_of_who_made_it(run: str) -> None:
    summary = json.loads((Path(run) / "summary.json").read_text("utf-8"))
    summary["target"]["origin"] = "/home/somebody/data/small"
    encoder = PluginChoice(name="open-clip", model="/home/somebody/models/clip", size=32)  # type: ignore[call-arg]
    config = dckt_core.load(run).config.model_copy(update={"encoder": encoder})
    shown = card("a", config, Results(summary, Path()), version="1")
    assert "somebody" not in shown
    assert "| small: " in shown
    assert "(model = clip, size = 32)" in shown


def test_strangers_words_do_nothing_in_a_card() -> None:
    assert plain("a\n\n# <script>|x|</script> [b](javascript:c) `d`") == (
        "a \\# &lt;script&gt;\\|x\\|&lt;/script&gt; \\[b\\](javascript:c) \\`d\\`"
    )


def test_the_methods_networks(tmp_path: Path) -> None:
    part("onnx")
    space = CommonSpace("paper", settings=TINY).fit(
        TRAIN.images,
        TRAIN.texts,
        TRAIN.labels,
        source=(SOURCE.images, SOURCE.texts, SOURCE.labels),
        validation=(VALIDATION.images, VALIDATION.texts, VALIDATION.labels),
    )
    images, _ = space.export(tmp_path / "space", to="onnx")
    found, probabilities = under_onnx(images, TEST.images)
    np.testing.assert_allclose(found, space.transform_images(TEST.images), rtol=0, atol=1e-5)
    np.testing.assert_allclose(probabilities, space.predict_proba(TEST.images), rtol=0, atol=1e-5)
