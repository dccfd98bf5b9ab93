from __future__ import annotations

from pathlib import Path

import torch

from dckt_apps.report.queries import example_queries
from dckt_core.contract.pairs import Pair


def pairs(labels: str) -> list[Pair]:
    return [Pair(f"p{n}", Path(f"{n}.png"), f"text {n}", label, "test") for n, label in enumerate(labels)]


def classes(labels: str) -> dict[str, torch.Tensor]:
    """Pairs of one class are relevant to one another; each is its own partner alone."""
    return {"relevant": torch.tensor([ord(label) for label in labels]), "partners": torch.arange(len(labels))}


def test_queries_reach_from_the_best_to_the_worst() -> None:
    data = pairs("aabbaabbab")
    rows = torch.arange(10)
    aps = torch.tensor([0.3, 0.9, 0.1, 0.5, 0.7, 0.2, 0.8, 0.4, 0.6, 0.0])
    found = example_queries("text", data, rows, aps, rows[:, None], count=4, **classes("aabbaabbab"))
    assert [query.place for query in found] == [1, 4, 7, 10]
    assert [query.ap for query in found] == [aps.sort(descending=True).values[place].item() for place in (0, 3, 6, 9)]
    assert found[0].item.text == "text 1"
    assert found[-1].item.id == "p9"


def test_hits_have_the_query_s_class_and_the_partner_is_named() -> None:
    data = pairs("aab")
    top = torch.tensor([[2, 0, 1]])
    (query,) = example_queries("text", data, torch.tensor([1]), torch.tensor([0.5]), top, **classes("aab"))
    assert query.item.id == "p1"
    assert [(it.rank, it.item.id, it.hit, it.own) for it in query.results] == [
        (1, "p2", False, False),
        (2, "p0", True, False),
        (3, "p1", True, True),
    ]
    assert all(it.item.picture is not None and "no such file" in it.item.picture.missing for it in query.results)


def test_fewer_queries_than_wanted() -> None:
    data = pairs("ab")
    aps, top = torch.tensor([0.5, 0.5]), torch.zeros(2, 1).long()
    found = example_queries("text", data, torch.arange(2), aps, top, count=6, **classes("ab"))
    assert [query.item.id for query in found] == ["p0", "p1"]


def test_without_labels_the_captions_of_one_picture_are_its_hits() -> None:
    data = [Pair(f"p{n}", Path(f"{n // 2}.png"), f"text {n}", None, "test") for n in range(4)]
    pictures = torch.tensor([0, 0, 1, 1])
    rows, top = torch.tensor([1]), torch.tensor([[2, 0, 1, 3]])
    (query,) = example_queries("image", data, rows, torch.tensor([0.6]), top, relevant=pictures, partners=pictures)
    assert [(it.item.id, it.hit, it.own) for it in query.results] == [
        ("p2", False, False),
        ("p0", True, True),
        ("p1", True, True),
        ("p3", False, False),
    ]
    assert query.item.label == ""
