"""Pictures that are nearly the same are found among many, and others are not."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from dckt_core.data.lookalikes import SIDE, WINDOW, alike, families, look


def scene(generator: np.random.Generator, width: int = 120, height: int = 90) -> Image.Image:
    """Something like a photo: soft blobs of colour on a gradient, and a little noise."""
    y, x = np.mgrid[0:height, 0:width] / width
    picture = np.stack([generator.uniform(40, 120) + generator.uniform(-60, 60) * x for _ in range(3)], axis=-1)
    for _ in range(12):
        centre, size = generator.uniform(0, 1, 2), generator.uniform(0.05, 0.25)
        blob = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / size**2)
        picture += blob[:, :, None] * generator.uniform(-120, 120, 3)
    picture += generator.normal(0, 2, picture.shape)
    return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))


def compressed(image: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


@pytest.fixture(scope="module")
def scenes() -> list[Image.Image]:
    generator = np.random.default_rng(0)
    return [scene(generator) for _ in range(40)]


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image,
        lambda image: compressed(image, 30),
        lambda image: image.resize((60, 45)),
        lambda image: image.resize((96, 96)),
        lambda image: ImageEnhance.Contrast(image).enhance(0.7),
    ],
    ids=["equal", "compressed", "half", "squeezed", "faded"],
)
def test_a_changed_copy_is_like_its_picture_and_no_other(scenes, change):
    looks = np.stack([look(image) for image in [*scenes, *map(change, scenes)]])

    assert alike(looks).tolist() == [[number, number + len(scenes)] for number in range(len(scenes))]


@pytest.mark.parametrize("change", ["mirrored", "half of it", "other colours"])
def test_another_picture_of_the_same_parts_is_not_alike(scenes, change):
    def other(image: Image.Image) -> Image.Image:
        if change == "mirrored":
            return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if change == "half of it":
            return image.crop((0, 0, 60, 90))
        return Image.merge("RGB", image.split()[::-1])

    looks = np.stack([look(image) for image in [*scenes, *map(other, scenes)]])

    assert not len(alike(looks))


def test_copies_are_found_among_many_more_than_each_is_compared_with():
    generator = np.random.default_rng(1)
    coarse = generator.integers(0, 256, (50 * WINDOW, 3, 4, 4)).astype(np.float32)
    looks = coarse.repeat(3, axis=2).repeat(3, axis=3).transpose(0, 2, 3, 1).astype(np.uint8)
    copies = np.clip(looks[:100].astype(int) + generator.integers(-2, 3, looks[:100].shape), 0, 255).astype(np.uint8)

    found = alike(np.concatenate([looks, copies]))

    planted = {(number, len(looks) + number) for number in range(100)}
    assert {(int(one), int(other)) for one, other in found} == planted


def test_plain_pictures_are_alike_to_none():
    generator = np.random.default_rng(2)
    grey = generator.integers(120, 124, (30, SIDE, SIDE, 3)).astype(np.uint8)

    assert not len(alike(np.concatenate([grey, grey])))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_pictures(scenes, count):
    looks = np.stack([look(scenes[0])] * 2)[:count].reshape(count, SIDE, SIDE, 3)

    assert alike(looks).tolist() == [[0, 1]] * (count == 2)


def test_families_hold_all_that_pairs_connect():
    pairs = np.array([[1, 4], [4, 6], [2, 3], [0, 6]])

    assert families(pairs, 8) == [[0, 1, 4, 6], [2, 3]]
    assert families(np.empty((0, 2), dtype=np.int64), 3) == []
