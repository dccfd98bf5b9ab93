from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dckt_core.base.errors import DataError, PluginError
from dckt_core.contract.pairs import ImageItem, TextItem
from dckt_core.contract.protocols import Encoder
from dckt_core.data.inputs import Inputs, PreparedOnDemand, inputs_for
from tests.support.spies import Spy
from tests.support.tolerance import assert_same


def inputs(encoder: Encoder, items: list[Any], cache: Path) -> Inputs:
    return inputs_for(encoder, items, device=torch.device("cpu"), batch=2, cache_dir=cache)


ROWS = torch.tensor([4, 0, 4, 6, 1])


def test_a_frozen_encoder_gives_its_features(
    spy: Spy, pictures: list[ImageItem], colours: Tensor, tmp_path: Path
) -> None:
    rows = inputs(spy.images(), pictures, tmp_path)
    assert isinstance(rows, Tensor)
    assert len(rows) == 7
    assert_same(rows[ROWS], colours[ROWS], terms=3)


def test_texts_of_a_trainable_encoder_are_prepared_once(spy: Spy, texts: list[TextItem], tmp_path: Path) -> None:
    rows = inputs(spy.texts(trainable=True), texts, tmp_path)
    assert rows[torch.tensor([3, 1, 3])].tolist() == [[14, 2], [4, 0], [14, 2]]
    assert len(rows) == 5
    assert spy.prepared == [[item.id for item in texts]]
    assert spy.forward == []
    assert list(tmp_path.iterdir()) == []


def test_pictures_of_a_trainable_encoder_are_prepared_when_asked_for(
    spy: Spy, pictures: list[ImageItem], colours: Tensor, tmp_path: Path
) -> None:
    rows = inputs(spy.images(trainable=True), pictures, tmp_path)
    assert len(rows) == 7
    assert spy.prepared == []
    for _ in range(20):
        batch = rows[ROWS]
        assert batch.shape == (5, 4, 4, 3)
        assert_same(batch.mean(dim=(1, 2)), colours[ROWS], terms=3)
    assert rows[ROWS[:0]].shape[0] == 0
    pictures[1].path.unlink()
    with pytest.raises(DataError, match=r"1\.png: no such file"):
        rows[ROWS]


def test_rows_of_unequal_shapes_are_the_encoders_fault(spy: Spy, texts: list[TextItem]) -> None:
    lazy = PreparedOnDemand(spy.texts(prepare=lambda items: torch.zeros(1, len(items[0].text))), texts)
    assert lazy[torch.tensor([2])].shape == (1, 9)
    lazy._preparer._threads = 2  # on one processor there would be one part, and nothing to disagree
    with pytest.raises(PluginError, match=r"prepare gave rows of unequal shapes: \(4,\), \(9,\)"):
        lazy[torch.tensor([2, 1])]


@pytest.mark.parametrize("trainable", [False, True])
def test_no_items(spy: Spy, tmp_path: Path, trainable: bool) -> None:
    assert len(inputs(spy.texts(trainable=trainable), [], tmp_path)) == 0
