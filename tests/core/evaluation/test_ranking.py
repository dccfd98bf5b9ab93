"""AP against hand-worked cases, all orders of tied items and scikit-learn; chance against random rankings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby, permutations, product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score
from torch import Tensor

from dckt_core.base.errors import DataError
from dckt_core.evaluation.cosines import Gallery, codes, unit
from dckt_core.evaluation.ranking import average_precisions, chance_ap, rank
from tests.support.tolerance import SMALL, approx, assert_same

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


@pytest.mark.numerics
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
    assert average_precisions(**line_up(relevance), k=k).tolist() == approx([expected], terms=SMALL)


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


# --- ties: the mean over all orders ---------------------------------------------------------------------------


def figures_of(relevance: Sequence[int], k: int) -> list[float]:
    """AP, AP@k, precision@k and recall@k of one order, by the definition."""
    total, cut = sum(relevance), min(k, len(relevance))
    gains = [sum(relevance[: i + 1]) / (i + 1) if relevance[i] else 0.0 for i in range(len(relevance))]
    found = sum(relevance[:cut])
    return [sum(gains) / max(total, 1), sum(gains[:cut]) / max(min(total, cut), 1), found / cut, found / max(total, 1)]


def over_all_orders(groups: Sequence[Sequence[int]], k: int) -> list[float]:
    """Means of `figures_of` over all orders of the items within each group, the groups staying in line."""
    orders = [sum(order, ()) for order in product(*(list(permutations(group)) for group in groups))]
    return torch.tensor([figures_of(order, k) for order in orders], dtype=torch.float64).mean(dim=0).tolist()


def by_pairs(groups: Sequence[Sequence[int]], k: int) -> list[float]:
    """The same for groups of any size, from the probability that two places both hold a relevant item."""
    places = [(len(group), sum(group), number) for number, group in enumerate(groups) for _ in group]

    def both(one: int, other: int) -> float:
        size, relevant, group = places[one]
        likely = relevant / size
        if one == other:
            return likely
        if places[other][2] != group:
            return likely * places[other][1] / places[other][0]
        return likely * (relevant - 1) / (size - 1)

    total, cut = sum(map(sum, groups)), min(k, len(places))
    gains = [math.fsum(both(i, j) for j in range(i + 1)) / (i + 1) for i in range(len(places))]
    found = math.fsum(both(i, i) for i in range(cut))
    return [
        math.fsum(gains) / max(total, 1),
        math.fsum(gains[:cut]) / max(min(total, cut), 1),
        found / cut,
        found / max(total, 1),
    ]


def tied_line_up(groups: Sequence[Sequence[int]], order: Sequence[int]) -> dict[str, Tensor]:
    """One query and a gallery that it ranks in groups of equal rows; the gallery holds its items in some order."""
    angles = torch.linspace(0.1, 1.4, len(groups), dtype=torch.float64).repeat_interleave(
        torch.tensor([len(group) for group in groups])
    )[list(order)]
    return {
        "queries": torch.tensor([[1.0, 0.0]], dtype=torch.float64),
        "gallery": torch.stack([angles.cos(), angles.sin()], dim=1),
        "query_labels": torch.tensor([RIGHT]),
        "gallery_labels": torch.tensor([item for group in groups for item in group])[list(order)],
    }


def told(problem: dict[str, Tensor], k: int, **how: Any) -> list[float]:
    ranking = rank(**problem, ks=[k], **how)
    at_k = ranking.at[k]
    return [float(column) for column in (ranking.ap, at_k.ap, at_k.precision, at_k.recall)]


small_groups = st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=4), min_size=1, max_size=3).filter(
    lambda groups: math.prod(math.factorial(len(group)) for group in groups) <= 600
)
groups_of_any_size = st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=12), min_size=1, max_size=6)


@pytest.mark.numerics
@given(groups=small_groups, k=st.integers(1, 13), data=st.data())
@settings(max_examples=60, deadline=None)
def test_figures_are_means_over_all_orders_of_what_ties(groups: list[list[int]], k: int, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(sum(map(len, groups)))))
    expected = over_all_orders(groups, k)
    assert by_pairs(groups, k) == approx(expected, terms=SMALL)
    assert told(tied_line_up(groups, order), k) == approx(expected, terms=SMALL)


@pytest.mark.numerics
@given(groups=groups_of_any_size, k=st.integers(1, 50), data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_gallery_is_of_no_account(groups: list[list[int]], k: int, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(sum(map(len, groups)))))
    problem = tied_line_up(groups, order)
    assert told(problem, k) == approx(by_pairs(groups, k), terms=SMALL)
    mixed = any(0 < sum(group) < len(group) for group in groups)
    assert rank(**problem).tied.tolist() == [mixed]


@pytest.mark.numerics
def test_ties_by_hand() -> None:
    """A relevant item ties with another one: it is first or second, and behind another relevant one second or third."""
    assert told(tied_line_up([[1, 0]], [0, 1]), 1) == [3 / 4, 1 / 2, 1 / 2, 1 / 2]
    expected = [(1 + (1 + 2 / 3) / 2) / 2, (1 + 1 / 2) / 2, 3 / 4, 3 / 4]
    assert told(tied_line_up([[1], [1, 0]], [2, 0, 1]), 2) == approx(expected, terms=SMALL)


@pytest.mark.numerics
@pytest.mark.parametrize("classes", [5, 20, 100])
def test_a_constant_representation_scores_chance(classes: int) -> None:
    """In whatever order the file has its classes; one that keeps the file's order would see half as much again."""
    labels = torch.arange(400) * classes // 400
    same = torch.full((400, 7), 1 / 7)
    for order in (torch.arange(400), torch.randperm(400, generator=torch.Generator().manual_seed(0))):
        shuffled = labels[order]
        ranking = rank(same, same, shuffled, shuffled, ks=[5], levels=[0.0, 0.5, 1.0])
        assert ranking.tied.all()
        assert_same(ranking.ap, chance_ap(ranking.relevant, 400), terms=400, scale=1)
        assert_same(ranking.at[5].precision, ranking.relevant.double() / 400, terms=5, scale=1)
        assert_same(ranking.curve, (ranking.relevant.double() / 400)[:, None].expand(-1, 3), terms=400)


def test_precision_at_recall_is_that_of_the_expected_ranking() -> None:
    """[1], [1 0 0 1], [0]: among the first 1, 2, ... are expected 1, 3/2, 2, 5/2 and 3 that are relevant, of 3."""
    curve = rank(**tied_line_up([[1], [1, 0, 0, 1], [0]], range(6)), levels=[0.0, 1 / 3, 0.5, 2 / 3, 0.9, 1.0]).curve
    assert curve.tolist() == [pytest.approx([1.0, 1.0, 2 / 3, 2 / 3, 3 / 5, 3 / 5])]


# --- against other implementations ----------------------------------------------------------------------------


def oracle(
    queries: Tensor, gallery: Tensor, query_labels: Tensor, gallery_labels: Tensor, k: int, leave_out: Any, first: Any
) -> Tensor:
    """The definition, item by item: AP, AP@k, precision@k, recall@k and R of each query."""
    figures = []
    for row, (query, label) in enumerate(zip(queries.tolist(), query_labels.tolist(), strict=True)):
        scored = []
        for place, item in enumerate(gallery.tolist()):
            if leave_out is not None and leave_out[0][row] == leave_out[1][place]:
                continue
            norms = sum(a * a for a in query) ** 0.5 * sum(b * b for b in item) ** 0.5
            dot = sum(a * b for a, b in zip(query, item, strict=True))
            cosine = 9.0 if first is not None and place == int(first[row]) else dot / norms if norms else 0.0
            scored.append((-round(cosine, 12), int(gallery_labels[place]) == label))
        groups = [[int(hit) for _, hit in tied] for _, tied in groupby(sorted(scored), key=lambda pair: pair[0])]
        found = by_pairs(groups, k) if groups else [0.0] * 4
        figures.append([*found, sum(map(sum, groups))])
    return torch.tensor(figures, dtype=torch.float64).T


@st.composite
def problems(draw: Any) -> dict[str, Any]:
    """Small integer vectors: many ties, equal rows, zero rows; sometimes some left out, or one in front."""
    width = draw(st.integers(1, 4))
    count = draw(st.integers(2, 12))
    rows = st.lists(st.integers(-2, 3), min_size=width, max_size=width)
    gallery = torch.tensor(draw(st.lists(rows, min_size=count, max_size=count)), dtype=torch.float32)
    labels = torch.tensor(draw(st.lists(st.integers(0, 3), min_size=count, max_size=count)))
    asked = draw(st.integers(1, 6))
    queries = torch.tensor(draw(st.lists(rows, min_size=asked, max_size=asked)), dtype=torch.float32)
    query_labels = torch.tensor(draw(st.lists(st.integers(0, 3), min_size=asked, max_size=asked)))

    def numbers(length: int, most: int) -> Tensor:
        return torch.tensor(draw(st.lists(st.integers(0, most), min_size=length, max_size=length)))

    special = draw(st.sampled_from(["nothing", "left out", "first"]))
    return {
        "queries": queries,
        "gallery": gallery,
        "query_labels": query_labels,
        "gallery_labels": labels,
        "leave_out": (numbers(asked, 4), numbers(count, 4)) if special == "left out" else None,
        "first": numbers(asked, count - 1) if special == "first" else None,
    }


@given(problem=problems(), k=st.integers(1, 15), chunk=st.integers(1, 8))
@settings(max_examples=100, deadline=None)
def test_equals_the_definition(problem: dict[str, Any], k: int, chunk: int) -> None:
    # Rows of one direction but of different lengths differ in the last bits once they are normalised: rounding in the
    # oracle makes ties of them, so here each direction is given one length.
    for name in ("queries", "gallery"):
        problem[name] = torch.tensor([_shortest(row) for row in problem[name].int().tolist()], dtype=torch.float32)
    ranking = rank(**problem, ks=[k], chunk=chunk)
    ap, ap_at_k, precision, recall, relevant = oracle(**problem, k=k)
    assert ranking.relevant.tolist() == relevant.long().tolist()
    # Two directions may have equal cosines to a query in exact arithmetic only; such queries are left to the others.
    for row in range(len(ap)):
        if _is_clear(problem["queries"][row], problem["gallery"]):
            at_k = ranking.at[k]
            got = [ranking.ap, at_k.ap, at_k.precision, at_k.recall]
            assert [float(column[row]) for column in got] == approx(
                [float(column[row]) for column in (ap, ap_at_k, precision, recall)], terms=SMALL
            )


@pytest.mark.numerics
@given(seed=st.integers(0, 2**32), queries=st.integers(1, 6), size=st.integers(1, 30), own=st.booleans())
@settings(max_examples=60, deadline=None)
def test_precision_at_recall_is_the_best_from_there_on(seed: int, queries: int, size: int, own: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows, gallery = torch.randn(queries, 3, generator=generator), torch.randn(size, 3, generator=generator)
    asked = torch.randint(3, (queries,), generator=generator)
    labels = torch.randint(3, (size,), generator=generator)
    without = torch.randint(size, (queries,), generator=generator) if own else None
    leave_out = None if without is None else (without, torch.arange(size))
    levels = [step / 10 for step in range(11)]
    curve = rank(rows, gallery, asked, labels, levels=levels, leave_out=leave_out).curve
    assert curve.shape == (queries, 11)
    for query in range(queries):
        order = torch.cosine_similarity(rows[query].double(), gallery.double()).argsort(descending=True).tolist()
        relevance = [bool(labels[item] == asked[query]) for item in order if without is None or item != without[query]]
        total = sum(relevance)
        for level, found in zip(range(11), curve[query].tolist(), strict=True):
            hits = [sum(relevance[:cut]) for cut in range(1, len(relevance) + 1)]
            reached = [hit / cut for cut, hit in enumerate(hits, start=1) if hit and hit * 10 >= level * total]
            assert found == approx(max(reached, default=0), terms=SMALL)


def _shortest(row: list[int]) -> list[int]:
    common = math.gcd(*row) or 1
    return [value // common for value in row]


def _is_clear(query: Tensor, gallery: Tensor) -> bool:
    """Whether different rows of the gallery have cosines to a query that rounding cannot confuse."""
    different = torch.unique(gallery, dim=0).double()
    cosine = torch.nn.functional.normalize(different, dim=1) @ torch.nn.functional.normalize(query.double(), dim=0)
    gaps = cosine.sort().values.diff()
    return bool((gaps > 1e-9).all())


@pytest.mark.numerics
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
        assert float(aps[row]) == approx(expected, terms=SMALL)


# --- equal rows, zero vectors, chunks -------------------------------------------------------------------------


@pytest.mark.numerics
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("width", "count"), [(100, 55), (123, 175), (20, 301)])
def test_equal_vectors_tie_exactly_wherever_they_stand(width: int, count: int, threads: int) -> None:
    """In a plain matrix product they do not: the last bits depend on the column."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.rand(count, width, generator=generator).softmax(dim=1)
    gallery = torch.cat([rows, rows, rows])
    labels = torch.arange(3).repeat_interleave(count)
    # Every vector stands there three times, once of each class: each place of three holds a class by a third.
    places = torch.arange(1, 3 * count + 1, dtype=torch.float64)
    expected = float((((places - 1) // 3 + 1) / places).mean())
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        for chunk in (19, None):
            for wanted in range(3):
                aps = average_precisions(rows, gallery, torch.full((count,), wanted), labels, chunk=chunk)
                assert_same(aps, torch.full_like(aps, expected), terms=count)
    finally:
        torch.set_num_threads(before)


def test_equal_items_have_equal_cosines_to_the_last_bit() -> None:
    generator = torch.Generator().manual_seed(1)
    rows = torch.rand(67, 33, generator=generator)
    copies = torch.randint(67, (500,), generator=generator)
    gallery = Gallery(unit(rows[copies]))
    for queries in torch.split(unit(torch.rand(20, 33, generator=generator)), 3):
        cosine = gallery.cosines(queries)
        first = torch.stack([(copies == copy).nonzero()[0, 0] for copy in copies])
        assert torch.equal(cosine, cosine[:, first])


def test_cosines_that_rounding_cannot_tell_apart_tie() -> None:
    near = torch.tensor([[1.0, 1 - 2.0**-53, 0.5, 0.5 - 2.0**-40, 0.0, 2.0**-60, -1.0]], dtype=torch.float64)
    ranked = codes(near)[0].tolist()
    assert ranked[0] == ranked[1]
    assert ranked[4] == ranked[5]
    assert ranked == sorted(ranked[:4], reverse=True) + ranked[4:]
    assert len(set(ranked)) == 5
    assert all(code > 0 and code % 2 == 0 for code in ranked)


def test_a_zero_vector_has_cosine_zero_to_all() -> None:
    gallery = torch.tensor([[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    labels = torch.tensor([0, 1, 0])
    assert average_precisions(torch.tensor([[1.0, 0.0]]), gallery, torch.tensor([1]), labels).tolist() == [1 / 2]
    anywhere = (1 + 1 / 2 + 1 / 3) / 3
    found = average_precisions(torch.zeros(1, 2), gallery, torch.tensor([1]), labels)
    assert found.tolist() == pytest.approx([anywhere])


@pytest.mark.parametrize("chunk", [1, 3, 7, 100, None])
def test_chunks_change_nothing(chunk: int | None) -> None:
    generator = torch.Generator().manual_seed(3)
    rows, labels = torch.randn(37, 8, generator=generator), torch.randint(4, (37,), generator=generator)
    own = (torch.arange(37), torch.arange(37) // 2)
    rows[20:30] = rows[5]
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
    rows[40:60] = rows[3]
    given: dict[str, Any] = {"ks": [5], "leave_out": (torch.arange(90), torch.arange(90)), "chunk": 7}
    before = torch.get_num_threads()
    alone = rank(rows, rows, labels, labels, **given)
    try:
        torch.set_num_threads(threads)
        together = rank(rows, rows, labels, labels, **given)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(alone.ap, together.ap)
    assert torch.equal(alone.at[5].recall, together.at[5].recall)


@pytest.mark.parametrize("entries", [1, 700, 10_000])
def test_memory_is_bounded_by_the_chunk(monkeypatch: pytest.MonkeyPatch, entries: int) -> None:
    """No more query-gallery pairs are held at once than said, or than one query has."""
    generator = torch.Generator().manual_seed(3)
    rows, labels = torch.randn(130, 8, generator=generator), torch.randint(2, (130,), generator=generator)
    seen: list[int] = []
    cosines = Gallery.cosines

    def spy(gallery: Gallery, queries: Tensor) -> Tensor:
        found = cosines(gallery, queries)
        seen.append(found.numel())
        return found

    whole = average_precisions(rows, rows, labels, labels)
    monkeypatch.setattr(Gallery, "cosines", spy)
    monkeypatch.setattr("dckt_core.evaluation.cosines.CHUNK_ENTRIES", entries)
    assert torch.equal(average_precisions(rows, rows, labels, labels), whole)
    assert max(seen) <= max(entries, 130)
    assert sum(seen) == 130 * 130


@pytest.mark.numerics
def test_the_cosine_ignores_length() -> None:
    generator = torch.Generator().manual_seed(4)
    rows, labels = torch.randn(20, 5, generator=generator).double(), torch.randint(3, (20,), generator=generator)
    longer = rows * torch.rand(20, 1, generator=generator).double().add(0.1)
    first, second = average_precisions(rows, rows, labels, labels), average_precisions(longer, rows, labels, labels)
    assert_same(first, second, terms=20)


# --- the edges ------------------------------------------------------------------------------------------------


def test_the_only_item_left_out_leaves_nothing_to_find() -> None:
    one, label = torch.tensor([[1.0, 2.0]]), torch.tensor([0])
    ranking = rank(one, one, label, label, ks=[3], levels=[0.5], leave_out=(label, label))
    assert (ranking.ap.tolist(), ranking.relevant.tolist()) == ([0.0], [0])
    assert (ranking.candidates.tolist(), ranking.tied.tolist(), ranking.curve.tolist()) == ([0], [False], [[0.0]])
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
    with pytest.raises(ValueError, match=r"numbers of queries \[1\] must be one for each of 3 rows"):
        rank(rows, rows, labels, labels, leave_out=(torch.tensor([0]), labels))
    with pytest.raises(ValueError, match=r"rows that lead \[1\] must be"):
        rank(rows, rows, labels, labels, first=torch.tensor([0]))
    with pytest.raises(ValueError, match="k = 0 must be 1 or more"):
        average_precisions(rows, rows, labels, labels, k=0)


# --- chance ---------------------------------------------------------------------------------------------------


@pytest.mark.numerics
@given(gallery=st.integers(1, 7), data=st.data())
@settings(max_examples=60, deadline=None)
def test_chance_is_the_mean_over_all_rankings(gallery: int, data: st.DataObject) -> None:
    relevant = data.draw(st.integers(1, gallery))
    first = data.draw(st.integers(0, 1))
    behind = [1] * (relevant - first) + [0] * (gallery - relevant)
    values = []
    for order in permutations(behind):
        row = [1] * first + list(order)
        values.append(figures_of(row, gallery)[0])
    expected = sum(values) / len(values)
    assert float(chance_ap(torch.tensor([relevant]), gallery, first=first)) == approx(expected, terms=SMALL)


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
    counts = torch.bincount(labels, minlength=8)[queries[queries < 7]]
    expected = float(chance_ap(counts, 150).mean())
    observed = torch.tensor(means, dtype=torch.float64)
    error = float(observed.std()) / len(means) ** 0.5
    assert abs(float(observed.mean()) - expected) < 4 * error
    assert error < 0.002, "the comparison is a sharp one"


def test_chance_without_anything_relevant() -> None:
    assert chance_ap(torch.tensor([0, 1]), 1).tolist() == [0.0, 1.0]
    assert chance_ap(torch.tensor([0]), 0).tolist() == [0.0]
    assert chance_ap(torch.tensor([2, 1, 0]), torch.tensor([2, 2, 5])).tolist() == [1.0, 0.75, 0.0]
    assert chance_ap(torch.empty(0).long(), 3).tolist() == []


def test_products_do_not_grow_with_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    """One for each block of queries, whatever the classes in it: a product of few rows reads the whole gallery, too."""
    calls: list[int] = []
    plain = Gallery.cosines

    def counted(self: Gallery, queries: Tensor) -> Tensor:
        calls.append(len(queries))
        return plain(self, queries)

    monkeypatch.setattr(Gallery, "cosines", counted)
    rows = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
    for classes in (2, 30):
        labels = torch.arange(60) % classes
        calls.clear()
        rank(rows, rows.flip(0), labels, labels, chunk=20)
        assert calls == [20, 20, 20]
    calls.clear()
    rank(rows, rows, torch.arange(60), torch.arange(60) + 50, chunk=20)
    assert calls == [10], "queries with nothing relevant are not ranked"
