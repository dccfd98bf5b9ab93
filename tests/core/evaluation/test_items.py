from __future__ import annotations

import torch

from dckt_core.contract.protocols import Representation
from dckt_core.evaluation.items import alike, equal_items, first_of_each


def test_the_first_of_each() -> None:
    assert first_of_each(torch.tensor([7, 3, 7, 9, 3])).tolist() == [1, 0, 3]
    assert first_of_each(torch.empty(0).long()).tolist() == []


def test_equal_content_gets_equal_rows_where_rounding_alone_sets_them_apart() -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 5, generator=generator).repeat(4, 1)
    image[1] *= 1 + 2.0**-22
    image[3, 0] += 0.1
    text = torch.rand(4, 5, generator=generator)
    view = alike(Representation(image, text), torch.tensor([4, 4, 4, 4]), torch.arange(4))
    assert torch.equal(view.image[:3], image[:1].repeat(3, 1))
    assert torch.equal(view.image[3], image[3]), "features of its own stay"
    assert torch.equal(view.text, text)


def test_equal_items_are_counted_whatever_their_length() -> None:
    rows = torch.tensor([[1.0, 2.0], [2.0, 4.0], [1.0, 2.0], [3.0, 1.0], [0.0, 0.0]])
    assert equal_items(rows, torch.arange(5)) == 3
    assert equal_items(rows, torch.tensor([0, 1, 0, 3, 4])) == 2
    assert equal_items(rows[3:], torch.arange(2)) == 0
