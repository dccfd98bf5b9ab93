from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cross_decomposition import CCA
from torch import Tensor

from dckt_core import Medium
from dckt_core.io.tensors import load_tensors, save_tensors
from dckt_plugins.parts.cca import Correlation, principal_axes
from tests.support.tolerance import assert_same

pytestmark = pytest.mark.numerics

NEXT_TO_NONE = 1e-12
"""A ridge that moves nothing as far as the rounding of float32: the smallest variance of the pairs is near 0.01."""


def pairs(seed: int = 0, n: int = 300) -> tuple[Tensor, Tensor]:
    """Features [n, 6] and [n, 4] that share two hidden values."""
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(n, 2, generator=generator)
    x = torch.cat([hidden, torch.randn(n, 4, generator=generator)], dim=1) @ torch.randn(6, 6, generator=generator)
    y = torch.cat([hidden + 0.3 * torch.randn(n, 2, generator=generator), torch.randn(n, 2, generator=generator)], 1)
    return x, y @ torch.randn(4, 4, generator=generator)


@dataclass(frozen=True)
class Fitted:
    """Places as they are before they are scaled to length 1."""

    maps: Correlation

    def images(self, rows: Tensor) -> Tensor:
        return self._rows("image", rows)

    def texts(self, rows: Tensor) -> Tensor:
        return self._rows("text", rows)

    def _rows(self, medium: Medium, rows: Tensor) -> Tensor:
        return (self.maps.scales[medium](rows) @ self.maps.axes[medium]).float()


def fitted(x: Tensor, y: Tensor, *, width: int = 3, ridge: float = 1e-6, weights: Tensor | None = None) -> Fitted:
    return Fitted(Correlation.fit(x, y, width=width, ridge=ridge, weights=weights))


def correlations(model: Fitted, x: Tensor, y: Tensor) -> list[float]:
    a, b = model.images(x).double().numpy(), model.texts(y).double().numpy()
    return [float(np.corrcoef(a[:, axis], b[:, axis])[0, 1]) for axis in range(a.shape[1])]


def test_with_next_to_no_ridge_these_are_the_canonical_correlations() -> None:
    x, y = pairs()
    theirs = CCA(n_components=3, max_iter=5000, tol=1e-12).fit(x.double().numpy(), y.double().numpy())
    a, b = theirs.transform(x.double().numpy(), y.double().numpy())
    expected = [float(np.corrcoef(a[:, axis], b[:, axis])[0, 1]) for axis in range(3)]
    found = correlations(fitted(x, y, ridge=NEXT_TO_NONE), x, y)
    assert_same(found, expected, terms=300, dtype=torch.float32)


def test_an_axis_is_as_long_as_it_correlates() -> None:
    x, y = pairs()
    model = fitted(x, y, ridge=NEXT_TO_NONE)
    lengths = model.images(x).double().square().mean(dim=0).sqrt()
    assert_same(lengths, correlations(model, x, y), terms=300, dtype=torch.float32)
    assert lengths[1] > 0.8 > 0.3 > lengths[2]


def test_partners_are_found_among_pairs_that_it_has_not_seen() -> None:
    x, y = pairs(n=340)
    model = fitted(x[40:], y[40:], width=2)
    a, b = model.images(x[:40]), model.texts(y[:40])
    cosine = torch.nn.functional.normalize(a, dim=1) @ torch.nn.functional.normalize(b, dim=1).T
    ranks = (cosine > cosine.diagonal()[:, None]).double().sum(dim=1)
    assert ranks.mean() < 8, "chance would be 19.5"


@pytest.mark.parametrize(("n", "ridge"), [(12, 0.5), (5, 0.1)])
def test_more_values_than_pairs_give_what_the_formula_gives(n: int, ridge: float) -> None:
    generator = torch.Generator().manual_seed(n)
    x, y = torch.randn(n, 20, generator=generator), torch.randn(n, 4, generator=generator)
    model = fitted(x, y, width=3, ridge=ridge)

    def whitened(rows: Tensor) -> tuple[Tensor, Tensor]:
        rows = (rows.double() - rows.double().mean(0)) / rows.double().std(0, correction=0)
        values, vectors = torch.linalg.eigh(rows.T @ rows / n + ridge * torch.eye(rows.shape[1], dtype=torch.float64))
        return rows, vectors @ torch.diag(values.rsqrt()) @ vectors.T

    (a, white_a), (b, white_b) = whitened(x), whitened(y)
    u, s, vh = torch.linalg.svd(white_a @ a.T @ b / n @ white_b)
    for found, expected in (
        (model.images(x), a @ white_a @ u[:, :3] * s[:3]),
        (model.texts(y), b @ white_b @ vh[:3].T * s[:3]),
    ):
        signs = (found.double() * expected).sum(0).sign()
        assert_same(found, expected * signs, terms=n * 20)


def test_there_are_no_more_axes_than_pairs_can_tell_apart() -> None:
    x, y = pairs(n=3)
    assert fitted(x, y, width=4, ridge=0.5).images(x).shape == (3, 2)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(0.01, 100), st.floats(-50, 50), st.floats(0.01, 10))
def test_units_and_offsets_do_not_matter(seed: int, scale: float, offset: float, ridge: float) -> None:
    x, y = pairs(seed, n=60)
    plain = fitted(x, y, ridge=ridge)
    other = fitted(x * scale + offset, y, ridge=ridge)
    first, second = plain.images(x), other.images(x * scale + offset)
    cosines = torch.nn.functional.cosine_similarity(first, second, dim=0).abs()  # an axis has no sign
    gaps = plain.images(x).square().mean(0).sqrt()
    clear = [axis for axis in range(3) if all(abs(gaps[axis] - gaps[o]) > 0.02 for o in range(3) if o != axis)]
    assert all(cosines[axis] > 0.99 for axis in clear)


def test_more_ridge_less_correlation_claimed() -> None:
    x, y = pairs(n=30)
    claims = [float(fitted(x, y, ridge=ridge).images(x).square().mean()) for ridge in (1e-6, 0.5, 10.0)]
    assert claims[0] > claims[1] > claims[2] > 0


def test_a_constant_feature_has_no_weight() -> None:
    x, y = pairs()
    x[:, 2] = 7.5
    model = fitted(x, y)
    assert torch.isfinite(model.maps.axes["image"]).all()
    assert model.maps.scales["image"].factor[2] == 0


def test_the_width_is_at_most_that_of_the_narrower_medium() -> None:
    x, y = pairs()
    assert fitted(x, y, width=100).images(x).shape == (300, 4)


def test_fewer_pairs_than_features() -> None:
    x, y = pairs(n=3)
    model = fitted(x, y, ridge=0.5)
    assert torch.isfinite(model.images(x)).all()


def test_same_bits_and_a_way_through_a_file(tmp_path: Path) -> None:
    x, y = pairs()
    first, second = fitted(x, y).maps, fitted(x, y).maps
    assert all(torch.equal(first.state_dict()[name], value) for name, value in second.state_dict().items())
    save_tensors(tmp_path / "c", first.state_dict(), kind="maps", format=1)
    read = Correlation.of_state(load_tensors(tmp_path / "c", kind="maps", format=1)[0])
    assert torch.equal(read.place("text", y), first.place("text", y))


def test_a_pair_of_weight_two_counts_as_two_pairs() -> None:
    x, y = pairs(n=40)
    weights = torch.ones(40)
    weights[:10] = 2
    weighted = fitted(x, y, ridge=0.5, weights=weights)
    twice = fitted(torch.cat([x, x[:10]]), torch.cat([y, y[:10]]), ridge=0.5)
    assert_same(weighted.images(x).abs(), twice.images(x).abs(), terms=50)


def test_places_have_length_one() -> None:
    x, y = pairs()
    places = fitted(x, y).maps.place("image", x)
    assert_same(places.square().sum(1), torch.ones(len(x)), terms=3)


@pytest.mark.parametrize(("n", "d", "most"), [(30, 8, 3), (6, 20, 4), (30, 8, 8)])
def test_principal_axes_keep_what_varies_most(n: int, d: int, most: int) -> None:
    generator = torch.Generator().manual_seed(n + d)
    rows = torch.randn(n, d, generator=generator, dtype=torch.float64)
    axes = principal_axes(rows, most)
    assert_same(axes.T @ axes, torch.eye(axes.shape[1], dtype=torch.float64), terms=n * d)
    kept = (rows @ axes).square().sum()
    expected = torch.linalg.svdvals(rows)[:most].square().sum() if most < d else rows.square().sum()
    assert_same(kept, expected, terms=n * d)
