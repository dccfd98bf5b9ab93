from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dckt_plugins.samplers.keep_rate import draw, keep_probability, keep_share

AP = torch.tensor([2.0, 1.5, 1.0, 0.5, 0.0], dtype=torch.float64)


@pytest.mark.parametrize(
    ("rule", "iteration", "expected"),
    [
        ("paper", 1, [1, 0.678, 0.415, 0.193, 0]),
        ("code", 1, [1, 0.595, 0.307, 0.084, 0]),
        ("code", 20, [1, 0.975, 0.951, 0.928, 0.905]),
    ],
)
def test_the_table_of_the_method(rule, iteration, expected):
    assert keep_probability(AP, iteration, rule, 1.0).tolist() == pytest.approx(expected, abs=5e-4)


def test_what_is_clamped_would_be_negative():
    assert 1 - math.log(2 / 1 + 1) == pytest.approx(-0.099, abs=5e-4)
    assert float(keep_probability(AP, 1, "code", 1.0)[-1]) == 0.0


@pytest.mark.parametrize("iteration", [20, 21, 1000])
def test_the_releases_rule_counts_iterations_to_twenty(iteration):
    assert torch.equal(keep_probability(AP, iteration, "code", 0.7), keep_probability(AP, 20, "code", 0.7))


def test_the_papers_rule_counts_on():
    assert (keep_probability(AP, 21, "paper", 1.0)[1:] > keep_probability(AP, 20, "paper", 1.0)[1:]).all()


aps = st.lists(st.floats(0, 2), min_size=1, max_size=20).map(lambda values: torch.tensor(values, dtype=torch.float64))
rules = st.sampled_from(["paper", "code"])


@given(ap=aps, iteration=st.integers(1, 60), rule=rules, alpha=st.floats(0.01, 1))
def test_alpha_bounds_it_and_the_best_pair_reaches_it(ap, iteration, rule, alpha):
    rate = keep_probability(ap, iteration, rule, alpha)
    assert rate.shape == ap.shape
    assert float(rate.min()) >= 0
    assert float(rate.max()) == alpha
    assert float(rate[ap.argmax()]) == alpha


@given(ap=aps, iteration=st.integers(1, 60), rule=rules)
def test_higher_ap_is_never_less_likely_and_later_iterations_never_stricter(ap, iteration, rule):
    rate = keep_probability(ap, iteration, rule, 1.0)
    assert (rate[ap.argsort()].diff() >= 0).all()
    assert (keep_probability(ap, iteration + 1, rule, 1.0) >= rate).all()


@given(ap=aps, rule=rules)
def test_in_the_long_run_the_choice_is_nearly_uniform_under_the_papers_rule(ap, rule):
    late = keep_probability(ap, 10_000, rule, 0.5)
    floor = 0.499 if rule == "paper" else 0.5 * (1 - math.log(2 / 20 + 1)) - 1e-12
    assert float(late.min()) >= floor


@pytest.mark.parametrize("rule", ["paper", "code"])
def test_where_nothing_is_found_all_have_alpha(rule):
    assert keep_probability(torch.zeros(4), 3, rule, 0.25).tolist() == [0.25] * 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, "paper", 1.0), "iteration = 0 must be 1 or more"),
        ((1, "paper", 0.0), r"alpha = 0.0 must lie in \(0, 1\]"),
        ((1, "paper", 1.5), "alpha = 1.5 must lie"),
        ((1, "papper", 1.0), "unknown rule 'papper'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        keep_probability(AP, *arguments)


def test_draws_follow_the_probabilities():
    probability = torch.tensor([0.0, 0.2, 0.7, 1.0], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    counts = torch.zeros(4)
    for _ in range(2000):
        counts[draw(probability, generator)] += 1
    share = counts / 2000
    assert share[0] == 0
    assert share[3] == 1
    # four standard errors of a share of 2000 draws
    assert share[1:3].tolist() == pytest.approx([0.2, 0.7], abs=4 * 0.46 / 2000**0.5)


def test_nothing_may_be_kept():
    assert draw(torch.zeros(5), torch.Generator()).tolist() == []


def test_the_best_of_each_class_are_kept_however_good_another_class_is() -> None:
    ap = torch.tensor([0.9, 0.8, 0.7, 0.2, 0.1, 0.3])
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    assert keep_share(ap, labels, 1 / 3).tolist() == [1, 0, 0, 0, 0, 1]
    assert keep_share(ap, labels, 0.5).tolist() == [1, 1, 0, 1, 0, 1]
    assert keep_share(ap, labels, 1.0).tolist() == [1] * 6
