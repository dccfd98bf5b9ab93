from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dckt_kernels import mean_distance_bandwidth, mk_mmd
from dckt_plugins.parts.media_mmd import class_wise_mmd
from tests.support.tolerance import assert_same

pytestmark = pytest.mark.numerics


def rows(n: int, seed: int, shift: float = 0.0) -> Tensor:
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(seed)) + shift


def certain(labels: list[int], classes: int) -> Tensor:
    return torch.nn.functional.one_hot(torch.tensor(labels), classes).float()


def test_of_certain_classes_it_is_the_mean_of_the_classes_mmds() -> None:
    images, texts = rows(6, 0), rows(8, 1, shift=0.5)
    p, q = certain([0, 0, 0, 1, 1, 1], 3), certain([0, 0, 0, 0, 1, 1, 1, 1], 3)
    sigma = float(mean_distance_bandwidth(images, texts))
    apart = [float(mk_mmd(images, texts, weights_x=p[:, c], weights_y=q[:, c], sigma=sigma)) for c in (0, 1)]
    assert_same(class_wise_mmd(images, texts, p, q), sum(apart) / 2, terms=14**2, scale=1)


def test_it_sees_classes_that_changed_places_and_the_plain_one_does_not() -> None:
    images = torch.cat([rows(10, 0), rows(10, 1, shift=5.0)])
    p, swapped = certain([0] * 10 + [1] * 10, 2), certain([1] * 10 + [0] * 10, 2)
    assert_same(mk_mmd(images, images), 0, terms=40**2, scale=1)
    assert_same(class_wise_mmd(images, images, p, p), 0, terms=40**2, scale=1)
    assert float(class_wise_mmd(images, images, p, swapped)) > 0.1


def test_a_class_counts_by_its_share() -> None:
    images, texts = torch.cat([rows(12, 0), rows(3, 1)]), torch.cat([rows(12, 0), rows(3, 1, shift=3.0)])
    p = certain([0] * 12 + [1] * 3, 2)  # the first class lies where it should
    sigma = float(mean_distance_bandwidth(images, texts))
    apart = mk_mmd(images, texts, weights_x=p[:, 1], weights_y=p[:, 1], sigma=sigma)
    assert_same(class_wise_mmd(images, texts, p, p), 0.2 * apart, terms=30**2, scale=1)
    assert float(apart) > 0.3


def test_where_no_class_has_items_of_both_there_is_nothing_to_bring_together() -> None:
    images, texts = rows(4, 0).requires_grad_(), rows(4, 1).requires_grad_()
    value = class_wise_mmd(images, texts, certain([0] * 4, 2), certain([1] * 4, 2))
    assert value.item() == 0
    assert all(not slope.any() for slope in torch.autograd.grad(value, (images, texts)))
