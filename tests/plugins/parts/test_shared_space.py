"""Parts for encoders that share a space: what they learn, what they choose by, and when they step aside."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dckt_core import Known, PartContext, StepAsideError
from dckt_core.base.rng import generator_for
from dckt_core.contract.discovery import load_registry
from dckt_core.space.material import FittingMaterial
from dckt_core.testing import assert_part_ok
from dckt_plugins.parts.cache import ALPHAS, Cache, Scales
from tests.support import tiny
from tests.support.tolerance import assert_same

REGISTRY = load_registry(plugins=False)
CLASSES, DIM = 6, 24
GAP = 3 * torch.eye(2, DIM)
"""What sets the media apart."""


def domain(seed: int, per_class: int = 10, *, noise: float = 0.5, apart: bool = True) -> Known:
    """Points around their class's, seen by both media alike but for noise and, where they are `apart`, the gap."""
    generator = generator_for(seed, "domain")
    centres = 1.5 * torch.randn(CLASSES, DIM, generator=generator_for(0, "centres"))
    labels = torch.arange(CLASSES).repeat(per_class)
    points = centres[labels] + torch.randn(len(labels), DIM, generator=generator)

    def seen(gap: Tensor) -> Tensor:
        return points + noise * torch.randn(points.shape, generator=generator) + (gap if apart else 0)

    return Known(
        images=seen(GAP[0]),
        texts=seen(GAP[1]),
        pairs=len(labels),
        image_labels=labels,
        text_labels=labels.clone(),
        classes=CLASSES,
        names=centres + GAP[1] * apart,
        name_labels=torch.arange(CLASSES),
    )


def without(known: Known, *, items: bool = False, labels: bool = False, names: bool = False) -> Known:
    if items:
        none = torch.zeros(0, dtype=torch.int64)
        known = replace(known, images=known.images[:0], texts=known.texts[:0], pairs=0)
        known = replace(known, image_labels=none, text_labels=none)
    if labels:
        nobody = torch.full_like(known.image_labels, -1)
        known = replace(known, image_labels=nobody, text_labels=nobody)
    if names:
        known = replace(known, names=known.names[:0], name_labels=known.name_labels[:0])
    return known


def material(source: Known, target: Known) -> FittingMaterial:
    return FittingMaterial(
        seed=0,
        source=lambda: source,
        target=lambda: target,
        validation=lambda: pytest.fail("validation is for choices of the space"),
        probe=lambda medium: torch.zeros(1, DIM),
        sampler=tiny.Everything(),
    )


def fit(name: str, source: Known, target: Known, **options: Any) -> tuple[Any, list[str]]:
    """A part, and what it noted."""
    spec = REGISTRY.find("part", name).spec
    part, given = spec.build(spec.options(**options), PartContext(seed=0)), material(source, target).beginning(name)
    part.fit(given)
    return part, [text for _, text in given.notes]


@pytest.mark.parametrize("name", ["zero-shot", "cache"])
def test_the_authors_checks(name: str) -> None:
    assert_part_ok(REGISTRY.find("part", name).spec)


# --- zero-shot --------------------------------------------------------------------------------------------------


def found(part: Any, known: Known) -> float:
    """Share of the images whose nearest text is their own."""
    images, texts = part.rows("image", known.images, {}), part.rows("text", known.texts, {})
    return float(((images @ texts.T).argmax(dim=1) == torch.arange(len(images))).float().mean())


def test_rows_are_the_features_less_the_middle_of_their_medium() -> None:
    source, target = domain(1), domain(2)
    part, notes = fit("zero-shot", source, target)
    unit = F.normalize(target.images, dim=1)
    assert_same(part.rows("image", target.images, {}), F.normalize(unit - unit.mean(dim=0), dim=1), terms=DIM)
    assert_same(part.rows("text", target.texts[:3], {}), part.rows("text", target.texts, {})[:3], terms=DIM)
    assert notes and notes[0].startswith("images lie nearer to their own texts than to others by ")
    raw, _ = fit("zero-shot", source, target, centre=False)
    assert_same(raw.rows("image", target.images, {}), unit, terms=DIM)
    test = domain(3)
    assert found(part, test) > found(raw, test) > 3 / len(test.images)


def test_the_source_stands_in_for_a_target_without_items() -> None:
    source, target = domain(1), domain(2)
    part, _ = fit("zero-shot", source, without(target, items=True))
    unit = F.normalize(source.texts, dim=1)
    assert_same(part.rows("text", source.texts, {}), F.normalize(unit - unit.mean(dim=0), dim=1), terms=DIM)
    _, notes = fit("zero-shot", without(source, items=True), replace(target, pairs=0))
    assert notes == ["neither domain has 8 pairs to judge the space by"]


def test_it_steps_aside_where_images_do_not_find_their_texts() -> None:
    target = domain(2)
    order = torch.randperm(len(target.texts), generator=generator_for(0, "order"))
    with pytest.raises(StepAsideError, match=r"^images lie no nearer to their own texts than to others \(.*deviations"):
        fit("zero-shot", domain(1), replace(target, texts=target.texts[order]))


# --- cache ------------------------------------------------------------------------------------------------------


def told(part: Any, known: Known, medium: str = "image") -> float:
    """Share of the items whose class is told."""
    rows = known.images if medium == "image" else known.texts
    return float((part.rows(medium, rows, {}).argmax(dim=1) == known.image_labels).float().mean())


def test_the_logits_are_tip_adapters() -> None:
    names, keys = F.normalize(torch.eye(3, 4) + 0.1, dim=1), F.normalize(torch.eye(4) + 0.3, dim=1)
    cache = Cache(names, keys, torch.tensor([0, 1, 1, 2]), Scales(0.5, 2.0, 3.0))
    item = F.normalize(torch.tensor([[0.2, 0.9, 0.4, 0.1]]), dim=1)
    logits = torch.zeros(1, 3)
    for number, label in enumerate([0, 1, 1, 2]):
        logits[0, label] += 2 * torch.exp(-3 * (1 - item[0] @ keys[number]))
    assert_same(cache(3 * item), (item @ names.T / 0.5 + logits).softmax(dim=1), terms=16)


def test_names_alone_are_zero_shot_classification() -> None:
    test = domain(3)
    part, notes = fit("cache", domain(1), without(domain(2), labels=True), temperature=0.1)
    expected = F.normalize(test.images, dim=1) @ F.normalize(test.names, dim=1).T
    assert_same(part.rows("image", test.images, {}), (expected / 0.1).softmax(dim=1), terms=10 * DIM)
    assert notes == []
    nothing, _ = fit("cache", domain(1), without(domain(2), items=True), temperature=0.1)
    assert_same(nothing.rows("image", test.images, {}), part.rows("image", test.images, {}), terms=DIM)


def test_labels_add_to_names_and_names_to_labels() -> None:
    test = domain(3, noise=1.5)
    target = domain(2, per_class=4, noise=1.5)
    blurred = replace(target, names=target.names + torch.randn(CLASSES, DIM, generator=generator_for(0, "names")))
    both, notes = fit("cache", domain(1), blurred)
    labels, _ = fit("cache", domain(1), without(blurred, names=True))
    names, _ = fit("cache", domain(1), without(blurred, labels=True))
    assert told(both, test) > max(told(names, test), 2 / CLASSES)
    assert told(both, test) >= told(labels, test) > 2 / CLASSES
    assert [note.partition(":")[0] for note in notes] == ["images", "texts"]


def test_an_item_does_not_tell_itself() -> None:
    """By itself each would be told; by the others nobody is, as no two are alike and labels are shuffled."""
    target = domain(2)
    order = torch.randperm(len(target.images), generator=generator_for(1, "labels"))
    nonsense = replace(target, image_labels=target.image_labels[order], text_labels=target.text_labels[order])
    part, notes = fit("cache", domain(1), nonsense)
    assert all("alpha 0, " in note or "alpha 0.1, " in note for note in notes)
    assert told(part, domain(3)) > 0.8, "what the names say stays"


def test_names_that_say_nothing_are_left_out() -> None:
    target = domain(2)
    noise = torch.randn(CLASSES, DIM, generator=generator_for(0, "noise"))
    part, notes = fit("cache", domain(1), replace(target, names=noise))
    assert notes[0].startswith("items lie no nearer to the names than to shuffled ones (")
    assert told(part, domain(3)) > 0.8
    with pytest.raises(StepAsideError, match=r"^fewer than two classes have a name or labelled images$"):
        fit("cache", domain(1), without(replace(target, names=noise), labels=True))


def test_a_class_without_a_name_or_an_item_has_probability_0() -> None:
    target = domain(2)
    some = replace(target, names=target.names[:4], name_labels=target.name_labels[:4])
    few = torch.where(target.image_labels < 5, target.image_labels, -1)
    part, _ = fit("cache", domain(1), replace(some, image_labels=few, text_labels=few))
    rows = part.rows("image", domain(3).images, {})
    assert (rows[:, 5] == 0).all()
    assert_same(rows.sum(dim=1), torch.ones(len(rows)), terms=CLASSES)
    seen = domain(3).image_labels < 5
    assert float((rows.argmax(dim=1) == domain(3).image_labels)[seen].float().mean()) > 0.8


def test_grids_begin_with_the_names_alone() -> None:
    assert ALPHAS[0] == 0
