"""Bootstrap intervals: their coverage, their width, and that clusters stay whole."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import ttest_1samp

from dckt_core.evaluation.intervals import bootstrap_interval, resampled_sums, standard_errors
from tests.support.tolerance import SMALL, approx, assert_same


def test_the_interval_covers_the_mean_as_often_as_it_says() -> None:
    generator = torch.Generator().manual_seed(0)
    trials, covered = 300, 0
    for _ in range(trials):
        sample = torch.rand(80, generator=generator, dtype=torch.float64) ** 2
        low, high = bootstrap_interval(sample, generator, draws=400)
        covered += low <= 1 / 3 <= high
    assert 0.90 <= covered / trials <= 0.985


def test_the_interval_has_the_width_of_the_normal_one() -> None:
    sample = torch.randn(500, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    low, high = bootstrap_interval(sample, torch.Generator().manual_seed(2))
    width = 2 * 1.96 * float(sample.std()) / 500**0.5
    assert high - low == pytest.approx(width, rel=0.08)
    assert (low + high) / 2 == pytest.approx(float(sample.mean()), abs=0.1 * width)


def test_same_generator_same_interval_and_blocks_of_draws_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values = torch.rand(50, 2, generator=torch.Generator().manual_seed(5))
    first = bootstrap_interval(values, torch.Generator().manual_seed(7))
    monkeypatch.setattr("dckt_core.evaluation.intervals.DRAWN_AT_ONCE", 333)
    assert bootstrap_interval(values, torch.Generator().manual_seed(7)) == first
    assert bootstrap_interval(values, torch.Generator().manual_seed(8)) != first


def test_rows_stay_together() -> None:
    """Values that cancel within each row leave nothing to vary."""
    up = torch.rand(30, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    assert bootstrap_interval(torch.stack([up, 1 - up], dim=1), torch.Generator()) == pytest.approx((0.5, 0.5))


def test_no_interval_without_values() -> None:
    with pytest.raises(ValueError, match="no interval without values"):
        bootstrap_interval(torch.empty(0), torch.Generator())


def test_no_interval_of_one_cluster() -> None:
    """It would have width zero, as if nothing could vary."""
    assert bootstrap_interval(torch.tensor([0.5]), torch.Generator()) is None
    values = torch.rand(5, generator=torch.Generator().manual_seed(1))
    assert bootstrap_interval(values, torch.Generator(), clusters=torch.full((5,), 3)) is None
    assert bootstrap_interval(values, torch.Generator(), clusters=torch.tensor([3, 3, 3, 3, 4])) is not None


def test_clusters_of_copies_count_as_one_each() -> None:
    """Five copies of every value say no more than the value."""
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(60, generator=generator, dtype=torch.float64)
    copies, clusters = values.repeat(5), torch.arange(60).repeat(5)
    once = bootstrap_interval(values, torch.Generator().manual_seed(2))
    assert bootstrap_interval(copies, torch.Generator().manual_seed(2), clusters=clusters) == pytest.approx(once)
    low, high = bootstrap_interval(copies, torch.Generator().manual_seed(2))
    assert high - low < 0.6 * (once[1] - once[0]), "taken for independent they would look more certain than they are"


@pytest.mark.numerics
def test_clusters_of_one_are_values() -> None:
    values = torch.rand(40, 2, generator=torch.Generator().manual_seed(5))
    numbers = torch.arange(40) * 3 + 100
    alone = bootstrap_interval(values, torch.Generator().manual_seed(7), clusters=numbers)
    assert alone == approx(bootstrap_interval(values, torch.Generator().manual_seed(7)), terms=SMALL)


def test_the_interval_over_clusters_covers_the_mean_as_often_as_it_says() -> None:
    """Of values that a cluster shares in part; over single values it would cover far less."""
    generator = torch.Generator().manual_seed(0)
    covered = {"clusters": 0, "values": 0}
    trials, clusters = 300, torch.arange(60).repeat_interleave(4)
    for _ in range(trials):
        sample = torch.randn(60, generator=generator).repeat_interleave(4) + torch.randn(240, generator=generator)
        for name, given in (("clusters", clusters), ("values", None)):
            low, high = bootstrap_interval(sample, generator, clusters=given, draws=400)
            covered[name] += low <= 0 <= high
    assert 0.90 <= covered["clusters"] / trials <= 0.985
    assert covered["values"] / trials < 0.85


@pytest.mark.numerics
def test_sums_are_those_of_the_rows_drawn() -> None:
    table = torch.rand(7, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    drawn = torch.randint(7, (50, 7), generator=torch.Generator().manual_seed(3))
    found = resampled_sums(table, torch.Generator().manual_seed(3), draws=50)
    assert_same(found, table[drawn].sum(dim=1), terms=7)


def test_a_mean_in_its_own_standard_errors_is_students_t() -> None:
    gains = torch.tensor([0.1, 0.3, -0.1, 0.5], dtype=torch.float64)
    assert standard_errors(gains) == pytest.approx(float(ttest_1samp(gains.numpy(), 0).statistic))
    assert standard_errors(-gains) == pytest.approx(-standard_errors(gains))


def test_gains_that_do_not_vary_are_clear_and_one_alone_says_nothing() -> None:
    assert standard_errors(torch.full((3,), 0.25)) == float("inf")
    assert standard_errors(torch.full((3,), -0.25)) == -float("inf")
    assert standard_errors(torch.zeros(3)) == 0
    assert standard_errors(torch.ones(1)) == 0
