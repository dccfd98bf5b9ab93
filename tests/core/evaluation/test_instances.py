"""Retrieval by instance: against all orders of what ties, by hand, and in the simple case against the definition."""

from __future__ import annotations

import statistics
from itertools import permutations, product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dckt_core.base.errors import DataError
from dckt_core.contract.protocols import Representation
from dckt_core.evaluation import cosines
from dckt_core.evaluation.figures import FIGURES
from dckt_core.evaluation.instances import Instances, Standings, by_instance, mrr_gain, reciprocal_ranks, summarise
from tests.support.tolerance import SMALL, approx

DIRECTIONS = ("image_to_text", "text_to_image")


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def each(count: int) -> Tensor:
    return torch.arange(count)


def standings(*rows: tuple[int, int, int]) -> Standings:
    return Standings(*torch.tensor(rows).T)


# --- one query ------------------------------------------------------------------------------------------------


@pytest.mark.numerics
@given(ahead=st.integers(0, 4), tied=st.integers(1, 6), data=st.data())
@settings(max_examples=60, deadline=None)
def test_figures_are_means_over_all_orders(ahead: int, tied: int, data: st.DataObject) -> None:
    partners = data.draw(st.integers(1, tied))
    ranks = [ahead + 1 + order.index(1) for order in set(permutations([1] * partners + [0] * (tied - partners)))]
    found = standings((ahead, tied, partners))
    for k in range(1, ahead + tied + 2):
        share = sum(rank <= k for rank in ranks) / len(ranks)
        assert float(found.found_by(k)) == approx(share, terms=SMALL)
    assert float(found.rank()) == approx(statistics.mean(ranks), terms=SMALL)
    assert float(found.reciprocal_rank()) == approx(statistics.mean(1 / rank for rank in ranks), terms=SMALL)


def test_many_queries_at_once_are_each_their_own() -> None:
    rows = [(0, 1, 1), (3, 5, 1), (3, 5, 2), (0, 40, 7), (3, 5, 2), (9, 1, 1), (2, 6, 6)]
    together = standings(*rows)
    for number, row in enumerate(rows):
        for name in ("rank", "reciprocal_rank"):
            assert float(getattr(together, name)()[number]) == pytest.approx(float(getattr(standings(row), name)()))
        assert float(together.found_by(5)[number]) == pytest.approx(float(standings(row).found_by(5)))
    assert together.reciprocal_rank()[[0, 5, 6]].tolist() == pytest.approx([1, 1 / 10, 1 / 3])


@pytest.mark.numerics
def test_a_large_tie_keeps_its_precision() -> None:
    """Of a hundred thousand items with one partner: rank (n+1)/2 and H_n / n."""
    n = 100_000
    found = standings((0, n, 1), (0, n, 5))
    assert found.rank().tolist() == [(n + 1) / 2, (n + 1) / 6]
    harmonic = float((1 / torch.arange(1, n + 1, dtype=torch.float64)).sum())
    assert float(found.reciprocal_rank()[0]) == approx(harmonic / n, terms=SMALL)
    assert float(found.found_by(10)[0]) == approx(10 / n, terms=SMALL)
    exact = 1.0
    for place in range(10):
        exact *= (n - 5 - place) / (n - place)
    assert float(found.found_by(10)[1]) == pytest.approx(1 - exact, rel=1e-5)


# --- a gallery ------------------------------------------------------------------------------------------------


def oracle(view: Representation, pictures: list[int], texts: list[int], direction: str) -> list[dict[str, float]]:
    """Each query's expected figures by the definition, from every order of items whose cosines are equal."""
    numbers = {"image": pictures, "text": texts}
    rows = {"image": view.image.double(), "text": view.text.double()}
    asked, other = direction.split("_to_")
    told = []
    for query in sorted(set(numbers[asked])):
        own = {b for a, b in zip(numbers[asked], numbers[other], strict=True) if a == query}
        vector = rows[asked][numbers[asked].index(query)]
        cosine = {
            item: round(float(torch.cosine_similarity(vector, rows[other][numbers[other].index(item)], dim=0)), 12)
            for item in sorted(set(numbers[other]))
        }
        levels = [[item for item in cosine if cosine[item] == level] for level in sorted(set(cosine.values()))[::-1]]
        ranks = [
            1 + next(place for place, item in enumerate(sum(order, ())) if item in own)
            for order in product(*(list(permutations(level)) for level in levels))
        ]
        figures = {f"recall_at_{k}": statistics.mean(rank <= k for rank in ranks) for k in (1, 5, 10)}
        told.append(figures | {"mrr": statistics.mean(1 / rank for rank in ranks), "rank": statistics.mean(ranks)})
    return told


@st.composite
def pairs(draw: Any) -> tuple[Representation, list[int], list[int]]:
    """Few pairs of pictures and texts that come back, with representations on few rays, so that many tie."""
    count = draw(st.integers(1, 7))
    numbers = st.lists(st.integers(0, 4), min_size=count, max_size=count)
    pictures, texts = draw(numbers), draw(numbers)
    angles = {"image": draw(st.lists(st.integers(0, 3), min_size=5, max_size=5)),
              "text": draw(st.lists(st.integers(0, 3), min_size=5, max_size=5))}  # fmt: skip

    def rows(medium: str, shown: list[int]) -> Tensor:
        of_items = torch.tensor(angles[medium])[torch.tensor(shown)] * 0.7
        return torch.stack([of_items.cos(), of_items.sin()], dim=1)

    return Representation(rows("image", pictures), rows("text", texts)), pictures, texts


@pytest.mark.numerics
@given(problem=pairs())
@settings(max_examples=80, deadline=None)
def test_equals_the_definition(problem: tuple[Representation, list[int], list[int]]) -> None:
    view, pictures, texts = problem
    found = by_instance(view, torch.tensor(pictures), torch.tensor(texts))
    for direction in DIRECTIONS:
        expected = oracle(view, pictures, texts, direction)
        told = found[direction].standings
        for k in (1, 5, 10):
            assert told.found_by(k).tolist() == approx([row[f"recall_at_{k}"] for row in expected], terms=SMALL)
        assert told.reciprocal_rank().tolist() == approx([row["mrr"] for row in expected], terms=SMALL)
        assert told.rank().tolist() == approx([row["rank"] for row in expected], terms=SMALL)
        shown = pictures if direction == "image_to_text" else texts
        assert found[direction].query.tolist() == [sorted(set(shown)).index(number) for number in shown]


def test_without_ties_and_with_one_partner_each_it_is_the_rank_of_the_diagonal() -> None:
    view = Representation(torch.randn(60, 8, generator=drawn(1)), torch.randn(60, 8, generator=drawn(2)))
    found = by_instance(view, each(60), each(60))
    cosine = torch.nn.functional.normalize(view.image.double()) @ torch.nn.functional.normalize(view.text.double()).T
    for direction, matrix in zip(DIRECTIONS, (cosine, cosine.T), strict=True):
        ranks = 1 + (matrix > matrix.diagonal()[:, None]).sum(dim=1)
        assert found[direction].standings.rank().tolist() == ranks.tolist()
        row = summarise(found, drawn())[direction].figures
        for k in (1, 5, 10):
            assert row[f"recall_at_{k}"].value == pytest.approx(float((ranks <= k).double().mean()))
        assert row["median_rank"].value == statistics.median(ranks.tolist())
        assert row["mrr"].value == pytest.approx(float((1 / ranks).mean()))


def test_five_captions_a_picture_by_hand() -> None:
    """Two pictures with two texts each: the better text counts, and texts look for two pictures, not for four."""
    image = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    text = torch.tensor([[1.0, 0.1], [-1.0, 0.0], [0.9, 0.2], [0.3, 1.0]])
    found = by_instance(Representation(image, text), torch.tensor([0, 0, 1, 1]), each(4))
    assert found["image_to_text"].standings.rank().tolist() == [1, 1]
    assert found["text_to_image"].standings.rank().tolist() == [1, 2, 2, 1]
    assert (found["image_to_text"].gallery, found["text_to_image"].gallery) == (4, 2)
    table = summarise(found, drawn())
    assert [table[name].queries for name in (*DIRECTIONS, "mean")] == [2, 4, 6]
    assert table["text_to_image"].figures["recall_at_1"].value == 0.5
    assert table["text_to_image"].figures["median_rank"].value == 1.5
    assert table["mean"].figures["recall_at_1"].value == 0.75
    assert table["mean"].figures["mrr"].value == pytest.approx((1 + 0.75) / 2)


@pytest.mark.numerics
@pytest.mark.parametrize("captions", [1, 5])
def test_a_constant_representation_scores_chance_in_every_figure(captions: int) -> None:
    count = 40 * captions
    same = torch.full((count, 3), 0.5)
    found = by_instance(Representation(same, same), each(count) // captions, each(count))
    for row in summarise(found, drawn()).values():
        for figure in row.figures.values():
            assert figure.value == approx(figure.chance, terms=SMALL)
    if captions == 1:
        figures = summarise(found, drawn())["mean"].figures
        assert figures["recall_at_5"].chance == pytest.approx(5 / 40)
        assert figures["median_rank"].chance == 20.5


@pytest.mark.parametrize("captions", [1, 5])
def test_random_representations_score_what_chance_says(captions: int) -> None:
    count = 12 * captions
    differences: dict[str, list[float]] = {name: [] for name in ("found_by", "rank", "reciprocal_rank")}
    for seed in range(150):
        generator = drawn(seed)
        image = torch.randn(12, 30, generator=generator).repeat_interleave(captions, dim=0)
        view = Representation(image, torch.randn(count, 30, generator=generator))
        found = by_instance(view, each(count) // captions, each(count))["image_to_text"]
        for name, values in differences.items():
            how = (5,) if name == "found_by" else ()
            seen, chance = (getattr(one, name)(*how).mean() for one in (found.standings, found.chance))
            values.append(float(seen - chance))
    for name, values in differences.items():
        seen = torch.tensor(values)
        assert abs(float(seen.mean())) < 4 * float(seen.std()) / len(values) ** 0.5, name


def noisy(captions: int, noise: float = 1.0, pictures: int = 30) -> tuple[Representation, Tensor, Tensor]:
    generator = drawn(7)
    image = torch.randn(pictures, 6, generator=generator).repeat_interleave(captions, dim=0)
    text = image + noise * torch.randn(len(image), 6, generator=generator)
    return Representation(image, text), each(len(image)) // captions, each(len(image))


def test_chunks_and_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    view, pictures, texts = noisy(3)
    view.text[10:40] = view.text[3]
    before = torch.get_num_threads()

    def told() -> list[list[int]]:
        found = by_instance(view, pictures, texts)
        return [
            column.tolist()
            for name in DIRECTIONS
            for column in (found[name].standings.ahead, found[name].standings.tied, found[name].standings.partners)
        ]

    whole = told()
    try:
        for entries, threads in ((1, 1), (130, 1), (200, 2)):
            monkeypatch.setattr(cosines, "CHUNK_ENTRIES", entries)
            torch.set_num_threads(threads)
            assert told() == whole
    finally:
        torch.set_num_threads(before)


def test_the_order_of_the_pairs_is_of_no_account() -> None:
    view, pictures, texts = noisy(2)
    order = torch.randperm(60, generator=drawn(3))
    shuffled = Representation(view.image[order], view.text[order])
    first, second = (
        summarise(found, drawn())["mean"].figures
        for found in (by_instance(view, pictures, texts), by_instance(shuffled, pictures[order], texts[order]))
    )
    assert {name: one.value for name, one in first.items()} == pytest.approx(
        {name: one.value for name, one in second.items()}
    )


def test_copies_of_a_pair_change_nothing() -> None:
    view, pictures, texts = noisy(1)
    twice = Representation(view.image.repeat(2, 1), view.text.repeat(2, 1))
    once, again = by_instance(view, pictures, texts), by_instance(twice, pictures.repeat(2), texts.repeat(2))
    assert summarise(once, drawn()) == summarise(again, drawn())


# --- intervals ------------------------------------------------------------------------------------------------


def test_intervals_hold_their_figure_and_follow_the_seed_alone() -> None:
    found = by_instance(*noisy(2))
    for row in summarise(found, drawn()).values():
        for figure in row.figures.values():
            assert figure.interval[0] <= figure.value <= figure.interval[1]
    assert summarise(found, drawn(1)) == summarise(found, drawn(1))
    assert summarise(found, drawn(1)) != summarise(found, drawn(2))


def test_captions_of_a_picture_are_resampled_together() -> None:
    """Five copies of each text are no more certain than one."""
    view, pictures, _ = noisy(1, pictures=60)
    five = Representation(view.image.repeat_interleave(5, dim=0), view.text.repeat_interleave(5, dim=0))
    one = summarise(by_instance(view, pictures, pictures), drawn())["text_to_image"].figures["mrr"]
    many = summarise(by_instance(five, pictures.repeat_interleave(5), each(300)), drawn())
    assert many["text_to_image"].figures["mrr"].interval == pytest.approx(one.interval)


def test_of_one_picture_there_is_no_interval() -> None:
    view = Representation(torch.ones(3, 4), torch.randn(3, 4, generator=drawn(1)))
    found = by_instance(view, torch.zeros(3).long(), each(3))
    for row in summarise(found, drawn()).values():
        assert {figure.interval for figure in row.figures.values()} == {None}
        assert row.estimates()["mrr"]["interval"] is None
    assert mrr_gain(found, found, drawn()) == (0.0, None)


def test_a_text_of_several_pictures_counts_once() -> None:
    view = Representation(torch.randn(6, 4, generator=drawn(1)), torch.ones(6, 4))
    found: Instances = by_instance(view, each(6), torch.zeros(6).long())["text_to_image"]
    assert found.standings.rank().tolist() == [1]
    assert found.by_picture(torch.tensor([3.0]).double()).tolist() == pytest.approx([0.5] * 6)


def test_the_interval_of_the_median_covers_it_as_often_as_it_says() -> None:
    """Of queries whose ranks are drawn: every one of 1 to 60 is as likely, and the median is 30.5."""
    generator, covered, trials = drawn(0), 0, 100
    for _ in range(trials):
        ahead = torch.randint(60, (80,), generator=generator)
        one = Standings(ahead, torch.ones_like(ahead), torch.ones_like(ahead))
        found = Instances(one, one, 60, each(80), (each(80), each(80)))
        low, high = (
            summarise(dict.fromkeys(DIRECTIONS, found), generator)["image_to_text"].figures["median_rank"].interval
        )
        covered += low <= 30.5 <= high
    assert covered / trials >= 0.88


def test_a_gain_is_paired() -> None:
    view, pictures, texts = noisy(1, noise=1.0)
    better = Representation(view.image, view.image + 0.7 * (view.text - view.image))
    before, after = by_instance(view, pictures, texts), by_instance(better, pictures, texts)
    value, (low, high) = mrr_gain(after, before, drawn())
    one, other = (summarise(found, drawn())["mean"].figures["mrr"] for found in (after, before))
    assert value == pytest.approx(one.value - other.value)
    assert low < value < high
    assert high - low < (one.interval[1] - one.interval[0]) + (other.interval[1] - other.interval[0])
    assert mrr_gain(before, before, drawn()) == (0.0, (0.0, 0.0))


def test_the_mrr_of_pairs_row_by_row() -> None:
    rows = torch.eye(4)
    assert reciprocal_ranks(rows, rows).tolist() == [1, 1, 1, 1]
    turned = reciprocal_ranks(rows, rows.roll(1, dims=0))
    assert float(turned.mean()) == pytest.approx((1 / 2 + 1 / 3 + 1 / 4) / 3)
    lucky = reciprocal_ranks(rows, rows[[0, 1, 3, 2]])
    assert lucky[:2].tolist() == [1, 1]
    assert lucky[2:].max() < 1
    constant = torch.ones(4, 3)
    assert reciprocal_ranks(constant, constant).tolist() == pytest.approx(4 * [(1 + 1 / 2 + 1 / 3 + 1 / 4) / 4])
    view, pictures, texts = noisy(1, noise=1.0)
    found = summarise(by_instance(view, pictures, texts), drawn())["mean"].figures["mrr"]
    assert float(reciprocal_ranks(view.image, view.text).mean()) == pytest.approx(found.value)


# --- the edges ------------------------------------------------------------------------------------------------


def test_rows_without_a_value_score_chance() -> None:
    ranks = reciprocal_ranks(torch.zeros(3, 0), torch.zeros(3, 0))
    assert ranks.tolist() == pytest.approx(3 * [(1 + 1 / 2 + 1 / 3) / 3])


def test_one_pair() -> None:
    found = summarise(by_instance(Representation(torch.ones(1, 2), torch.ones(1, 2)), each(1), each(1)), drawn())
    assert {name: figure.value for name, figure in found["mean"].figures.items()} == dict.fromkeys(FIGURES, 1.0)


def test_what_cannot_be_ranked_is_refused() -> None:
    rows = torch.ones(2, 3)
    with pytest.raises(DataError, match="1 of 2 gallery rows hold numbers that are not finite"):
        by_instance(Representation(rows, torch.tensor([[1.0, 2.0, 3.0], [float("nan"), 0.0, 0.0]])), each(2), each(2))
    with pytest.raises(ValueError, match=r"numbers of texts \[3\] must be one for each of 2 rows"):
        by_instance(Representation(rows, rows), each(2), each(3))
    with pytest.raises(ValueError, match="no pairs"):
        by_instance(Representation(torch.empty(0, 3), torch.empty(0, 3)), each(0), each(0))
