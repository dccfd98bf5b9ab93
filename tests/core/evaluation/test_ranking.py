"""AP against hand-worked cases, a brute-force oracle and scikit-learn; chance against random rankings."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score
from torch import Tensor

from dckt_core.base.errors import DataError
from dckt_core.evaluation.ranking import _positions, average_precisions, bootstrap_interval, chance_ap, chance_map, rank
from tests.support.tolerance import assert_same

RIGHT, WRONG = 1, 0


def line_up(relevance: list[int]) -> dict[str, Tensor]:
    """One query and a gallery that it ranks in this order: angles that grow from item to item."""
    angles = torch.linspace(0.1, 1.4, len(relevance), dtype=torch.float64)
    return {
        "queries": torch.tensor([[1.0, 0.0]], dtype=torch.float64),
        "gallery": torch.stack([angles.cos(), angles.sin()], dim=1),
        "query_labels": torch.tensor([RIGHT]),
        "gallery_labels": torch.tensor(relevance),
    }


@pytest.mark.parametrize(
    ("relevance", "k", "expected"),
    [
        ([1, 0, 1, 0, 0], None, (1 / 1 + 2 / 3) / 2),
        ([0, 1, 1, 0, 1], None, (1 / 2 + 2 / 3 + 3 / 5) / 3),
        ([1, 1, 1], None, 1.0),
        ([0, 0, 0, 1], None, 1 / 4),
        ([0, 0], None, 0.0),
        ([1], None, 1.0),
        ([0, 1, 1, 0, 1], 3, (1 / 2 + 2 / 3) / 3),
        ([0, 1, 1, 0, 1], 2, (1 / 2) / 2),
        ([0, 1, 1, 0, 1], 1, 0.0),
        ([1, 0, 1], 50, (1 / 1 + 2 / 3) / 2),
    ],
)
def test_ap_by_hand(relevance: list[int], k: int | None, expected: float) -> None:
    assert average_precisions(**line_up(relevance), k=k).tolist() == pytest.approx([expected], abs=1e-15)


@pytest.mark.parametrize(
    ("k", "precision", "recall"),
    [(1, 0.0, 0.0), (2, 1 / 2, 1 / 3), (3, 2 / 3, 2 / 3), (5, 3 / 5, 1.0), (9, 3 / 5, 1.0)],
)
def test_precision_and_recall_at_k_by_hand(k: int, precision: float, recall: float) -> None:
    ranking = rank(**line_up([0, 1, 1, 0, 1]), ks=[2, k, 4])
    assert ranking.at[k].precision.tolist() == pytest.approx([precision])
    assert ranking.at[k].recall.tolist() == pytest.approx([recall])
    assert set(ranking.at) == {2, k, 4}
    assert ranking.relevant.tolist() == [3]
    assert ranking.ap.tolist() == average_precisions(**line_up([0, 1, 1, 0, 1])).tolist(), "k cuts only what is at k"


# --- against other implementations ----------------------------------------------------------------------------


def oracle(queries: Tensor, gallery: Tensor, query_labels: Tensor, gallery_labels: Tensor, k: int, own: Any) -> Any:
    """The definition, item by item: AP, AP@k, precision@k, recall@k and R of each query."""
    figures = []
    for row, (query, label) in enumerate(zip(queries.tolist(), query_labels.tolist(), strict=True)):
        scored = []
        for place, item in enumerate(gallery.tolist()):
            if own is not None and place == int(own[row]):
                continue
            norms = sum(a * a for a in query) ** 0.5 * sum(b * b for b in item) ** 0.5
            dot = sum(a * b for a, b in zip(query, item, strict=True))
            scored.append((round(-dot / norms if norms else 0.0, 12), place))
        relevance = [int(gallery_labels[place]) == label for _, place in sorted(scored)]
        total, cut = sum(relevance), min(k, len(relevance))
        gains = [sum(relevance[: i + 1]) / (i + 1) for i in range(len(relevance)) if relevance[i]]
        at_k = [sum(relevance[: i + 1]) / (i + 1) for i in range(cut) if relevance[i]]
        figures.append(
            (
                sum(gains) / max(total, 1),
                sum(at_k) / max(min(total, cut), 1),
                sum(relevance[:cut]) / cut,
                sum(relevance[:cut]) / max(total, 1),
                total,
            )
        )
    return torch.tensor(figures, dtype=torch.float64).T


@st.composite
def problems(draw: Any) -> dict[str, Any]:
    """Small integer vectors: many ties, equal rows, zero rows; sometimes with the own row left out."""
    width = draw(st.integers(1, 4))
    count = draw(st.integers(2, 12))
    alone = draw(st.booleans())
    rows = st.lists(st.integers(-2, 3), min_size=width, max_size=width)
    gallery = torch.tensor(draw(st.lists(rows, min_size=count, max_size=count)), dtype=torch.float32)
    labels = torch.tensor(draw(st.lists(st.integers(0, 3), min_size=count, max_size=count)))
    if alone:
        own = torch.tensor(draw(st.permutations(range(count))))
        return {"queries": gallery[own], "gallery": gallery, "query_labels": labels[own], "gallery_labels": labels,
                "leave_out": own}  # fmt: skip
    asked = draw(st.integers(1, 6))
    queries = torch.tensor(draw(st.lists(rows, min_size=asked, max_size=asked)), dtype=torch.float32)
    query_labels = torch.tensor(draw(st.lists(st.integers(0, 3), min_size=asked, max_size=asked)))
    return {"queries": queries, "gallery": gallery, "query_labels": query_labels, "gallery_labels": labels,
            "leave_out": None}  # fmt: skip


@given(problem=problems(), k=st.integers(1, 15), chunk=st.integers(1, 8))
@settings(max_examples=200, deadline=None)
def test_equals_the_definition(problem: dict[str, Any], k: int, chunk: int) -> None:
    # Rows of one direction but of different lengths differ in the last bits once they are normalised: rounding in the
    # oracle makes ties of them, so here each direction is given one length.
    for name in ("queries", "gallery"):
        problem[name] = torch.tensor([_shortest(row) for row in problem[name].int().tolist()], dtype=torch.float32)
    ranking = rank(**problem, ks=[k], chunk=chunk)
    given = {name: problem[name] for name in ("queries", "gallery", "query_labels", "gallery_labels")}
    ap, ap_at_k, precision, recall, relevant = oracle(**given, k=k, own=problem["leave_out"])
    assert ranking.relevant.tolist() == relevant.long().tolist()
    # Two directions may have equal cosines to a query in exact arithmetic only; such queries are left to the others.
    for row in range(len(ap)):
        if _is_clear(given["queries"][row], given["gallery"]):
            at_k = ranking.at[k]
            got = [ranking.ap, at_k.ap, at_k.precision, at_k.recall]
            assert [float(column[row]) for column in got] == pytest.approx(
                [float(column[row]) for column in (ap, ap_at_k, precision, recall)], abs=1e-12
            )


@given(seed=st.integers(0, 2**32), queries=st.integers(1, 6), size=st.integers(1, 30), own=st.booleans())
@settings(max_examples=60, deadline=None)
def test_precision_at_recall_is_the_best_from_there_on(seed: int, queries: int, size: int, own: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows, gallery = torch.randn(queries, 3, generator=generator), torch.randn(size, 3, generator=generator)
    asked = torch.randint(3, (queries,), generator=generator)
    labels = torch.randint(3, (size,), generator=generator)
    without = torch.randint(size, (queries,), generator=generator) if own else None
    levels = [step / 10 for step in range(11)]
    curve = rank(rows, gallery, asked, labels, levels=levels, leave_out=without).curve
    assert curve.shape == (queries, 11)
    for query in range(queries):
        order = torch.cosine_similarity(rows[query].double(), gallery.double()).argsort(descending=True).tolist()
        relevance = [bool(labels[item] == asked[query]) for item in order if without is None or item != without[query]]
        total = sum(relevance)
        for level, found in zip(range(11), curve[query].tolist(), strict=True):
            hits = [sum(relevance[:cut]) for cut in range(1, len(relevance) + 1)]
            reached = [hit / cut for cut, hit in enumerate(hits, start=1) if hit and hit * 10 >= level * total]
            assert found == pytest.approx(max(reached, default=0), abs=1e-12)


def _shortest(row: list[int]) -> list[int]:
    import math

    common = math.gcd(*row) or 1
    return [value // common for value in row]


def _is_clear(query: Tensor, gallery: Tensor) -> bool:
    """Whether different rows of the gallery have cosines to a query that rounding cannot confuse."""
    different = torch.unique(gallery, dim=0).double()
    cosine = torch.nn.functional.normalize(different, dim=1) @ torch.nn.functional.normalize(query.double(), dim=0)
    gaps = cosine.sort().values.diff()
    return bool((gaps > 1e-9).all())


@given(seed=st.integers(0, 2**32), queries=st.integers(1, 9), gallery=st.integers(2, 60), classes=st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_equals_scikit_learn_without_ties(seed: int, queries: int, gallery: int, classes: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    left = torch.randn(queries, 6, generator=generator)
    right = torch.randn(gallery, 6, generator=generator)
    left_labels = torch.randint(classes, (queries,), generator=generator)
    right_labels = torch.randint(classes, (gallery,), generator=generator)
    aps = average_precisions(left, right, left_labels, right_labels)
    cosine = torch.nn.functional.cosine_similarity(left.double()[:, None], right.double(), dim=2)
    for row in range(queries):
        relevant = (right_labels == left_labels[row]).numpy()
        expected = average_precision_score(relevant, cosine[row].numpy()) if relevant.any() else 0.0
        assert float(aps[row]) == pytest.approx(expected, abs=1e-12)


# --- ties, zero vectors, chunks -------------------------------------------------------------------------------


def test_ties_keep_the_gallery_order() -> None:
    queries, gallery = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, 2.0], [1.0, 0.0], [1.0, 0.0]])
    for labels, expected in (([0, 0, 1, 0], 1.0), ([0, 0, 0, 1], 1 / 2), ([1, 0, 0, 0], 1 / 3), ([0, 1, 0, 0], 1 / 4)):
        assert average_precisions(queries, gallery, torch.tensor([1]), torch.tensor(labels)).tolist() == [expected]


@pytest.mark.parametrize(("width", "count"), [(100, 55), (123, 175), (20, 301)])
def test_equal_vectors_tie_exactly_wherever_they_stand(width: int, count: int) -> None:
    """In a plain matrix product they do not: the last bits depend on the column."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.rand(count, width, generator=generator).softmax(dim=1)
    gallery = torch.cat([rows, rows, rows])
    labels = torch.cat([torch.zeros(count), torch.ones(count), torch.full((count,), 2.0)]).long()
    # Every vector stands there three times, of class 0, 1 and 2 in this order: class 2 is at places 3, 6, 9 ...
    for wanted, first in ((0, 1), (1, 2), (2, 3)):
        aps = average_precisions(rows, gallery, torch.full((count,), wanted), labels)
        expected = sum(i / (first + 3 * (i - 1)) for i in range(1, count + 1)) / count
        assert_same(aps, torch.full_like(aps, expected), terms=count)


def test_a_zero_vector_has_cosine_zero_to_all() -> None:
    gallery = torch.tensor([[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    labels = torch.tensor([0, 1, 0])
    assert average_precisions(torch.tensor([[1.0, 0.0]]), gallery, torch.tensor([1]), labels).tolist() == [1 / 2]
    assert average_precisions(torch.zeros(1, 2), gallery, torch.tensor([1]), labels).tolist() == [1 / 2]


@pytest.mark.parametrize("chunk", [1, 3, 7, 100, None])
def test_chunks_change_nothing(chunk: int | None) -> None:
    generator = torch.Generator().manual_seed(3)
    rows, labels = torch.randn(37, 8, generator=generator), torch.randint(4, (37,), generator=generator)
    own = torch.arange(37)
    whole = rank(rows, rows, labels, labels, ks=[5, 9], leave_out=own, chunk=37)
    parts = rank(rows, rows, labels, labels, ks=[5, 9], leave_out=own, chunk=chunk)
    assert torch.equal(whole.ap, parts.ap)
    assert torch.equal(whole.relevant, parts.relevant)
    for k in (5, 9):
        for name in ("ap", "precision", "recall"):
            assert torch.equal(getattr(whole.at[k], name), getattr(parts.at[k], name))


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_nothing(threads: int) -> None:
    generator = torch.Generator().manual_seed(5)
    rows, labels = torch.randn(90, 8, generator=generator), torch.randint(4, (90,), generator=generator)
    given: dict[str, Any] = {"ks": [5], "leave_out": torch.arange(90), "chunk": 7}
    before = torch.get_num_threads()
    alone = rank(rows, rows, labels, labels, **given)
    try:
        torch.set_num_threads(threads)
        together = rank(rows, rows, labels, labels, **given)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(alone.ap, together.ap)
    assert torch.equal(alone.at[5].recall, together.at[5].recall)


def test_cosines_that_differ_in_the_last_bit_are_told_apart() -> None:
    """A match is tagged in a bit of its cosine, which must cost no order."""
    cosines = torch.tensor([[1 - 2.0**-53, 1.0, 2.0**-60, 0.0, -(2.0**-55), 0.0]], dtype=torch.float64)
    for wanted in ([0], [1], [2, 5], [3, 4], [0, 4, 5]):
        matches = torch.zeros(6, dtype=torch.bool)
        matches[wanted] = True
        order = cosines[0].argsort(descending=True, stable=True)
        expected = (matches[order].nonzero().squeeze(1) + 1).tolist()
        assert _positions(cosines.clone(), matches).tolist() == [expected]


@pytest.mark.parametrize("entries", [1, 700, 10_000])
def test_memory_is_bounded_by_the_chunk(monkeypatch: pytest.MonkeyPatch, entries: int) -> None:
    """No more query-gallery pairs are held at once than said, or than one query has."""
    from dckt_core.evaluation import ranking as metrics

    generator = torch.Generator().manual_seed(3)
    rows, labels = torch.randn(130, 8, generator=generator), torch.randint(2, (130,), generator=generator)
    seen: list[int] = []
    positions = metrics._positions

    def spy(cosine: Tensor, matches: Tensor) -> Tensor:
        seen.append(cosine.numel())
        return positions(cosine, matches)

    whole = average_precisions(rows, rows, labels, labels)
    monkeypatch.setattr(metrics, "_positions", spy)
    monkeypatch.setattr(metrics, "CHUNK_ENTRIES", entries)
    assert torch.equal(average_precisions(rows, rows, labels, labels), whole)
    assert max(seen) <= max(entries, 130)
    assert sum(seen) == 130 * 130


def test_the_cosine_ignores_length() -> None:
    generator = torch.Generator().manual_seed(4)
    rows, labels = torch.randn(20, 5, generator=generator).double(), torch.randint(3, (20,), generator=generator)
    longer = rows * torch.rand(20, 1, generator=generator).double().add(0.1)
    first, second = average_precisions(rows, rows, labels, labels), average_precisions(longer, rows, labels, labels)
    assert_same(first, second, terms=20)


# --- the edges ------------------------------------------------------------------------------------------------


def test_the_only_item_left_out_leaves_nothing_to_find() -> None:
    one, label = torch.tensor([[1.0, 2.0]]), torch.tensor([0])
    ranking = rank(one, one, label, label, ks=[3], leave_out=torch.tensor([0]))
    assert (ranking.ap.tolist(), ranking.relevant.tolist()) == ([0.0], [0])
    assert ranking.at[3].ap.tolist() == [0.0]


def test_one_row_gallery_and_no_queries() -> None:
    one, label = torch.tensor([[1.0, 2.0]]), torch.tensor([0])
    assert average_precisions(one, one, label, label).tolist() == [1.0]
    assert average_precisions(one, one, torch.tensor([1]), label).tolist() == [0.0]
    assert average_precisions(torch.empty(0, 2), one, torch.empty(0).long(), label).shape == (0,)
    assert rank(one, torch.empty(0, 2), label, torch.empty(0).long()).relevant.tolist() == [0]


def test_levels_of_recall_lie_between_0_and_1() -> None:
    one, label = torch.ones(1, 2), torch.tensor([0])
    assert rank(one, one, label, label).curve.shape == (1, 0)
    with pytest.raises(ValueError, match=r"levels of recall must lie in \[0, 1\], not \[0.5, 1.1\]"):
        rank(one, one, label, label, levels=[0.5, 1.1])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(value: float) -> None:
    rows, labels = torch.ones(3, 2), torch.zeros(3).long()
    bad = rows.clone()
    bad[1, 0] = value
    with pytest.raises(DataError, match="1 of 3 query rows hold numbers that are not finite"):
        average_precisions(bad, rows, labels, labels)
    with pytest.raises(DataError, match="1 of 3 gallery rows hold"):
        average_precisions(rows, bad, labels, labels)


def test_shapes_that_do_not_fit_are_refused() -> None:
    rows, labels = torch.ones(3, 2), torch.zeros(3).long()
    with pytest.raises(ValueError, match="matrices of one width"):
        average_precisions(rows, torch.ones(3, 4), labels, labels)
    with pytest.raises(ValueError, match=r"gallery labels \[2\] must be one for each of 3 rows"):
        average_precisions(rows, rows, labels, labels[:2])
    with pytest.raises(ValueError, match="rows to leave out"):
        average_precisions(rows, rows, labels, labels, leave_out=torch.tensor([0]))
    with pytest.raises(ValueError, match="k = 0 must be 1 or more"):
        average_precisions(rows, rows, labels, labels, k=0)


# --- chance ---------------------------------------------------------------------------------------------------


@given(gallery=st.integers(1, 7), data=st.data())
@settings(max_examples=60, deadline=None)
def test_chance_is_the_mean_over_all_rankings(gallery: int, data: st.DataObject) -> None:
    from itertools import permutations

    relevant = data.draw(st.integers(1, gallery))
    first = data.draw(st.integers(0, 1))
    k = data.draw(st.one_of(st.none(), st.integers(1, gallery + 2)))
    cut = gallery if k is None else min(k, gallery)
    behind = [1] * (relevant - first) + [0] * (gallery - relevant)
    values = []
    for order in permutations(behind):
        row = [1] * first + list(order)
        gains = sum(sum(row[: i + 1]) / (i + 1) for i in range(cut) if row[i])
        values.append(gains / min(relevant, cut))
    expected = sum(values) / len(values)
    assert float(chance_ap(torch.tensor([relevant]), gallery, k=k, first=first)) == pytest.approx(expected, abs=1e-12)


def test_chance_agrees_with_random_rankings_of_a_large_gallery() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(7, (150,), generator=generator)
    queries = torch.randint(8, (40,), generator=generator)  # class 7 has no item
    means = []
    for _ in range(200):
        aps = average_precisions(
            torch.randn(40, 9, generator=generator), torch.randn(150, 9, generator=generator), queries, labels
        )
        means.append(float(aps[queries < 7].mean()))
    observed = torch.tensor(means, dtype=torch.float64)
    error = float(observed.std()) / len(means) ** 0.5
    assert abs(float(observed.mean()) - chance_map(queries, labels)) < 4 * error
    assert error < 0.002, "the comparison is a sharp one"


def test_chance_without_anything_relevant() -> None:
    assert chance_ap(torch.tensor([0, 1]), 1).tolist() == [0.0, 1.0]
    assert chance_ap(torch.tensor([0]), 0).tolist() == [0.0]
    assert chance_map(torch.tensor([1, 1]), torch.tensor([0, 0])) == 0.0


# --- intervals ------------------------------------------------------------------------------------------------


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
    monkeypatch.setattr("dckt_core.evaluation.ranking.CHUNK_ENTRIES", 333)
    assert bootstrap_interval(values, torch.Generator().manual_seed(7)) == first
    assert bootstrap_interval(values, torch.Generator().manual_seed(8)) != first


def test_rows_stay_together() -> None:
    """Values that cancel within each row leave nothing to vary."""
    up = torch.rand(30, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    assert bootstrap_interval(torch.stack([up, 1 - up], dim=1), torch.Generator()) == pytest.approx((0.5, 0.5))


def test_no_interval_without_values() -> None:
    with pytest.raises(ValueError, match="no interval without values"):
        bootstrap_interval(torch.empty(0), torch.Generator())
