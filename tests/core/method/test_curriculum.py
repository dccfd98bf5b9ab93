from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from dckt_core.method.curriculum import RowStream, repeat_in_order


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20, unique=True), st.integers(1, 60))
def test_repetition_is_cyclic_in_order_and_of_the_length_asked_for(kept, length):
    rows = repeat_in_order(torch.tensor(kept), length)
    assert rows.tolist() == [kept[n % len(kept)] for n in range(max(length, len(kept)))]


def test_repetition_keeps_pairs_together():
    images = torch.arange(10) * 100
    texts = torch.arange(10) * 100 + 1
    rows = repeat_in_order(torch.tensor([7, 2, 5]), 10)
    assert torch.equal(texts[rows] - images[rows], torch.ones(10, dtype=torch.int64))


@given(st.integers(1, 12), st.integers(1, 9), st.integers(0, 3))
def test_every_pass_sees_every_row_once(count, batch, seed):
    stream = RowStream(torch.arange(count), batch, torch.Generator().manual_seed(seed))
    drawn = torch.cat([stream.next() for _ in range(count)])  # `batch` whole passes
    for one_pass in drawn.split(count):
        assert sorted(one_pass.tolist()) == list(range(count))


def test_state_round_trip_goes_on_with_the_same_rows():
    first = RowStream(torch.arange(11), 4, torch.Generator().manual_seed(5))
    first.next()
    saved, drawn = first.state_dict(), first.generator.get_state()
    expected = [first.next().tolist() for _ in range(8)]
    second = RowStream(torch.arange(3), 4, torch.Generator())
    second.load_state_dict(saved)
    second.generator.set_state(drawn)
    assert [second.next().tolist() for _ in range(8)] == expected
