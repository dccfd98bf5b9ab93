"""What stands at the head of a ranking, against its definition and over all orders of what ties."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dckt_core.base.rng import generator_for
from dckt_core.evaluation import cosines
from dckt_core.evaluation.confusion import confusion, first_results
from tests.support.tolerance import SMALL, approx, assert_same


def test_it_counts_as_many_results_as_are_relevant() -> None:
    gallery = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.5, 0.5], [0.0, 1.0]])
    gallery_labels = torch.tensor([0, 1, 0, 1])
    queries, query_labels = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), torch.tensor([0, 1, 2])
    # query 0 finds one of each class among two; query 1 finds its own and one of class 0; class 2 has nothing to find
    found = confusion(queries, gallery, query_labels, gallery_labels, classes=3)
    assert found.tolist() == [[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]
    assert first_results(queries, gallery, 1).tolist() == [[0], [3], [0]]


@pytest.mark.numerics
def test_rows_add_up_to_one_and_the_diagonal_is_the_r_precision() -> None:
    generator = generator_for(3, "test")
    queries, gallery = torch.randn(40, 5, generator=generator), torch.randn(30, 5, generator=generator)
    query_labels, gallery_labels = torch.arange(40) % 4, torch.arange(30) % 4
    found = confusion(queries, gallery, query_labels, gallery_labels, classes=4)
    assert_same(found.sum(dim=1), torch.ones(4, dtype=torch.float64), terms=40)
    order = torch.cosine_similarity(queries[:, None], gallery[None], dim=2).argsort(dim=1, descending=True)
    hits = gallery_labels[order] == query_labels[:, None]
    for label in range(4):
        size = int((gallery_labels == label).sum())
        expected = hits[query_labels == label, :size].double().mean()
        assert found[label, label] == pytest.approx(float(expected))


@pytest.mark.numerics
@given(labels=st.lists(st.integers(0, 2), min_size=1, max_size=6), data=st.data())
@settings(max_examples=60, deadline=None)
def test_items_that_tie_count_as_often_as_they_come_first(labels: list[int], data: st.DataObject) -> None:
    groups = sorted(data.draw(st.lists(st.integers(0, 2), min_size=len(labels), max_size=len(labels))))
    asked, count = labels[0], labels.count(labels[0])
    sums, orders = [0.0] * 3, 0
    for order in permutations(range(len(labels))):
        if [groups[item] for item in order] == groups:
            orders += 1
            for item in order[:count]:
                sums[labels[item]] += 1 / count
    angles = torch.tensor(groups) * 0.4
    gallery = torch.stack([angles.cos(), angles.sin()], dim=1)
    found = confusion(torch.tensor([[1.0, 0.0]]), gallery, torch.tensor([asked]), torch.tensor(labels), classes=3)
    assert found[asked].tolist() == approx([value / orders for value in sums], terms=SMALL)


@pytest.mark.numerics
def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = generator_for(5, "test")
    queries, gallery = torch.randn(17, 4, generator=generator), torch.randn(11, 4, generator=generator)
    labels = torch.arange(17) % 3

    def told() -> tuple[torch.Tensor, torch.Tensor]:
        return confusion(queries, gallery, labels, labels[:11], classes=3), first_results(queries, gallery, 4)

    whole = told()
    monkeypatch.setattr(cosines, "CHUNK_ENTRIES", 30)
    parts = told()
    assert_same(parts[0], whole[0], terms=17)
    assert torch.equal(parts[1], whole[1])


@pytest.mark.numerics
def test_the_first_results_are_the_nearest_and_equal_ones_are_shown_in_the_gallery_s_order() -> None:
    generator = generator_for(6, "test")
    queries, gallery = torch.randn(9, 4, generator=generator), torch.randn(7, 4, generator=generator)
    cosine = torch.cosine_similarity(queries[:, None].double(), gallery[None].double(), dim=2)
    assert_same(cosine.gather(1, first_results(queries, gallery, 3)), cosine.topk(3, dim=1).values, terms=4)
    assert first_results(torch.ones(1, 2), torch.ones(4, 2), 9).tolist() == [[0, 1, 2, 3]]
    assert first_results(torch.empty(0, 2), torch.ones(4, 2), 3).shape == (0, 3)
