"""A snapshot that was tampered with, or is another training's, is refused in one line."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dckt_core.base.errors import DataError
from dckt_core.engine.snapshot import Snapshot
from tests.support.trainings import stopped_at, trainer


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return stopped_at(13, tmp_path_factory.mktemp("snapshot"))


def refused(snapshot: Snapshot) -> str:
    made, *_ = trainer()
    with pytest.raises(DataError) as caught:
        made.restore(snapshot)
    said = str(caught.value)
    assert said.startswith("the checkpoint is of another configuration: ")
    assert "\n" not in said
    return said


@pytest.mark.parametrize(
    "facts",
    [
        {"at": None},
        {"at": {"phase": "transfer"}},
        {"at": {"phase": "transfer", "iteration": 1, "update": 6}},
        {"at": {"phase": "transfer", "iteration": 3, "update": 1}},
        {"at": {"phase": "transfer", "iteration": -1, "update": 1}},
        {"at": {"phase": "pretrain source", "iteration": 1, "update": 1}},
        {"at": {"phase": "pretrain source", "iteration": 0, "update": 7}},
        {"at": {"phase": "evaluate", "iteration": 0, "update": 0}},
        {"before": None},
        {"before": {"image_to_text": "high", "text_to_image": 1.0}},
        {"best": []},
        {"best": {"sampler": {}}},
        {"best": {"target": {"iteration": 1, "score": 0.5}}},
        {"history": {}},
        {"history": ["row"]},
        {"sampler": "state"},
        {"observers": 3},
        {"scaler": "x"},
    ],
)
def test_facts_of_a_wrong_kind(snapshot: Snapshot, facts: dict[str, Any]) -> None:
    refused(Snapshot(snapshot.tensors, {**snapshot.facts, **facts}))


@pytest.mark.parametrize("missing", ["at", "before", "best", "history", "sampler", "observers", "scaler"])
def test_facts_that_are_missing(snapshot: Snapshot, missing: str) -> None:
    refused(Snapshot(snapshot.tensors, {name: fact for name, fact in snapshot.facts.items() if name != missing}))


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("network/target/fc10.weight", None, "fc10.weight"),
        ("network/target/fc10.weight", torch.zeros(2, 2), "fc10.weight"),
        ("network/target/fc10.bias", torch.full((3,), torch.nan), "'target/fc10.bias' holds numbers that are not"),
        ("network/target/extra", torch.zeros(1), "extra"),
        ("momentum/target/0", torch.zeros(1, 1), "momentum 0 of shape (1, 1) belongs to no parameter"),
        ("momentum/target/999", torch.zeros(1), "momentum 999"),
        ("momentum/target/first", torch.zeros(1), "first"),
        ("stream/target/rows", torch.tensor([0, 99]), "pairs of the target that there are not"),
        ("stream/target/rows", torch.tensor([-1]), "pairs of the target that there are not"),
        ("stream/source/pending", torch.tensor([0.5]), "pairs of the source that there are not"),
        ("stream/source/pending", torch.tensor([[1]]), "pairs of the source that there are not"),
        ("stream/source/pending", None, "pending"),
        ("generator/selection", None, "generator/selection"),
        ("generator/selection", torch.zeros(7, dtype=torch.uint8), ""),
        ("generator/selection", torch.zeros(7), ""),
    ],
)
def test_tensors_of_a_wrong_kind(snapshot: Snapshot, name: str, value: torch.Tensor | None, says: str) -> None:
    tensors = {key: tensor for key, tensor in {**snapshot.tensors, name: value}.items() if tensor is not None}
    assert says in refused(Snapshot(tensors, snapshot.facts))


def test_the_snapshot_itself_is_taken(snapshot: Snapshot) -> None:
    made, *_ = trainer()
    made.restore(snapshot)
    assert (made.state.at.phase, made.state.at.iteration, made.state.at.update) == ("transfer", 1, 3)
