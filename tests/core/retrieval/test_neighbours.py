"""Narrowed and corrected rankings, against the formulas computed over all items at once."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dckt_core.contract.pairs import Medium
from dckt_core.contract.protocols import IndexContext
from dckt_core.retrieval.gallery import Gallery, Hits, new_gallery
from dckt_core.retrieval.neighbours import ALPHA, expanded, hubness, nearest
from tests.support import box
from tests.support.tolerance import assert_same

DIM, ITEMS, QUERIES = 6, 300, 7


def drawn(count: int, seed: int) -> Tensor:
    """Unit rows that crowd around one direction, so that some are hubs."""
    rows = torch.randn(count, DIM, generator=torch.Generator().manual_seed(seed))
    return F.normalize(rows + torch.tensor([1.5, *[0.0] * (DIM - 1)]), dim=1)


def gallery(rows: Tensor, medium: Medium = "image") -> Gallery:
    made = new_gallery(medium, "exact", {}, IndexContext(dim=DIM, seed=0), box.registry())
    made.add([{"id": str(n)} for n in range(len(rows))], rows)
    return made


def ids(answers: list[Hits]) -> list[list[str]]:
    return [[hit.id for hit in hits] for hits in answers]


def best(scores: Tensor, k: int) -> list[list[str]]:
    return [[str(n) for n in row] for row in scores.argsort(dim=1, descending=True)[:, :k].tolist()]


@pytest.mark.parametrize("k", [1, 10, 299, 1000])
@pytest.mark.parametrize("step", [1, 3, 100])
def test_only_what_is_admitted_is_found_and_all_of_it(k: int, step: int) -> None:
    rows, queries = drawn(ITEMS, 0), drawn(QUERIES, 1)
    admitted = {str(n) for n in range(0, ITEMS, step)}
    cosines = queries.double() @ rows.double().T
    cosines[:, [n for n in range(ITEMS) if str(n) not in admitted]] = -torch.inf
    found = nearest(gallery(rows), queries, k, admitted=admitted)
    assert ids(found) == best(cosines, min(k, len(admitted)))


def test_each_query_has_its_own_items_left_out() -> None:
    rows = drawn(ITEMS, 0)
    queries = rows[:QUERIES]
    cosines = queries.double() @ rows.double().T
    cosines[range(QUERIES), range(QUERIES)] = -torch.inf
    found = nearest(gallery(rows), queries, 5, without=[{str(n)} for n in range(QUERIES)])
    assert ids(found) == best(cosines, 5)
    alone = nearest(gallery(rows), queries[:1], 5, admitted={"0"}, without=[{"0"}])
    assert ids(alone) == [[]]


def mean_of_nearest(cosines: Tensor, k: int) -> Tensor:
    """Of rows [n, m]: [n]."""
    return cosines.topk(k, dim=1).values.mean(dim=1)


@pytest.mark.parametrize("neighbours", [1, 10, 50])
@pytest.mark.parametrize("step", [1, 4])
def test_csls_is_what_the_paper_says(neighbours: int, step: int) -> None:
    """CSLS(q, x) = 2 cos(q, x) - r(q) - r(x), over all pairs at once; the index shows a few of them at a time."""
    rows, bank, queries = drawn(ITEMS, 0), drawn(200, 2), drawn(QUERIES, 1)
    images = gallery(rows)
    admitted = None if step == 1 else {str(n) for n in range(0, ITEMS, step)}
    cosines = queries.double() @ rows.double().T
    of_items = mean_of_nearest(rows.double() @ bank.double().T, neighbours)
    csls = 2 * cosines - mean_of_nearest(cosines, neighbours)[:, None] - of_items
    hubs = hubness(images, gallery(bank, "text"), neighbours)
    assert_same([hubs.means[str(n)] for n in range(ITEMS)], of_items, terms=DIM, scale=1, dtype=torch.float32)
    found = nearest(images, queries, 8, hubs=hubs, admitted=admitted)
    wanted = csls.clone()
    wanted[:, [n for n in range(ITEMS) if admitted is not None and str(n) not in admitted]] = -torch.inf
    assert ids(found) == best(wanted, 8)
    assert ids(found) != best(cosines, 8), "the correction must change something, or nothing is tested"
    for row, hits in enumerate(found):
        expected = csls[row, [int(hit.id) for hit in hits]]
        assert_same([hit.csls for hit in hits], expected, terms=4 * DIM, scale=4, dtype=torch.float32)
        assert_same([hit.cosine for hit in hits], cosines[row, [int(hit.id) for hit in hits]], dtype=torch.float32)


@pytest.mark.parametrize("least", [-1.0, 0.7, 0.95, 1.1])
def test_csls_ranks_all_that_are_likely_enough(least: float) -> None:
    rows, bank, queries = drawn(ITEMS, 0), drawn(200, 2), drawn(QUERIES, 1)
    images = gallery(rows)
    hubs = hubness(images, gallery(bank, "text"), 3)
    cosines = queries.double() @ rows.double().T
    own = cosines.topk(3, dim=1).values.mean(dim=1, keepdim=True)
    csls = 2 * cosines - own - torch.tensor([hubs.means[str(n)] for n in range(ITEMS)])
    found = nearest(images, queries, 10, hubs=hubs, likely=lambda hits: [hit.cosine >= least for hit in hits])
    for row, hits in enumerate(ids(found)):
        ranked = csls[row].argsort(descending=True).tolist()
        assert hits == [str(n) for n in ranked if cosines[row, n] >= least][:10]


def test_an_item_is_not_its_own_neighbour() -> None:
    rows = drawn(40, 3)
    images = gallery(rows)
    cosines = rows.double() @ rows.double().T
    cosines.fill_diagonal_(-torch.inf)
    found = hubness(images, images, 5).means
    assert_same([found[str(n)] for n in range(40)], mean_of_nearest(cosines, 5), terms=DIM, dtype=torch.float32)
    assert hubness(gallery(rows[:1]), gallery(rows[:1]), 5).means.keys() == {"0"}


@pytest.mark.parametrize("alpha", [0.0, 1.0, ALPHA])
def test_an_expanded_query_is_the_weighted_sum_of_it_and_its_neighbours(alpha: float) -> None:
    rows, queries = drawn(ITEMS, 0), 3 * drawn(QUERIES, 1)
    unit = F.normalize(queries.double(), dim=1)
    cosines, near = (unit @ rows.double().T).topk(5, dim=1)
    expected = F.normalize(unit + torch.einsum("qk,qkd->qd", cosines**alpha, rows.double()[near]), dim=1)
    images = gallery(rows)
    found = expanded(images, queries, nearest(images, queries, 5), alpha)
    assert_same(found, expected, terms=6 * DIM, scale=1, dtype=torch.float32)


def test_a_neighbour_that_lies_behind_the_query_has_no_weight() -> None:
    rows = torch.eye(DIM)[:2] * torch.tensor([[1.0], [-1.0]])
    images = gallery(rows)
    query = torch.eye(DIM)[1:2]
    assert_same(expanded(images, query, nearest(images, query, 2)), query.double())
