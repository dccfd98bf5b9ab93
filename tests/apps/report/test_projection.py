from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from dckt_apps.report.projection import evenly_spaced, principal_components
from dckt_core.base.rng import generator_for
from tests.support.tolerance import assert_same


@pytest.mark.numerics
def test_it_is_the_field_s_principal_components_up_to_sign() -> None:
    rows = torch.randn(40, 6, generator=generator_for(0, "test")) * torch.tensor([1.0, 5.0, 2.0, 0.1, 1.0, 3.0])
    found = principal_components(rows)
    expected = PCA(2, svd_solver="full").fit(rows.double().numpy())
    theirs = torch.from_numpy(expected.transform(rows.double().numpy()))
    assert_same(found(rows).abs(), theirs.abs(), terms=40)
    assert_same(found.explained, expected.explained_variance_ratio_, terms=40, dtype=torch.float32)
    largest = found.axes.abs().argmax(dim=0)
    assert (found.axes.gather(0, largest[None]) > 0).all()


def test_the_same_rows_give_the_same_bits() -> None:
    rows = torch.randn(30, 8, generator=generator_for(1, "test"))
    assert torch.equal(principal_components(rows)(rows), principal_components(rows.clone())(rows))


@pytest.mark.parametrize("rows", [torch.zeros(5, 3), torch.ones(1, 3), torch.arange(4.0)[:, None]])
def test_rows_that_hardly_spread(rows: torch.Tensor) -> None:
    found = principal_components(rows)
    assert torch.isfinite(found(rows)).all()
    assert found.axes[:, 1].abs().max() == 0
    assert sum(found.explained) == pytest.approx(1.0 if len(rows) == 4 else 0.0)


@settings(deadline=None)
@given(count=st.integers(0, 500), wanted=st.integers(1, 60))
def test_evenly_spaced_rows(count: int, wanted: int) -> None:
    chosen = evenly_spaced(count, wanted).tolist()
    assert len(chosen) == min(count, wanted)
    assert chosen == sorted(set(chosen)) and all(0 <= row < count for row in chosen)
    gaps = {b - a for a, b in pairwise(chosen)}
    assert not gaps or max(gaps) - min(gaps) <= 1
