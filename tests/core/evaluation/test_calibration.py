from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from dckt_core.base.errors import DataError
from dckt_core.contract.protocols import Representation
from dckt_core.data.contents import Contents
from dckt_core.evaluation import calibration
from dckt_core.evaluation.calibration import FORMAT, Calibration, calibration_error, learn
from dckt_core.io.json import read_record, write_json


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def distinct(count: int) -> Contents:
    return Contents(torch.arange(count), torch.arange(count))


def clouds(count: int, classes: int, seed: int, noise: float = 1.0) -> tuple[Representation, torch.Tensor]:
    """Pairs around the centre of their class, image and text with noise of their own."""
    generator = draws(seed)
    labels = torch.arange(count) % classes
    centres = torch.eye(classes, 8)
    image, text = (centres[labels] + noise * torch.randn(count, 8, generator=generator) / 3 for _ in range(2))
    return Representation(image, text), labels


def test_what_was_learnt_holds_on_other_pairs() -> None:
    """The share of relevant items among those of about one probability is that probability."""
    learnt = learn(*clouds(300, 4, seed=1), distinct(300), draws())
    assert learnt is not None and learnt.by == "class" and learnt.chance == 0.25 and learnt.items == 300
    view, labels = clouds(300, 4, seed=2)
    cosines = torch.nn.functional.normalize(view.image.double()) @ torch.nn.functional.normalize(view.text.double()).T
    sure, same = learnt.probability(cosines, 300), labels[:, None] == labels[None]
    for low in (0.1, 0.3, 0.5, 0.7, 0.9):
        some = (sure - low).abs() < 0.1
        # Pairs share items, so the items are counted, not the pairs: 300 draws have this much of an error, fourfold.
        assert abs(float(same[some].double().mean()) - float(sure[some].mean())) < 4 * math.sqrt(0.25 / 300)
    assert learnt.probability(torch.tensor([-1.0, 1.0]), 300).tolist() == sorted(
        learnt.probability(cosines, 300).aminmax()
    )
    error = calibration_error(learnt, view, labels, distinct(300))
    assert error is not None and error < 0.15


def test_a_gallery_ten_times_as_large_has_ten_times_smaller_odds_of_a_partner() -> None:
    view, labels = clouds(40, 8, seed=3, noise=0.4)
    learnt = learn(view, torch.full_like(labels, -1), distinct(40), draws())
    assert learnt is not None and learnt.by == "partner" and learnt.items == 40
    assert learnt.chance == pytest.approx(1 / 40)
    assert learnt.by_chance(40) == pytest.approx(1 / 40)
    assert learnt.by_chance(391) == pytest.approx(1 / 391)
    here, there = learnt.probability(torch.tensor([0.9]), 40), learnt.probability(torch.tensor([0.9]), 391)
    assert float(there / (1 - there)) == pytest.approx(float(here / (1 - here)) / 10)
    by_class = learn(view, labels, distinct(40), draws())
    assert by_class is not None
    assert torch.equal(by_class.probability(torch.tensor([0.9]), 40), by_class.probability(torch.tensor([0.9]), 391))


def test_a_picture_with_five_texts_is_one_picture() -> None:
    image = torch.eye(3)[[0, 0, 0, 1, 2]]
    view = Representation(image, image)
    contents = Contents(torch.tensor([0, 0, 0, 1, 2]), torch.tensor([0, 1, 2, 3, 3]))
    learnt = learn(view, torch.full((5,), -1), contents, draws())
    assert learnt is not None
    assert learnt.items == 3, "pictures; texts are four"
    assert learnt.chance == 5 / 12


def test_nothing_is_certain() -> None:
    view = Representation(torch.eye(4), torch.eye(4))
    learnt = learn(view, torch.arange(4), distinct(4), draws())
    assert learnt is not None
    assert learnt.probability(torch.tensor([0.0, 1.0]), 4).tolist() == pytest.approx([1 / 18, 5 / 6])


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 0, -1]])
def test_of_one_class_there_is_nothing_to_learn(labels: list[int]) -> None:
    assert learn(Representation(torch.eye(3), torch.eye(3)), torch.tensor(labels), distinct(3), draws()) is None


def test_one_pair_alone_teaches_nothing() -> None:
    assert learn(Representation(torch.eye(1), torch.eye(1)), torch.tensor([-1]), distinct(1), draws()) is None


def test_one_picture_with_many_texts_teaches_nothing() -> None:
    view = Representation(torch.eye(3)[[0, 0, 0]], torch.eye(3))
    contents = Contents(torch.zeros(3, dtype=torch.int64), torch.arange(3))
    assert learn(view, torch.tensor([0, 1, 1]), contents, draws()) is None


def test_no_more_is_compared_than_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "AT_MOST", 20)
    view, labels = clouds(300, 4, seed=4)
    one, same, other = (learn(view, labels, distinct(300), draws(seed)) for seed in (1, 1, 2))
    assert one is not None and one.items == 20
    assert one == same != other


def test_the_error_is_the_mean_gap_of_the_first_hits() -> None:
    """Two images and two texts, all shown: half of the items are relevant, and 0.8 is said of each."""
    view = Representation(torch.eye(2), torch.eye(2))
    flat = Calibration("class", (0.0,), (0.8,), items=2, chance=0.5)
    assert calibration_error(flat, view, torch.arange(2), distinct(2)) == pytest.approx(0.3)
    steep = Calibration("class", (0.0, 1.0), (0.1, 0.9), items=2, chance=0.5)
    assert calibration_error(steep, view, torch.arange(2), distinct(2)) == pytest.approx(0.1)
    assert calibration_error(steep, view, torch.tensor([-1, -1]), distinct(2)) is None


def test_it_can_be_kept(tmp_path: Path) -> None:
    learnt = learn(*clouds(60, 3, seed=5), distinct(60), draws())
    assert learnt is not None
    write_json(tmp_path / "c.json", asdict(learnt))
    assert read_record(tmp_path / "c.json", "a calibration", Calibration, format=FORMAT) == learnt
    for spoilt in (
        {"probabilities": []},
        {"cosines": learnt.cosines[::-1]},
        {"probabilities": learnt.probabilities[::-1]},
        {"chance": 1.0},
    ):
        write_json(tmp_path / "c.json", asdict(learnt) | spoilt)
        with pytest.raises(DataError, match=r"c\.json: not a calibration"):
            read_record(tmp_path / "c.json", "a calibration", Calibration, format=FORMAT)
