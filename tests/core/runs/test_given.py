"""One item or many, files, pictures in memory or rows: all of them are taken, or refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import dckt_core
from dckt_core.base.errors import ArgumentError, DataError
from dckt_core.contract.pairs import ImageItem, TextItem
from dckt_core.runs.given import given
from tests.support import tiny
from tests.support.tolerance import assert_same

IMAGE, TEXT = tiny.encoders()
COLOUR = (200, 30, 60)
PICTURE = Image.new("RGB", (6, 4), COLOUR)
ARRAY = np.asarray(PICTURE)


@pytest.mark.parametrize("value", ["a dog", ["a dog"], ("a dog",), np.array(["a dog"]), iter(["a dog"])])
def test_a_text_is_one_text(value: Any) -> None:
    assert given("text", value, TEXT) == [TextItem("0", "a dog")]


def test_items_stay_what_they_are() -> None:
    text, image = TextItem("t", "a dog"), ImageItem("i", Path("dog.png"))
    assert given("text", text, TEXT) == given("text", [text], TEXT) == [text]
    assert given("image", image, IMAGE) == given("image", [image], IMAGE) == [image]
    assert given("text", [], TEXT) == given("image", [], IMAGE) == []


@pytest.mark.parametrize("value", ["dog.png", Path("dog.png"), ["dog.png"], [Path("dog.png")]])
def test_a_path_is_one_image(value: Any) -> None:
    assert given("image", value, IMAGE) == [ImageItem("dog.png", Path("dog.png"))]


@pytest.mark.parametrize("value", [PICTURE, [PICTURE], ARRAY, [ARRAY], ARRAY[None], PICTURE.convert("RGBA")])
def test_a_picture_in_memory_opens_as_one_in_a_file(value: Any) -> None:
    (item,) = given("image", value, IMAGE)
    assert isinstance(item, ImageItem)
    picture = item.open()
    assert (picture.mode, picture.size, picture.getpixel((1, 1))) == ("RGB", (6, 4), COLOUR)


def test_grey_pictures_are_taken_in_a_list() -> None:
    (item,) = given("image", [ARRAY[:, :, 0]], IMAGE)
    assert isinstance(item, ImageItem)
    assert item.open().getpixel((0, 0)) == (200, 200, 200)


def test_rows_are_taken_of_frozen_encoders() -> None:
    rows = given("image", np.ones((2, tiny.IMAGE_DIM)), IMAGE)
    assert isinstance(rows, torch.Tensor)
    assert rows.shape == (2, tiny.IMAGE_DIM)
    along, _ = tiny.encoders(trainable=True)
    with pytest.raises(ArgumentError, match="^images: rows were given, and the image encoder trains along: give image"):
        given("image", np.ones((2, tiny.IMAGE_DIM)), along)


@pytest.mark.parametrize(
    ("medium", "value", "says"),
    [
        ("text", b"a dog", "texts: item 0 is of type bytes, and no string"),
        ("text", None, "texts: item 0 is of type NoneType, and no string"),
        ("text", ["a dog", 5], "texts: item 1 is of type int, and no string"),
        ("text", Path("dog.txt"), f"texts: item 0 is of type {type(Path()).__name__}, and no string"),
        ("text", np.ones((2, 3)), "texts: rows of 3 values, where 5 are expected"),
        ("image", 5, "images: item 0 is of type int, and neither a path nor a picture"),
        ("image", ["dog.png", None], "images: item 1 is of type NoneType, and neither a path nor a picture"),
        (
            "image",
            np.ones((4, 6, 3)),
            "images: an array of float64 (4, 6, 3); a picture is numpy's uint8 [h, w, 3] from 0 to 255, and rows "
            "are [n, d]",
        ),
        ("text", {"a dog": 1}, "texts: dict, where one of them or a sequence is expected"),
        (
            "image",
            [np.ones((4, 6, 3))],
            "images: item 0 is an array of float64 (4, 6, 3); a picture is uint8 [h, w, 3] or [h, w]",
        ),
        (
            "image",
            ARRAY[:, :, 0],
            "images: an array of uint8 (4, 6); a picture is uint8 [h, w, 3], and rows [n, d] are floating-point",
        ),
    ],
)
def test_what_is_neither_is_refused_in_one_line(medium: Any, value: Any, says: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        given(medium, value, IMAGE if medium == "image" else TEXT)
    assert str(caught.value) == says


def test_a_model_takes_them(run: str, tmp_path: Path) -> None:
    model = dckt_core.load(run)
    file = Path("target/red-test-0.png")
    with Image.open(file) as opened:
        picture = opened.convert("RGB")
    one = model.encode_images(file)
    assert one.shape == (1, model.dim)
    for same in (str(file), [file], picture, np.asarray(picture)):
        assert torch.equal(model.encode_images(same), one)
    assert torch.equal(model.encode_images(picture, cache=True), one)
    assert torch.equal(model.encode_texts("a red square"), model.encode_texts(["a red square"]))
    probabilities = model.image_probabilities([file, picture])
    assert probabilities.shape == (2, len(model.classes))
    assert_same(probabilities.sum(dim=1), torch.ones(2), terms=len(model.classes))
    assert model.predict_images(file) == [model.classes[int(probabilities[0].argmax())]]
    assert model.text_probabilities([]).shape == (0, len(model.classes))
    with pytest.raises(DataError, match="no such file"):
        model.encode_images("a dog")
