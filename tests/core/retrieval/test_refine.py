from __future__ import annotations

from typing import Any

import pytest
import torch

from dckt_core.base.errors import ArgumentError, UsageError
from dckt_core.contract.protocols import IndexContext
from dckt_core.retrieval.gallery import Gallery, new_gallery
from dckt_core.retrieval.refine import AS_IT_IS, Refine, wishes
from tests.support import box

ITEMS: list[dict[str, Any]] = [
    {"id": "a", "label": "dog", "split": "train", "metadata": {"year": 2019, "tags": ["beach", "sun"], "free": True}},
    {"id": "b", "label": "cat", "split": "test", "metadata": {"year": 2020, "tags": ["sun"], "free": False}},
    {"id": "c", "label": "dog", "split": "test", "metadata": {"year": 2020.5, "split": "mine", "by": "x=y"}},
    {"id": "d"},
]


@pytest.fixture(scope="module")
def gallery() -> Gallery:
    made = new_gallery("image", "exact", {}, IndexContext(dim=2, seed=0), box.registry())
    made.add(ITEMS, torch.ones(4, 2))
    return made


@pytest.mark.parametrize(
    ("classes", "where", "ids"),
    [
        (["dog"], [], "ac"),
        (["dog", "cat"], [], "abc"),
        ([], ["year=2019"], "a"),
        ([], ["year=2019.0"], "a"),
        ([], ["year=2020.5"], "c"),
        ([], ["year=2019", "year=2020"], "ab"),
        ([], ["tags=sun"], "ab"),
        ([], ["tags=sun", "tags=beach"], "ab"),
        ([], ["tags=beach", "year=2019"], "a"),
        ([], ["free=true"], "a"),
        ([], ["free=false"], "b"),
        ([], ["split=test"], "b"),
        ([], ["split=mine"], "c"),
        ([], ["by=x=y"], "c"),
        (["dog"], ["split=train"], "a"),
    ],
)
def test_what_may_be_found(gallery: Gallery, classes: list[str], where: list[str], ids: str) -> None:
    assert Refine(tuple(classes), wishes(where)).admitted(gallery) == set(ids)


def test_from_python_values_are_values(gallery: Gallery) -> None:
    assert Refine(where=(("year", 2019),)).admitted(gallery) == {"a"}
    assert Refine(where=(("free", True),)).admitted(gallery) == {"a"}
    assert AS_IT_IS.admitted(gallery) is None


@pytest.mark.parametrize(
    ("classes", "where", "said"),
    [
        (["dgo"], [], "none of the images is of class 'dgo': did you mean 'dog'? (known: cat, dog)"),
        ([], ["yaer=2019"], "none of the images has a field 'yaer': did you mean 'year'? (known: by, free, split,"),
        ([], ["year=2021"], "none of the images has 'year' '2021'"),
        ([], ["year=1"], "none of the images has 'year' '1'"),
        ([], ["free=1"], "none of the images has 'free' '1'"),
        (["cat"], ["split=train"], "none of the images has all that is asked for"),
        (["\x1b[2J"], [], r"none of the images is of class '\x1b[2J' (known: cat, dog)"),
    ],
)
def test_nothing_is_never_what_is_asked_for(gallery: Gallery, classes: list[str], where: list[str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        Refine(tuple(classes), wishes(where)).admitted(gallery)
    assert said in str(caught.value)


@pytest.mark.parametrize(("others", "said"), [(1, "another one is"), (2, "2 others are")])
def test_names_too_long_to_be_listed_are_counted(others: int, said: str) -> None:
    made = new_gallery("image", "exact", {}, IndexContext(dim=2, seed=0), box.registry())
    made.add([{"id": name, "label": 61 * name} for name in "abc"[:others]], torch.ones(others, 2))
    with pytest.raises(UsageError, match=rf"of class 'dog' \({said} there\)$"):
        Refine(("dog",)).admitted(made)


@pytest.mark.parametrize("wish", ["year", "=2019", ""])
def test_a_wish_is_a_field_and_a_value(wish: str) -> None:
    with pytest.raises(UsageError, match="is not FIELD=VALUE"):
        wishes([wish])


@pytest.mark.parametrize("number", [-1, 1001, 2.0, True, "3"])
def test_neighbours_are_counted(number: Any) -> None:
    for name in ("expand", "csls"):
        with pytest.raises(ArgumentError, match=f"{name}: .* is no number of neighbours from 0 to 1000"):
            Refine(**{name: number})
