"""What the method's sampler and its two baselines choose."""

from __future__ import annotations

import logging

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dckt_core.base.errors import UsageError
from dckt_core.contract.protocols import Representation
from dckt_plugins.samplers.consistency import domain_consistency
from dckt_plugins.samplers.keep_rate import keep_probability
from tests.support.samplers import FakeState, made_up

NAMES = ("all", "ap-progressive", "uniform")
DRAWS = 300
ADAPTIVE = ("ap-progressive", "uniform")


def state(*, seed: int = 0, iteration: int = 1, pairs: int = 40) -> FakeState:
    view, labels = made_up(pairs)
    return FakeState(view, labels, iteration, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", NAMES)
def test_same_generator_same_choice_and_no_other_draws(build, name):
    before = torch.random.get_rng_state()
    first, second = build(name).select(state()), build(name).select(state())
    assert torch.equal(first.indices, second.indices)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert first.source_indices is None


@pytest.mark.parametrize("name", ADAPTIVE)
def test_another_generator_another_choice(build, name):
    assert not torch.equal(build(name).select(state(seed=0)).indices, build(name).select(state(seed=1)).indices)


def test_all_keeps_all(build):
    assert build("all").select(state(pairs=7)).indices.tolist() == list(range(7))


def test_the_adaptive_choice_tells_ap_and_rate_and_keeps_to_them(build):
    sampler, now = build("ap-progressive", rule="code", alpha="0.8"), state(iteration=2)
    ap = domain_consistency(now.view, now.labels)
    rate = keep_probability(ap, 2, "code", 0.8)
    kept = torch.zeros(40)
    for _ in range(DRAWS):
        selection = sampler.select(now)
        kept[selection.indices] += 1
        assert torch.equal(selection.details["ap"], ap / 2), "the mean of both directions"
        assert torch.equal(selection.details["keep_rate"], rate)
    share = kept / DRAWS
    error = (rate * (1 - rate) / DRAWS).sqrt()
    assert ((share - rate).abs() <= 4.5 * error + 1e-9).all()
    assert float(rate.max() - rate.min()) > 0.2, "the pairs are told apart"


@given(seed=st.integers(0, 10_000), iteration=st.integers(1, 30), rule=st.sampled_from(["paper", "code"]),
       alpha=st.floats(0.01, 1), pairs=st.integers(1, 40))  # fmt: skip
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_uniform_keeps_as_many(build, seed, iteration, rule, alpha, pairs):
    options = {"rule": rule, "alpha": alpha}
    adaptive = build("ap-progressive", **options).select(state(seed=seed, iteration=iteration, pairs=pairs))
    blind = build("uniform", **options).select(state(seed=seed, iteration=iteration, pairs=pairs))
    assert len(blind.indices) == len(adaptive.indices) >= 1
    for selection in (adaptive, blind):
        assert selection.indices.dtype == torch.int64
        assert selection.indices.tolist() == sorted(set(selection.indices.tolist()))
        assert int(selection.indices.max()) < pairs
    assert torch.equal(blind.details["ap"], adaptive.details["ap"])
    assert blind.details["keep_rate"].tolist() == pytest.approx([len(blind.indices) / pairs] * pairs)


def test_uniform_is_blind_to_ap(build):
    """Each pair is kept as often as any other, whatever its AP; the adaptive choice is not like that."""
    spread = {}
    for name in ADAPTIVE:
        sampler, now, kept = build(name), state(), torch.zeros(40)
        for _ in range(DRAWS):
            kept[sampler.select(now).indices] += 1
        spread[name] = float((kept / DRAWS).std())
    assert spread["uniform"] < 1.5 * (0.25 / DRAWS) ** 0.5  # of a coin so often
    assert spread["ap-progressive"] > 0.1


def nothing_is_kept(iteration: int = 1) -> FakeState:
    """All pairs alike under alpha = 1e-9: none is kept, but for one draw in a hundred million."""
    view, labels = made_up(12, noise=0.3)
    return FakeState(view, labels, iteration)


def test_when_nothing_is_kept_the_highest_ap_stands_in(build, caplog):
    now = nothing_is_kept(iteration=3)
    with caplog.at_level(logging.WARNING, logger="dckt"):
        selection = build("ap-progressive", alpha=1e-9).select(now)
    assert selection.indices.tolist() == [int(domain_consistency(now.view, now.labels).argmax())]
    assert [record.getMessage() for record in caplog.records] == [
        "iteration 3: no pair was kept; the one of highest AP stands in"
    ]
    assert len(build("uniform", alpha=1e-9).select(nothing_is_kept()).indices) == 1


@pytest.mark.parametrize("name", ADAPTIVE)
def test_swapping_image_and_text_files_changes_no_choice(build, name):
    view, labels = made_up()
    swapped = Representation(image=view.text, text=view.image)
    first, second = (build(name).select(FakeState(given, labels)) for given in (view, swapped))
    assert torch.equal(first.indices, second.indices)
    assert torch.equal(first.details["ap"], second.details["ap"])


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_remembered_between_iterations(build, name):
    sampler = build(name)
    sampler.select(state())
    assert sampler.state_dict() == {}
    sampler.load_state_dict({})
    assert torch.equal(sampler.select(state()).indices, build(name).select(state()).indices)


@pytest.mark.parametrize("name", ADAPTIVE)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": "0"}, r"option 'alpha' of .*: expected number in \(0, 1\], not '0'"),
        ({"alpha": "1.01"}, r"number in \(0, 1\]"),
        ({"alpha": "nan"}, r"number in \(0, 1\]"),
        ({"rule": "papper"}, r"expected paper\|code\|share, not 'papper'"),
        ({"alfa": "1"}, "did you mean 'alpha'"),
    ],
)
def test_bad_options(build, name, options, message):
    with pytest.raises(UsageError, match=message):
        build(name, **options)
