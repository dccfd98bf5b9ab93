from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dckt_core.base.errors import UsageError
from dckt_plugins.samplers.self_paced import kept_share


@dataclass
class State:
    """A progressive iteration of which only the losses are known; asks after anything else are errors."""

    losses: Tensor
    iteration: int = 1
    labels: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.labels = torch.zeros(len(self.losses)).long()

    def target_losses(self) -> Tensor:
        return self.losses


LOSSES = torch.tensor([0.9, 0.1, 0.5, 0.3, 0.7, 0.2])


def test_the_easiest_come_first_and_all_in_the_end(build):
    sampler = build("self-paced", iterations=3, start=0.5)
    chosen = [sampler.select(State(LOSSES, iteration)).indices.tolist() for iteration in (1, 2, 3)]
    assert chosen == [[1, 3, 5], [1, 2, 3, 5], [0, 1, 2, 3, 4, 5]]  # 3, 4.5 (rounded to even) and 6 of 6


def test_the_easiest_of_each_class(build):
    state = State(LOSSES, 1)
    state.labels = torch.tensor([0, 1, 0, 1, 0, 1])
    sampler = build("self-paced", iterations=3, start=0.2, of="class")
    assert sampler.select(state).indices.tolist() == [1, 2], "one of each, though class 1 has the three lowest losses"
    assert build("self-paced", iterations=3, start=0.2).select(state).indices.tolist() == [1]
    state.iteration = 2
    assert sampler.select(state).indices.tolist() == [1, 2, 4, 5], "0.6 of three is two"
    state.iteration = 3
    assert sampler.select(state).indices.tolist() == [0, 1, 2, 3, 4, 5]


def test_it_tells_the_losses_and_leaves_the_source_alone(build):
    selection = build("self-paced").select(State(LOSSES))
    assert torch.equal(selection.details["loss"], LOSSES)
    assert selection.source_indices is None
    assert selection.indices.dtype == torch.int64


def test_equal_losses_keep_the_order_of_the_data_set(build):
    assert build("self-paced", start=0.5).select(State(torch.ones(64))).indices.tolist() == list(range(32))


def test_one_pair_at_least(build):
    assert build("self-paced", start=0.01).select(State(LOSSES)).indices.tolist() == [1]


def test_of_a_single_iteration_the_start_is_all_there_is(build):
    assert len(build("self-paced", iterations=1, start=0.5).select(State(LOSSES)).indices) == 3


@given(iterations=st.integers(1, 30), start=st.floats(0.01, 1))
def test_the_share_grows_in_equal_steps(iterations, start):
    shares = [kept_share(iteration, iterations, start) for iteration in range(1, iterations + 1)]
    assert shares[0] == pytest.approx(start)
    assert all(0 < share <= 1 + 1e-12 for share in shares)
    steps = [after - before for before, after in pairwise(shares)]
    assert steps == pytest.approx([(1 - start) / max(iterations - 1, 1)] * len(steps))
    assert iterations == 1 or shares[-1] == pytest.approx(1.0)


def test_nothing_is_remembered(build):
    sampler = build("self-paced", iterations=5)
    late = sampler.select(State(LOSSES, 4)).indices
    sampler.select(State(LOSSES.flip(0), 1))
    assert sampler.state_dict() == {}
    assert torch.equal(sampler.select(State(LOSSES, 4)).indices, late)


@pytest.mark.parametrize("start", ["0", "1.5", "nan"])
def test_bad_options(build, start):
    with pytest.raises(UsageError, match=r"'start' of .*number in \(0, 1\]"):
        build("self-paced", start=start)
