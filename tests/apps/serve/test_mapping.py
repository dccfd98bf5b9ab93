from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.needs import part
from tests.support.tolerance import assert_same

part("fastapi")

from dckt_apps.serve import mapping


def rows(count: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(count, width, generator=generator) * torch.arange(width, 0, -1)


def test_points_lie_as_the_principal_components_have_them() -> None:
    given = rows(200, 6)
    flat, explained = mapping.project(given)
    centred = given.double().numpy() - given.double().numpy().mean(axis=0)
    _, spread, axes = np.linalg.svd(centred, full_matrices=False)
    assert_same(flat.abs().numpy(), np.abs(centred @ axes[:2].T), terms=200, dtype=torch.float32)
    assert_same(list(explained), (spread[:2] ** 2 / (spread**2).sum()).tolist(), terms=200, dtype=torch.float32)


def test_axes_of_some_rows_are_measured_on_all(monkeypatch: pytest.MonkeyPatch) -> None:
    given = rows(600, 4)
    whole = mapping.project(given)[1]
    monkeypatch.setattr(mapping, "FITTED", 100)
    some = mapping.project(given)[1]
    assert sum(some) <= sum(whole) and sum(some) == pytest.approx(sum(whole), rel=0.1)


@pytest.mark.parametrize(("count", "width"), [(1, 5), (2, 1), (3, 2), (4, 4)])
def test_the_smallest_galleries_have_a_map(count: int, width: int) -> None:
    flat, explained = mapping.project(rows(count, width))
    assert flat.shape == (count, 2) and flat.isfinite().all()
    assert 0 <= sum(explained) <= 1 + 1e-6


def test_alike_rows_are_one_point() -> None:
    flat, explained = mapping.project(torch.ones(7, 3))
    assert explained == (0, 0) and (flat == flat[0]).all()
