from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp, ttest_rel

from dckt_apps.experiment.statistics import estimate, paired_difference
from tests.support.tolerance import SMALL, approx

values = st.lists(st.floats(-1, 1), min_size=2, max_size=12).filter(lambda v: max(v) - min(v) > 1e-6)


@given(values=values)
def test_the_interval_is_scipy_s(values: list[float]) -> None:
    found = estimate(values)
    expected = ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert found.interval == approx((expected.low, expected.high), terms=SMALL)
    assert (found.n, found.mean) == (len(values), pytest.approx(math.fsum(values) / len(values)))


def test_by_hand() -> None:
    """mean 2, s 1, n 3, t(2) at 97.5 % is 4.30265."""
    found = estimate([1.0, 2.0, 3.0])
    assert found.interval == pytest.approx((2 - 4.30265 / math.sqrt(3), 2 + 4.30265 / math.sqrt(3)), abs=1e-5)
    assert found.interval[0] <= 0 <= found.interval[1]
    assert estimate([2.0, 2.1, 2.2]).interval[0] > 0


def test_one_seed_has_no_interval_and_none_has_no_mean() -> None:
    assert estimate([0.5]).interval is None
    with pytest.raises(ValueError, match="no mean"):
        estimate([])


def test_a_difference_is_paired_by_seed() -> None:
    """Seeds that differ much and arms that differ little: paired, the interval is narrow."""
    draw = torch.Generator().manual_seed(0)
    seeds = torch.randn(10, generator=draw)
    first = {n: float(value + 0.1 + 0.01 * torch.randn((), generator=draw)) for n, value in enumerate(seeds)}
    second = {n: float(value + 0.01 * torch.randn((), generator=draw)) for n, value in enumerate(seeds)}
    found = paired_difference(first, second)
    assert found is not None
    assert found.interval[0] > 0
    expected = ttest_rel([first[n] for n in range(10)], [second[n] for n in range(10)]).confidence_interval()
    assert found.interval == pytest.approx((expected.low, expected.high))


def test_only_common_seeds_count() -> None:
    found = paired_difference({1: 0.5, 2: 0.7, 9: 100.0}, {2: 0.4, 1: 0.4, 3: -100.0})
    assert found is not None
    assert (found.n, found.mean) == (2, pytest.approx(0.2))
    assert paired_difference({1: 0.5}, {2: 0.5}) is None


def test_ninety_five_in_a_hundred_intervals_hold_the_mean() -> None:
    """2000 samples of 5: the share has a standard error of 0.5 points."""
    samples = torch.randn(2000, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64).tolist()
    held = sum(interval[0] <= 0 <= interval[1] for interval in (estimate(row).interval for row in samples) if interval)
    assert held / 2000 == pytest.approx(0.95, abs=0.015)
