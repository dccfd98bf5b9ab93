from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from dckt_core.contract.pairs import ImageItem, TextItem
from tests.support.spies import Spy


@pytest.fixture
def spy() -> Spy:
    return Spy()


@pytest.fixture
def pictures(tmp_path: Path) -> list[ImageItem]:
    """Seven images of one colour each."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(7):
        Image.new("RGB", (4, 4), (30 * number, 255 - 30 * number, number)).save(folder / f"{number}.png")
    return [ImageItem(f"image {number}", folder / f"{number}.png") for number in range(7)]


@pytest.fixture
def colours() -> Tensor:
    """The features of `pictures` under `Spy.images`."""
    return torch.tensor([[30 * number, 255 - 30 * number, number] for number in range(7)]) / 255


@pytest.fixture
def texts() -> list[TextItem]:
    return [TextItem(f"text {number}", " ".join(["word"] * number)) for number in range(5)]
