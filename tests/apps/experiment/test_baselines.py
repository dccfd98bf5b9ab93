"""Baselines on made-up features: what each learns from, that it learns, and what it says where there is nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dckt_apps.experiment.baselines import BASELINES, dscmr, find_baseline
from dckt_apps.experiment.baselines.cca import Whitened
from dckt_apps.experiment.baselines.fitting import Judge, Material
from dckt_apps.experiment.baselines.self_training import most_confident
from dckt_apps.experiment.baselines.semantic_matching import Classifier
from dckt_core.base.errors import NothingToLearnError
from dckt_core.contract.pairs import Pair
from dckt_core.contract.protocols import Known
from tests.support.tolerance import assert_same

CLASSES, IMAGE, TEXT, LATENT = 4, 12, 9, 5
CHANCE = 0.35
"""Above the expected mAP of random rankings of `TEST` pairs, which is .27."""

TEST = 60


class World:
    """Pairs that share a point near their class's, seen by two media. Names lie where the class's texts do."""

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(0)
        self.points = 2 * self.draw(CLASSES, LATENT)
        self.maps = {"image": self.draw(LATENT, IMAGE), "text": self.draw(LATENT, TEXT)}

    def draw(self, *size: int) -> Tensor:
        return torch.randn(*size, generator=self.generator)

    def pairs(self, count: int, spread: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
        labels = torch.arange(count) % CLASSES
        points = self.points[labels] + spread * self.draw(count, LATENT)
        images, texts = (points @ self.maps[medium] for medium in ("image", "text"))
        return images + 0.3 * self.draw(count, IMAGE), texts + 0.3 * self.draw(count, TEXT), labels


WORLD = World()
IMAGES, TEXTS, LABELS = WORLD.pairs(80)
SOURCE_PAIRS = WORLD.pairs(80)
VALIDATION, TESTS = WORLD.pairs(40), WORLD.pairs(TEST)
NAMES = WORLD.points @ WORLD.maps["text"]


def known(labelled: int = 80, pairs: int = 80, names: bool = True) -> Known:
    """The target's, of which the first so many pairs have a label."""
    labels = torch.where(torch.arange(80) < labelled, LABELS, -1)
    return Known(
        images=IMAGES,
        texts=TEXTS,
        pairs=pairs,
        image_labels=labels,
        text_labels=labels,
        classes=CLASSES,
        names=NAMES if names else NAMES[:0],
        name_labels=torch.arange(CLASSES if names else 0),
    )


def nothing(known: Known) -> Known:
    return Known(
        images=known.images[:0], texts=known.texts[:0], pairs=0, image_labels=known.image_labels[:0],
        text_labels=known.text_labels[:0], classes=known.classes, names=known.names, name_labels=known.name_labels,
    )  # fmt: skip


def judge(pairs: tuple[Tensor, Tensor, Tensor], labelled: bool = True) -> Judge:
    images, texts, labels = pairs
    some = [Pair(str(n), Path(f"{n}.png"), f"text {n}", None, "val") for n in range(len(labels))]
    return Judge(images, texts, labels if labelled else torch.full_like(labels, -1), some)


NO_JUDGE = judge(tuple(part[:0] for part in VALIDATION))  # type: ignore[arg-type]


def material(target: Known | None = None, **changes: Any) -> Material:
    images, texts, labels = SOURCE_PAIRS
    source = replace(known(), images=images, texts=texts, image_labels=labels, text_labels=labels)
    made = Material(
        target=target or known(), source=source, judge=judge(VALIDATION), generator=torch.Generator().manual_seed(0)
    )
    return replace(made, **changes)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dscmr, "EPOCHS", 20)
    monkeypatch.setattr(dscmr, "WIDTH", 32)
    monkeypatch.setattr(dscmr, "RATE", 1e-3)


def reached(name: str, given: Material) -> float:
    """mAP on the test pairs, of which nothing was seen before."""
    return judge(seen(TESTS, given.same_space))(find_baseline(name)(given).represent).mean


def placed(medium: str, rows: Tensor) -> Tensor:
    """Features as encoders that share a space would give them."""
    return rows @ torch.linalg.pinv(WORLD.maps[medium])


def seen(pairs: tuple[Tensor, Tensor, Tensor], same_space: bool) -> tuple[Tensor, Tensor, Tensor]:
    images, texts, labels = pairs
    return (placed("image", images), placed("text", texts), labels) if same_space else pairs


def in_one_space(known: Known) -> Known:
    return replace(
        known,
        images=placed("image", known.images),
        texts=placed("text", known.texts),
        names=placed("text", known.names),
    )


ENOUGH = {
    "zero-shot": material(in_one_space(nothing(known(0, names=False))), same_space=True),
    "zero-shot-names": material(in_one_space(nothing(known(0))), judge=judge(seen(VALIDATION, True)), same_space=True),
    "semantic-matching": material(known(8)),
    "self-training": material(known(8)),
    "nearest-class-mean": material(known(8)),
    "nearest-class-name": material(known(0)),
    "cca": material(known(0, names=False)),
    "cca-both": material(nothing(known(0, names=False))),
    "pls": material(known(0, names=False)),
    "dscmr": material(known(80)),
}
"""As little as each can do with."""


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("choice", ["labelled", "unlabelled", "none"])
def test_each_learns_from_what_it_needs_and_chooses_by_what_there_is(name: str, choice: str) -> None:
    pairs = seen(VALIDATION, ENOUGH[name].same_space)
    judges = {"labelled": judge(pairs), "unlabelled": judge(pairs, labelled=False), "none": NO_JUDGE}
    assert bool(judges[choice]) == (choice != "none")
    assert reached(name, replace(ENOUGH[name], judge=judges[choice])) > CHANCE + 0.1


@pytest.mark.parametrize("name", BASELINES)
def test_the_same_comes_out_again(name: str) -> None:
    ENOUGH[name].generator.manual_seed(1)
    first = find_baseline(name)(ENOUGH[name])
    ENOUGH[name].generator.manual_seed(1)
    again = find_baseline(name)(ENOUGH[name])
    assert first.choice == again.choice
    images, texts, _ = seen(TESTS, ENOUGH[name].same_space)
    assert first.represent(images, texts).image.equal(again.represent(images, texts).image)


LONE = replace(known(0, names=False), pairs=0)
"""Images and texts of which nobody knows which belong together."""


@pytest.mark.parametrize(
    ("name", "target", "said"),
    [
        ("semantic-matching", known(0), "it needs labelled images of two classes, and the target has 0"),
        ("semantic-matching", known(1), "it needs labelled images of two classes, and the target has 1"),
        ("nearest-class-mean", known(0), "it needs labelled images of two classes"),
        ("self-training", known(), "there are no unlabelled pairs, without which it is semantic matching"),
        ("self-training", known(0), "it needs labelled images of two classes"),
        ("nearest-class-name", known(names=False), "it needs names of two classes, and 0 have one"),
        ("cca", LONE, "it needs 2 training pairs of the target, and there are 0"),
        ("pls", LONE, "it needs 2 training pairs of the target, and there are 0"),
        ("dscmr", known(0), "it needs labelled pairs of two classes, and the target has 0"),
        ("dscmr", replace(known(), pairs=0), "it needs labelled pairs of two classes"),
        ("zero-shot", known(), "features of images and of texts do not lie in one space"),
        ("zero-shot-names", known(), "features of images and of texts do not lie in one space"),
    ],
)
def test_what_has_nothing_to_learn_from_says_so_in_a_line(name: str, target: Known, said: str) -> None:
    with pytest.raises(NothingToLearnError) as caught:
        find_baseline(name)(material(target))
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("name", ["cca-both", "nearest-class-name"])
def test_pairs_of_either_domain_are_enough(name: str) -> None:
    bare = nothing(known())
    assert reached(name, material(bare)) > CHANCE
    assert reached(name, material(source=bare)) > CHANCE
    with pytest.raises(NothingToLearnError, match="it needs 2 training pairs of either domain, and there are 0"):
        find_baseline(name)(material(bare, source=bare))


def test_zero_shot_classes_need_names() -> None:
    given = material(in_one_space(known(names=False)), same_space=True)
    with pytest.raises(NothingToLearnError, match="it needs names of two classes, and the target has those of 0"):
        find_baseline("zero-shot-names")(given)


def test_unlabelled_pairs_teach_what_few_labels_do_not() -> None:
    few = material(known(4))
    assert reached("self-training", few) > reached("semantic-matching", few) + 0.02


def test_items_alone_say_how_the_target_is_standardised() -> None:
    """Nobody knows a pair of a target whose features lie elsewhere."""
    moved = replace(LONE, images=LONE.images + 50.0, texts=LONE.texts - 50.0)
    images, texts, labels = TESTS
    elsewhere = judge((images + 50.0, texts - 50.0, labels))
    fit = find_baseline("cca-both")
    with_items = elsewhere(fit(material(moved, judge=NO_JUDGE)).represent).mean
    assert with_items > elsewhere(fit(material(nothing(moved), judge=NO_JUDGE)).represent).mean + 0.1


def test_labelled_items_alone_count() -> None:
    lone = replace(known(8), pairs=0)
    assert reached("semantic-matching", material(lone)) == reached("semantic-matching", material(known(8)))


def test_a_class_without_an_item_has_no_probability() -> None:
    known_ones = LABELS != 2
    found = Classifier(IMAGES[known_ones], LABELS[known_ones], CLASSES, 1.0)(TESTS[0])
    assert found[:, 2].abs().max() == 0
    assert_same(found.sum(dim=1), torch.ones(TEST), terms=CLASSES)


def test_components_that_are_rounding_are_left_out() -> None:
    repeated = torch.cat([IMAGES[:, :4], IMAGES[:, :4] @ torch.ones(4, 4)], dim=1)
    white = Whitened(repeated, 8)
    assert white.columns == 4
    assert_same(white.learnt.T.cov(correction=1), torch.eye(4), terms=len(repeated), dtype=torch.float32)


@given(count=st.integers(1, 60), share=st.floats(0.01, 1), seed=st.integers(0, 2**20))
def test_the_most_confident_of_each_class(count: int, share: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    confidence = torch.rand(count, generator=generator)
    pseudo = torch.randint(3, (count,), generator=generator)
    kept = most_confident(confidence, pseudo, share)
    assert kept.tolist() == sorted(set(kept.tolist()))
    for label in torch.unique(pseudo).tolist():
        of_class = (pseudo == label).nonzero().squeeze(1)
        inside = torch.isin(of_class, kept)
        assert int(inside.sum()) == max(1, round(share * len(of_class)))
        assert inside.all() or confidence[of_class[inside]].min() >= confidence[of_class[~inside]].max()
