"""Labels that were changed on purpose are found, and few others."""

from __future__ import annotations

import numpy as np
import pytest

from dckt_core.base.errors import DataError
from dckt_core.data.audit import audit, confident

CLASSES = ("cat", "cow", "dog")


def made(seed: int, flipped: float = 0.1, each: int = 80, apart: float = 3.0):
    """Rows of three classes in two media, labels of which a share is wrong, and which ones."""
    draw = np.random.default_rng(seed)
    true = np.repeat(np.arange(3), each)
    media = [draw.normal(size=(len(true), 8)) + apart * np.eye(3, 8)[true] * 2**0.5 for _ in range(2)]
    wrong = draw.random(len(true)) < flipped
    said = np.where(wrong, (true + draw.integers(1, 3, len(true))) % 3, true)
    return media, [CLASSES[number] for number in said], true, wrong


@pytest.mark.parametrize("seed", range(3))
def test_labels_that_were_flipped_are_found(seed):
    media, labels, true, wrong = made(seed)
    found = audit(media, labels, range(len(labels)))
    rows = [suspect.row for suspect in found.suspects]
    right = wrong[rows].sum()
    assert right / len(rows) >= 0.95, "precision"
    assert right / wrong.sum() >= 0.6, "recall"
    assert wrong[rows[: wrong.sum() // 2]].all(), "the most suspect first"
    named = [suspect.likely == CLASSES[true[suspect.row]] for suspect in found.suspects if wrong[suspect.row]]
    assert np.mean(named) >= 0.9, "and what they are"
    assert [suspect.margin for suspect in found.suspects] == sorted(suspect.margin for suspect in found.suspects)


def test_of_good_labels_few_are_suspects():
    media, labels, _, _ = made(0, flipped=0.0)
    found = audit(media, labels, range(len(labels)))
    assert len(found.suspects) <= 0.03 * found.items
    assert found.accuracy > 0.95


def test_the_same_seed_gives_the_same_suspects():
    media, labels, _, _ = made(1)
    assert audit(media, labels, range(240), seed=3) == audit(media, labels, range(240), seed=3)


def test_a_copy_does_not_vouch_for_its_label():
    media, labels, _, _ = made(0, flipped=0.0)
    rows = np.concatenate([media[0], media[0][:1]])  # one item twice, both with the same wrong label
    said = ["dog", *labels[1:], "dog"]
    groups = [*range(240), 0]
    assert {0, 240} <= {suspect.row for suspect in audit([rows], said, groups).suspects}


def test_classes_of_few_items_are_left_out_and_told():
    media, labels, _, _ = made(0, flipped=0.0)
    labels[0] = labels[1] = "bee"
    found = audit(media, labels, range(240))
    assert (dict(found.left_out), found.items, found.classes) == ({"bee": 2}, 238, CLASSES)
    with pytest.raises(DataError, match="needs 2 classes of 5 items"):
        audit(media, ["x"] * 236 + ["y"] * 4, range(240))


def test_a_class_of_one_picture_with_many_captions_is_left_out():
    """It would be in one fold alone: all its items suspects, and whoever is of no class confidently of it."""
    media, labels, _, _ = made(0, flipped=0.0)
    rows = np.concatenate([media[0], np.full((5, 8), -5.0)])
    found = audit([rows], [*labels, *["bee"] * 5], [*range(240), *[240] * 5])
    assert (dict(found.left_out), found.items) == ({"bee": 5}, 240)
    assert len(found.suspects) <= 0.03 * found.items


def test_the_rule_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.4, 0.6], [0.55, 0.45]])
    labels = np.array([0, 0, 0, 1, 1])
    # Thresholds: (0.9 + 0.7 + 0.2) / 3 = 0.6 and (0.6 + 0.45) / 2 = 0.525.
    assert confident(probabilities, labels).tolist() == [0, 0, 1, 1, -1]
