"""What choices are made on, and what a run reports of its networks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from dckt_core.base.rng import generator_for
from dckt_core.contract.pairs import Pair
from dckt_core.contract.protocols import Representation
from dckt_core.data.contents import Contents
from dckt_core.data.domain import SplitData
from dckt_core.evaluation.scoring import Comparison, Found, Score, pair_aps, score
from dckt_core.evaluation.tasks import evaluate

CPU = torch.device("cpu")


class Passes:
    """A network that represents features by themselves."""

    def represent(self, images: Tensor | None, texts: Tensor | None) -> Representation:
        assert images is not None and texts is not None
        return Representation(images, texts)


def split(labels: list[int], *, copies: int = 1) -> SplitData:
    """Random features of pairs; with copies, so many pairs in a row have the same picture."""
    generator = torch.Generator().manual_seed(0)
    count = len(labels)
    image = torch.randn(count // copies, 6, generator=generator).repeat_interleave(copies, dim=0)
    pairs = [Pair(str(n), Path(f"{n // copies}.jpg"), f"text {n}", None, "val") for n in range(count)]
    return SplitData(pairs, image, image + torch.randn(count, 6, generator=generator), torch.tensor(labels))


def test_where_there_are_labels_the_score_is_the_map_over_them() -> None:
    data = split([0, 1, -1, 0, 1, 2, -1, 2])
    reached = score(Passes(), data, CPU)
    view = Representation(data.image[torch.arange(8)], data.text[torch.arange(8)])
    summary = evaluate(view, data.labels, [pair.id for pair in data.pairs]).summary(0)
    assert reached.kind == "map"
    assert reached.image_to_text == pytest.approx(summary["image_to_text"].map)
    assert reached.mean == pytest.approx(summary["mean"].map)
    assert pair_aps(view, data.labels).shape == (6, 2)


def test_one_label_ranks_nothing() -> None:
    assert score(Passes(), split([-1, 0, -1, -1]), CPU) == score(Passes(), split([-1] * 4), CPU)
    assert score(Passes(), split([-1, 0, 0, -1]), CPU).kind == "map"


@pytest.mark.parametrize("copies", [1, 4])
def test_without_labels_it_is_the_reciprocal_rank_of_the_own_partners(copies: int) -> None:
    data = split([-1] * 8, copies=copies)
    reached = score(Passes(), data, CPU)
    view = Representation(data.image[torch.arange(8)], data.text[torch.arange(8)])
    result = evaluate(view, data.labels, [pair.id for pair in data.pairs], pictures=torch.arange(8) // copies)
    summary = result.instance_summary(0)
    assert reached.kind == "mrr"
    assert reached.text_to_image == pytest.approx(summary["text_to_image"].figures["mrr"].value)
    assert reached.mean == pytest.approx(summary["mean"].figures["mrr"].value)


def test_metrics_say_what_they_are() -> None:
    assert Score(0.25, 0.75).as_row("target") == {
        "target_map_image_to_text": 0.25, "target_map_text_to_image": 0.75, "target_map_mean": 0.5,
    }  # fmt: skip
    assert Score(0.25, 0.75, "mrr").as_row("control")["control_mrr_mean"] == 0.5


def views(data: SplitData) -> dict[str, Representation]:
    rows = torch.arange(len(data))
    image, text = data.image[rows], data.text[rows]
    return {"before": Representation(image, text), "after": Representation(image, image + 0.5 * (text - image))}


def test_a_comparison_tells_what_an_evaluation_tells_of_each() -> None:
    data = split([0, 1, -1, 0, 1, 2, -1, 2, 0, 1], copies=2)
    pictures, texts = torch.arange(10) // 2, torch.arange(10)
    comparison = Comparison(data.labels, generator_for(3, "bootstrap"), Contents(pictures, texts))
    rows = {name: comparison.look(view) for name, view in views(data).items()}
    told = comparison.tables(rows)
    assert (told["kind"], told["unlabelled"]) == ("map", 2)
    for name, view in views(data).items():
        found = evaluate(view, data.labels, [pair.id for pair in data.pairs], pictures=pictures, texts=texts)
        for direction, row in told["map"][name].items():
            expected = found.summary(3)[direction]
            assert row["value"] == pytest.approx(expected.map)
            assert row["interval"] == pytest.approx(expected.interval)
            assert told["map"]["chance"][direction] == pytest.approx(expected.chance)
        for direction, row in told["instances"][name].items():
            for what, figure in found.instance_summary(3)[direction].figures.items():
                assert row[what] == {"value": figure.value, "interval": list(figure.interval)}
                assert told["instances"]["chance"][direction][what] == figure.chance
        assert comparison.figure(rows[name]) == told["map"][name]["mean"]
    check_gain(comparison, rows)


@pytest.mark.parametrize("labels", [[0, 0, 1], [-1, -1, -1]])
def test_of_one_picture_there_is_no_interval(labels: list[int]) -> None:
    data = split(labels)
    contents = Contents(torch.zeros(3).long(), torch.arange(3))
    comparison = Comparison(data.labels, generator_for(3, "bootstrap"), contents)
    rows = {name: comparison.look(view) for name, view in views(data).items()}
    told = comparison.tables(rows)
    assert told["instances"]["after"]["mean"]["mrr"]["interval"] is None
    assert (told["kind"] == "mrr") == (told["map"] == {})
    assert all(figure["interval"] is None for figure in told["map"].get("after", {}).values())
    assert comparison.figure(rows["after"])["interval"] is None
    assert comparison.gain(rows["after"], rows["before"])["interval"] is None


def check_gain(comparison: Comparison, rows: dict[str, Found]) -> None:
    gain = comparison.gain(rows["after"], rows["before"])
    after, before = (comparison.figure(rows[name]) for name in ("after", "before"))
    assert gain["value"] == pytest.approx(after["value"] - before["value"])
    assert gain["interval"][0] <= gain["value"] <= gain["interval"][1]
    assert comparison.gain(rows["after"], rows["after"]) == {"value": 0.0, "interval": [0.0, 0.0]}


def test_a_comparison_without_labels_is_by_instance_alone() -> None:
    data = split([-1] * 6)
    comparison = Comparison(data.labels, generator_for(0, "bootstrap"))
    rows = {name: comparison.look(view) for name, view in views(data).items()}
    told = comparison.tables(rows)
    assert (told["kind"], told["map"], told["unlabelled"]) == ("mrr", {}, 6)
    assert set(told["instances"]) == {"chance", "before", "after"}
    assert comparison.figure(rows["after"]) == told["instances"]["after"]["mean"]["mrr"]
    check_gain(comparison, rows)
