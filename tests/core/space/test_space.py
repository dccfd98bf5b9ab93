"""The common space: parts in their order, what steps aside, what validation chooses, and the way to disk and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from dckt_core import PartSpec
from dckt_core.base.errors import DataError, PluginError, UsageError
from dckt_core.contract.discovery import Registered
from dckt_core.contract.protocols import PartContext, Representation, StepAsideError
from dckt_core.data.known import known, known_split
from dckt_core.io.tensors import save_tensors
from dckt_core.space.material import FittingMaterial
from dckt_core.space.parts import ChosenPart
from dckt_core.space.space import FORMAT, KIND, Space
from tests.support import tiny
from tests.support.tolerance import assert_same

SOURCE, TARGET = tiny.domain("source", classes=4, per_class=6), tiny.domain("target", classes=3, per_class=5)
CONTEXT = PartContext(seed=0)
VALIDATION = known_split(TARGET, "val")
IMAGES, TEXTS = VALIDATION.images, VALIDATION.texts
VIEWS = {"image": IMAGES, "text": TEXTS}


class Columns:
    """A part that keeps some columns of a medium's features, times what it learnt: how many pairs there are."""

    def __init__(self, columns: slice = slice(0, 3), reason: str = "", after: str = "") -> None:
        self.columns, self.reason, self.after = columns, reason, after
        self.factor = torch.tensor(0.0)

    def fit(self, material: Any) -> None:
        if self.reason:
            raise StepAsideError(self.reason)
        if self.after:
            material.rows(self.after, "image", material.target.images)
        self.factor = torch.tensor(float(material.target.pairs))
        material.note("counted")

    def rows(self, medium: str, features: Tensor, before: Mapping[str, Tensor]) -> Tensor:
        rows = before[self.after] if self.after else features[:, self.columns]
        return rows * self.factor

    def state_dict(self) -> dict[str, Tensor]:
        return {"factor": self.factor}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self.factor = state["factor"]


def part(name: str, made: Any = None, *, weight: float = 1.0, earn: bool = False, **fields: Any) -> ChosenPart:
    """`made` gives the part's object."""
    build = made or Columns
    spec = PartSpec(name=name, summary="", build=lambda options, context: build(), api="1.0", **fields)
    return ChosenPart(name, Registered(spec, "tiny", "0", "tiny"), None, weight, earn)


def material() -> FittingMaterial:
    return FittingMaterial(
        seed=0,
        source=lambda: known(SOURCE),
        target=lambda: known(TARGET),
        validation=lambda: VALIDATION,
        probe=lambda medium: VIEWS[medium][:1],
        sampler=tiny.Everything(),
    )


def fitted(*parts: ChosenPart, aside: Mapping[str, str] | None = None) -> Space:
    return Space.fit(parts, CONTEXT, material(), aside)


def test_a_part_by_itself_stays_as_it_is() -> None:
    space = fitted(part("a", weight=0.3))
    view = space.represent(IMAGES, TEXTS)
    assert torch.equal(view.image, IMAGES[:, :3] * len(TARGET.train))
    assert torch.equal(view.text, TEXTS[:, :3] * len(TARGET.train))
    assert space.dim == 3


def test_the_cosine_is_the_weighted_mean_of_the_parts() -> None:
    space = fitted(part("a", weight=2.0), part("b", lambda: Columns(slice(1, 5)), weight=0.5))
    view = space.represent(IMAGES, TEXTS)
    one = cosine_similarity(IMAGES[:, :3], TEXTS[:, :3])
    other = cosine_similarity(IMAGES[:, 1:5], TEXTS[:, 1:5])
    expected = (2.0 * one + 0.5 * other) / 2.5
    assert_same(cosine_similarity(view.image, view.text), expected, terms=7, scale=1)
    assert space.dim == view.image.shape[1] == 7


def test_one_medium_alone_equals_both() -> None:
    space = fitted(part("a"), part("b"))
    both = space.represent(IMAGES, TEXTS)
    assert torch.equal(space.represent(IMAGES, None).image, both.image)
    assert torch.equal(space.represent(None, TEXTS).text, both.text)
    assert space.represent(IMAGES, None).text.shape == (0, 6)


def test_a_part_builds_on_one_before_it() -> None:
    space = fitted(part("a"), part("b", lambda: Columns(after="a")))
    rows = space.alone("b").represent(IMAGES, None).image
    assert torch.equal(rows, IMAGES[:, :3] * len(TARGET.train) * len(TARGET.train))
    with pytest.raises(PluginError, match="part 'b' of tiny 0 raised KeyError: 'a'"):
        fitted(part("b", lambda: Columns(after="a")), part("a"))


def test_what_steps_aside_is_told_with_its_reason() -> None:
    space = fitted(part("a"), part("b", lambda: Columns(reason="no\nnames")), part("c"), aside={"c": "not trained"})
    assert space.description.aside == {"b": "no names", "c": "not trained"}
    assert list(space.description.weights) == ["a"]
    assert space.description.notes == (("a", "counted"),)


def test_without_any_part_there_is_no_space() -> None:
    with pytest.raises(DataError, match=r"no part that could be fitted \(a: nothing\)"):
        fitted(part("a", lambda: Columns(reason="nothing")))


def test_a_part_that_takes_others_in_counts_in_their_place() -> None:
    parts = [part("a"), part("b", supersedes=("a",)), part("c", supersedes=("b",))]
    assert list(fitted(*parts).description.weights) == ["a", "c"], "what b took in counts again, since b does not"
    assert list(fitted(*parts[:2]).description.weights) == ["b"]
    aside = fitted(*parts, aside={"c": "no reason"})
    assert list(aside.description.weights) == ["b"]
    assert set(aside.parts) == {"a", "b"}, "all are kept, since others may build on them"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (torch.zeros(2, 3), r"rows must give a tensor \[1, k\], not \(2, 3\)"),
        (torch.zeros(1, 3, dtype=torch.int64), "rows must give floating-point numbers, not torch.int64"),
        (torch.full((1, 3), torch.nan), "its rows of images are not all finite"),
        (None, "rows must give a tensor .*, not NoneType"),
    ],
)
def test_rows_that_are_none_are_put_down_to_the_part(rows: Any, said: str) -> None:
    class Wrong(Columns):
        def rows(self, medium: str, features: Tensor, before: Mapping[str, Tensor]) -> Tensor:
            return rows  # type: ignore[no-any-return]

    with pytest.raises(PluginError, match=f"part 'a' of tiny 0: {said}"):
        fitted(part("a", Wrong))


def test_both_media_have_one_width() -> None:
    class Lopsided(Columns):
        def rows(self, medium: str, features: Tensor, before: Mapping[str, Tensor]) -> Tensor:
            return features

    with pytest.raises(PluginError, match="its rows of images and of texts have different widths"):
        fitted(part("a", Lopsided))


# --- choices --------------------------------------------------------------------------------------------------


def by_width(wanted: dict[int, float], spread: float = 0.0) -> Any:
    """Scores of 100 pairs that know spaces by their width; others are worth 0.5. Half the pairs have `spread` more than
    what a width is worth, half of them less.
    """
    luck = spread * torch.tensor([-1.0, 1.0]).repeat(50)

    def score(view: Representation) -> Tensor:
        width = view.image.shape[1]
        return torch.full((100,), 0.5) if width not in wanted else wanted[width] + luck

    return score


WIDE = [part("a"), part("b", lambda: Columns(slice(0, 4))), part("c", lambda: Columns(slice(0, 5)))]


@pytest.mark.parametrize(
    ("optional", "margin", "scores", "kept"),
    [
        ([], 0.02, {12: 0.5}, "abc"),
        ([], 0.02, {8: 0.53, 7: 0.51}, "ac"),
        ([], 0.02, {8: 0.519}, "abc"),
        ([], 1.0, {8: 1.0}, "abc"),
        ([], 0.02, {8: 0.6, 3: 0.7}, "a"),
        (["c"], 0.02, {12: 0.515}, "ab"),
        (["c"], 0.02, {12: 0.53}, "abc"),
        (["a", "b", "c"], 0.02, {}, "abc"),
    ],
)
def test_one_change_at_a_time_as_long_as_it_gains_more_than_the_margin(
    optional: list[str], margin: float, scores: dict[int, float], kept: str
) -> None:
    space = fitted(*WIDE).choose(optional, margin, by_width(scores), VIEWS)
    assert "".join(space.description.weights) == kept
    assert set(space.description.left_out) == set("abc") - set(kept)


@pytest.mark.parametrize(("spread", "kept"), [(0.0, "ab"), (0.1, "ab"), (0.2, "abc")])
def test_what_the_luck_of_few_pairs_explains_changes_nothing(spread: float, kept: str) -> None:
    """A gain of .03 on 100 pairs: its standard error is .01 where the pairs' gains spread by .1, and .02 by .2."""
    space = fitted(*WIDE).choose([], 0.02, by_width({7: 0.53}, spread), VIEWS)
    assert "".join(space.description.weights) == kept
    space = fitted(*WIDE).choose(["c"], 0.02, by_width({12: 0.53}, spread), VIEWS)
    assert "".join(space.description.weights) == ("ab" if spread == 0.2 else "abc")


def test_a_part_may_take_another_weight() -> None:
    """Where its further weights are clearly better on validation: here as large as it may be."""

    def score(view: Representation) -> Tensor:  # the root of the weight of `b`, of two pairs
        return view.image[:1, 3:7].norm().expand(2) if view.image.shape[1] == 12 else torch.zeros(2)

    space = fitted(*WIDE)
    assert space.choose([], 0.02, score, VIEWS, {"b": (0.5, 4.0)}).description.weights == {"a": 1, "b": 4, "c": 1}
    assert space.choose([], 1.0, score, VIEWS, {"b": (0.5, 4.0)}).description.weights == {"a": 1, "b": 1, "c": 1}
    assert space.choose(["b"], 0.02, score, VIEWS, {"b": (4.0,)}).description.weights == {"a": 1, "b": 4, "c": 1}


def test_probabilities_are_those_of_the_last_part_that_tells_classes() -> None:
    space = fitted(part("a", classes=True), part("b", lambda: Columns(slice(1, 4)), classes=True), part("c"))
    assert torch.equal(space.probabilities("image", IMAGES), IMAGES[:, 1:4] * len(TARGET.train))
    assert torch.equal(space.without(["b"]).probabilities("text", TEXTS), TEXTS[:, :3] * len(TARGET.train))
    with pytest.raises(UsageError, match="knows the target's classes"):
        space.without(["a", "b"]).probabilities("image", IMAGES)


# --- there and back -------------------------------------------------------------------------------------------


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    parts = [part("a", weight=2.0), part("b", lambda: Columns(after="a"), supersedes=("a",)), part("c")]
    space = fitted(*parts).without(["c"])
    space.save(tmp_path / "space")
    again = Space.load(tmp_path / "space", parts, CONTEXT)
    assert torch.equal(again.represent(IMAGES, None).image, space.represent(IMAGES, None).image)
    assert again.dim == space.dim
    assert again.description == space.description


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "space"

    def refusal(name: str) -> str:
        with pytest.raises(DataError) as caught:
            Space.load(file, [part(name)], CONTEXT)
        return str(caught.value)

    fitted(part("a")).save(file)
    assert refusal("b") == f"{file}: part 'a' of the common space is not in the configuration"
    facts = {"weights": {"a": 1.0}, "widths": {"a": 3}}
    save_tensors(file, {}, facts, kind=KIND, format=FORMAT)
    assert refusal("a") == f"{file}: what was kept of part 'a' of tiny 0 does not fit: KeyError: 'factor'"
    save_tensors(file, {}, facts | {"widths": {}}, kind=KIND, format=FORMAT)
    assert refusal("a") == f"{file}: not the common space of a run"
