"""What a domain is made of: the networks' labelled pairs apart from all that only parts learn from."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dckt_core.base.errors import DataError
from dckt_core.contract.pairs import ImageItem, Pair, PairSet, Split
from dckt_core.contract.protocols import Encoder
from dckt_core.data.domain import Domain, make_domain
from tests.support.spies import Spy
from tests.support.tolerance import assert_same


def spread(pictures: Sequence[ImageItem], labels: str, **fields: Any) -> PairSet:
    """A picture and a text for each letter: its class, in capitals for a test pair; - without a label, I and T for an
    image and a text alone."""
    pairs = []
    for number, (picture, letter) in enumerate(zip(pictures, labels, strict=True)):
        split: Split = "test" if letter in "AB" else "train"
        label = letter.lower() if letter in "abAB" else None
        image, text = (None if letter == "T" else picture.path), (None if letter == "I" else "x" * number)
        pairs.append(Pair(f"{number}{letter}", image, text, label, split))
    return PairSet("made", "made up", pairs, **fields)


def domain(pair_set: PairSet, image: Encoder, text: Encoder, cache: Path, **how: Any) -> Domain:
    return make_domain(
        "target",
        pair_set,
        ("train", "test"),
        image=image,
        text=text,
        device=torch.device("cpu"),
        batch=4,
        cache_dir=cache,
        **how,
    )


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_everything_has_its_place(spy: Spy, pictures: list[ImageItem], colours: Tensor, tmp_path: Path) -> None:
    data = spread(pictures, "b-aITAB", names={"c": ("some sea", "c")})
    made = domain(data, spy.images(), spy.texts(), tmp_path)
    assert made.classes == 3
    assert [pair.id for pair in made.train.pairs] == ["0b", "2a"]
    assert made.train.labels.tolist() == [1, 0]
    assert_same(made.train.image[torch.arange(2)], colours[[0, 2]], terms=3)
    assert made.splits["test"].labels.tolist() == [0, 1]
    assert [pair.id for pair in made.unlabelled.pairs] == ["1-"]
    assert made.unlabelled.labels.tolist() == [-1]
    assert_same(made.unlabelled.image[torch.arange(1)], colours[[1]], terms=3)
    assert made.unlabelled.text[torch.arange(1)].tolist() == [[1, 0]]
    assert {medium: [pair.id for pair in lone.items] for medium, lone in made.lone.items()} == {
        "image": ["3I"],
        "text": ["4T"],
    }
    assert_same(made.lone["image"].rows[torch.arange(1)], colours[[3]], terms=3)
    assert made.lone["text"].rows[torch.arange(1)].tolist() == [[4, 0]]
    assert made.lone["text"].labels.tolist() == [-1]
    assert [item.text for item in made.names.items] == ["a", "b", "some sea", "c"]
    assert made.names.labels.tolist() == [0, 1, 2, 2]
    assert made.names.rows[torch.arange(4)].tolist() == [[1, 0], [1, 0], [8, 1], [1, 0]]


def test_labels_that_are_learnt_later_find_the_features_in_the_cache(
    spy: Spy, pictures: list[ImageItem], tmp_path: Path
) -> None:
    whole = spread(pictures, "aabbbbA")
    all_known = domain(whole, spy.images(), spy.texts(), tmp_path)
    spy.forward.clear()
    some = replace(
        whole, pairs=[replace(pair, label=None) if pair.id in ("1a", "4b") else pair for pair in whole.pairs]
    )
    some_known = domain(some, spy.images(), spy.texts(), tmp_path)
    assert spy.forward == []
    rows = torch.tensor([0, 2, 3, 5])
    for medium in ("image", "text"):
        mine, whole_rows = getattr(some_known.train, medium), getattr(all_known.train, medium)
        assert torch.equal(mine[torch.arange(4)], whole_rows[rows])


def test_with_every_label_the_networks_get_the_training_split_as_it_is(
    spy: Spy, pictures: list[ImageItem], tmp_path: Path
) -> None:
    data = spread(pictures, "baabbAA")
    made = domain(data, spy.images(), spy.texts(), tmp_path)
    bare = domain(data, spy.images(), spy.texts(), tmp_path / "other", for_parts=False)
    for one in (made, bare):
        assert one.train.pairs == data.split("train")
        assert one.train.labels.tolist() == [1, 0, 0, 1, 1]
        assert (len(one.unlabelled), len(one.lone["image"]), len(one.lone["text"])) == (0, 0, 0)
        assert one.unlabelled.image[torch.arange(0)].shape == (0, 3)
    assert torch.equal(made.train.image[torch.arange(5)], bare.train.image[torch.arange(5)])


@pytest.mark.parametrize("along", ["image", "text", "both"])
def test_where_an_encoder_trains_along_there_is_nothing_for_parts(
    along: str, spy: Spy, pictures: list[ImageItem], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    image, text = spy.images(trainable=along != "text"), spy.texts(trainable=along != "image")
    data = spread(pictures, "b-aITAB")
    made = domain(data, image, text, tmp_path)
    who = {"both": "image and the text"}.get(along, along)
    assert warnings(caplog) == [
        f"target: 3 items without a label or a partner are left out, because the {who} encoder trains along"
    ]
    assert [pair.id for pair in made.train.pairs] == ["0b", "2a"]
    assert (len(made.unlabelled), len(made.lone["image"]), len(made.lone["text"]), len(made.names)) == (0, 0, 0, 0)
    caplog.clear()
    domain(data, image, text, tmp_path, for_parts=False)
    domain(spread(pictures, "bbaaaAB"), image, text, tmp_path)
    assert warnings(caplog) == []


def test_what_no_part_needs_is_not_encoded(spy: Spy, pictures: list[ImageItem], tmp_path: Path) -> None:
    made = domain(spread(pictures, "b-aITAB"), spy.images(), spy.texts(), tmp_path, for_parts=False)
    assert len(made.unlabelled) == len(made.names) == 0
    assert sum(map(len, spy.prepared)) == 8, "two labelled and two test pairs of two media"


def test_names_that_the_encoder_cannot_encode_are_left_out(
    spy: Spy, pictures: list[ImageItem], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def by_id(items: Sequence[Any]) -> Tensor:
        if any(item.id.startswith("name:") for item in items):
            raise DataError("no row of 'name:a'")
        return torch.zeros(len(items), 2)

    made = domain(spread(pictures, "bbaaaAB"), spy.images(), spy.texts(prepare=by_id, cached=False), tmp_path)
    assert len(made.names) == 0
    assert warnings(caplog) == ["target: the names of the classes are left out: no row of 'name:a'"]


def test_a_target_with_nothing_to_learn_from(spy: Spy, pictures: list[ImageItem], tmp_path: Path) -> None:
    made = domain(spread(pictures, "AAAAAAB"), spy.images(), spy.texts(), tmp_path)
    assert (made.classes, len(made.train), len(made.names)) == (0, 0, 0)
    assert made.splits["test"].labels.tolist() == [0] * 6 + [1]
    trainable = domain(spread(pictures, "AAAAAAB"), spy.images(trainable=True), spy.texts(trainable=True), tmp_path)
    assert len(trainable.train) == 0
