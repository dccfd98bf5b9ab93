from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dckt_apps.report import retrieval
from dckt_apps.report.retrieval import RECALLS, largest_confusions, results
from dckt_core.base.rng import generator_for
from dckt_core.evaluation.ranking import average_precisions
from tests.support.tolerance import assert_same


def by_hand(scores: list[float], relevant: list[bool]) -> list[float]:
    """Interpolated precision at each recall level, read off the definition."""
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    total, found, points = sum(relevant), 0, []
    for place, item in enumerate(order, start=1):
        found += relevant[item]
        points.append((found / total, found / place))
    return [max(p for r, p in points if r >= level - 1e-9) for level in RECALLS.tolist()]


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), q=st.integers(1, 6), g=st.integers(1, 12), classes=st.integers(1, 4))
def test_precision_at_recall_is_the_definition(seed: int, q: int, g: int, classes: int) -> None:
    generator = generator_for(seed, "test")
    queries, gallery = (torch.randn(n, 3, generator=generator, dtype=torch.float64) for n in (q, g))
    query_labels, gallery_labels = (torch.randint(classes, (n,), generator=generator) for n in (q, g))
    found = results(queries, gallery, query_labels, gallery_labels, classes=classes, k=3)
    cosine = torch.cosine_similarity(queries[:, None], gallery[None], dim=2)
    curves = []
    for row in range(q):
        relevant = (gallery_labels == query_labels[row]).tolist()
        if any(relevant):
            curves.append(by_hand(cosine[row].tolist(), relevant))
    expected = torch.tensor(curves, dtype=torch.float64).mean(dim=0) if curves else torch.zeros(21)
    assert_same(found.precision, expected, terms=q, scale=1, dtype=torch.float64)
    assert found.top.shape == (q, min(3, g))
    assert_same(cosine.gather(1, found.top), cosine.topk(min(3, g), dim=1).values, terms=3, scale=1)


def test_a_curve_never_rises_and_a_perfect_ranking_has_precision_one() -> None:
    labels = torch.tensor([0, 1, 1, 2])
    perfect = results(torch.eye(3)[labels], torch.eye(3)[labels], labels, labels, classes=3, k=2)
    assert perfect.precision.tolist() == [1.0] * 21
    assert perfect.confusion.tolist() == torch.eye(3).tolist()
    worst = results(torch.eye(3)[labels], -torch.eye(3)[labels], labels, labels, classes=3, k=2)
    assert (worst.precision.diff() <= 0).all()
    assert worst.precision[0] < 1


def test_confusion_counts_as_many_results_as_are_relevant() -> None:
    gallery = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.5, 0.5], [0.0, 1.0]])
    gallery_labels = torch.tensor([0, 1, 0, 1])
    queries, query_labels = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), torch.tensor([0, 1, 2])
    found = results(queries, gallery, query_labels, gallery_labels, classes=3, k=1)
    # query 0 finds one of each class among two; query 1 finds its own and one of class 0; class 2 has nothing to find
    assert found.confusion.tolist() == [[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]
    assert found.top.tolist() == [[0], [3], [0]]


def test_rows_of_the_confusion_add_up_to_one_and_its_diagonal_is_the_r_precision() -> None:
    generator = generator_for(3, "test")
    queries, gallery = torch.randn(40, 5, generator=generator), torch.randn(30, 5, generator=generator)
    query_labels, gallery_labels = torch.arange(40) % 4, torch.arange(30) % 4
    found = results(queries, gallery, query_labels, gallery_labels, classes=4, k=5)
    assert_same(found.confusion.sum(dim=1), torch.ones(4, dtype=torch.float64), terms=40)
    order = torch.cosine_similarity(queries[:, None], gallery[None], dim=2).argsort(dim=1, descending=True)
    hits = gallery_labels[order] == query_labels[:, None]
    for label in range(4):
        size = int((gallery_labels == label).sum())
        expected = hits[query_labels == label, :size].double().mean()
        assert found.confusion[label, label] == pytest.approx(float(expected))


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = generator_for(5, "test")
    queries, gallery = torch.randn(17, 4, generator=generator), torch.randn(11, 4, generator=generator)
    labels = torch.arange(17) % 3
    whole = results(queries, gallery, labels, labels[:11], classes=3, k=4)
    monkeypatch.setattr(retrieval, "CHUNK_ENTRIES", 30)
    parts = results(queries, gallery, labels, labels[:11], classes=3, k=4)
    assert_same(parts.precision, whole.precision, terms=17)
    assert_same(parts.confusion, whole.confusion, terms=17)
    assert torch.equal(parts.top, whole.top)


def test_ties_keep_the_order_of_the_gallery() -> None:
    labels = torch.zeros(4, dtype=torch.int64)
    found = results(torch.ones(1, 2), torch.ones(4, 2), labels[:1], labels, classes=1, k=4)
    assert found.top.tolist() == [[0, 1, 2, 3]]


def test_the_area_under_a_curve_is_close_to_average_precision() -> None:
    """Interpolation can only raise it."""
    generator = generator_for(7, "test")
    labels = torch.arange(200) % 2
    gallery = torch.randn(200, 6, generator=generator) + labels[:, None]
    ap = float(average_precisions(gallery[:50], gallery, labels[:50], labels).mean())
    area = float(results(gallery[:50], gallery, labels[:50], labels, classes=2, k=1).precision.mean())
    assert ap - 0.01 < area < ap + 0.05


def test_largest_confusions_leave_out_the_diagonal_and_nothing() -> None:
    matrix = torch.tensor([[0.7, 0.3, 0.0], [0.1, 0.9, 0.0], [0.3, 0.0, 0.7]], dtype=torch.float64)
    assert largest_confusions(matrix, 9) == [(0, 1, 0.3), (2, 0, 0.3), (1, 0, 0.1)]
    assert largest_confusions(matrix, 1) == [(0, 1, 0.3)]
