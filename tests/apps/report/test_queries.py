from __future__ import annotations

from pathlib import Path

import torch

from dckt_apps.report.queries import FEWER, Answered, example_queries
from dckt_core.contract.pairs import Pair


def pairs(labels: str) -> list[Pair]:
    return [Pair(f"p{n}", Path(f"{n}.png"), f"text {n}", label, "test") for n, label in enumerate(labels)]


def classes(labels: str) -> dict[str, torch.Tensor]:
    """Pairs of one class are relevant to one another; each is its own partner alone."""
    return {"relevant": torch.tensor([ord(label) for label in labels]), "partners": torch.arange(len(labels))}


def test_the_best_the_median_and_the_worst() -> None:
    data, rows = pairs("aabbaabbab"), torch.arange(10)
    aps = torch.tensor([0.3, 0.9, 0.1, 0.5, 0.7, 0.2, 0.8, 0.4, 0.6, 0.0])
    found = example_queries("text", data, rows, Answered(aps, rows[:, None]), None, **classes("aabbaabbab"))
    assert [(query.why, query.place, query.item.id) for query in found] == [
        ("the best", 1, "p1"),
        ("the median", 5, "p3"),
        ("the worst", 10, "p9"),
    ]
    assert [query.ap for query in found] == [aps[row].item() for row in (1, 3, 9)]
    assert all(query.others == [] and query.other_ap is None for query in found)


def test_what_the_other_representation_wins_and_loses() -> None:
    data, rows = pairs("aabbaabb"), torch.arange(8)
    aps = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])
    other = torch.tensor([0.9, 0.8, 0.1, 0.6, 0.5, 0.9, 0.3, 0.2])
    top, others = (torch.arange(8).roll(shift).repeat(8, 1) for shift in (0, 3))
    answered = Answered(aps, top[:, :5]), Answered(other, others[:, :5])
    found = example_queries("text", data, rows, *answered, **classes("aabbaabb"))
    assert [(query.why, query.item.id) for query in found] == [
        ("the best", "p0"),
        ("the median", "p3"),
        ("the worst", "p7"),
        ("wins most", "p2"),
        ("loses most", "p5"),
    ]
    wins = found[3]
    assert (wins.ap, wins.other_ap) == (aps[2].item(), other[2].item())
    assert [it.item.id for it in wins.others] == ["p5", "p6", "p7"] and len(wins.others) == FEWER
    assert [it.hit for it in wins.results] == [False, False, True, True, False]
    same = example_queries("text", data, rows, answered[0], answered[0], **classes("aabbaabb"))
    assert [query.why for query in same] == ["the best", "the median", "the worst"], "nothing is won and nothing lost"


def test_hits_have_the_query_s_class_and_the_partner_is_named() -> None:
    data = pairs("aab")
    asked = Answered(torch.tensor([0.5]), torch.tensor([[2, 0, 1]]))
    (query,) = example_queries("text", data, torch.tensor([1]), asked, None, **classes("aab"))
    assert query.item.id == "p1"
    assert [(it.rank, it.item.id, it.hit, it.own) for it in query.results] == [
        (1, "p2", False, False),
        (2, "p0", True, False),
        (3, "p1", True, True),
    ]
    assert all(it.item.picture is not None and "no such file" in it.item.picture.missing for it in query.results)


def test_fewer_queries_than_wanted() -> None:
    asked = Answered(torch.tensor([0.5, 0.5]), torch.zeros(2, 1).long())
    found = example_queries("text", pairs("ab"), torch.arange(2), asked, None, **classes("ab"))
    assert [(query.why, query.item.id) for query in found] == [("the best", "p0"), ("the worst", "p1")]


def test_without_labels_the_captions_of_one_picture_are_its_hits() -> None:
    data = [Pair(f"p{n}", Path(f"{n // 2}.png"), f"text {n}", None, "test") for n in range(4)]
    pictures = torch.tensor([0, 0, 1, 1])
    asked = Answered(torch.tensor([0.6]), torch.tensor([[2, 0, 1, 3]]))
    (query,) = example_queries("image", data, torch.tensor([1]), asked, None, relevant=pictures, partners=pictures)
    assert [(it.item.id, it.hit, it.own) for it in query.results] == [
        ("p2", False, False),
        ("p0", True, True),
        ("p1", True, True),
        ("p3", False, False),
    ]
    assert query.item.label == ""
