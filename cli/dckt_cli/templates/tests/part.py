"""The contract, and what this part promises."""

from types import SimpleNamespace

import my_plugin
import torch

from dckt_core import PartContext
from dckt_core.testing import assert_part_ok, installed

(SPEC,) = my_plugin.dckt_parts()


def test_the_contract() -> None:
    assert_part_ok(SPEC)
    assert_part_ok(SPEC, my_plugin.Options(temperature=1.0))


def test_an_item_near_the_mean_of_a_class_is_of_that_class() -> None:
    part = SPEC.build(my_plugin.Options(), PartContext(seed=0))
    images, labels = torch.eye(4), torch.tensor([0, 0, 1, 1])
    known = SimpleNamespace(images=images, texts=images, image_labels=labels, text_labels=labels, classes=2)
    part.fit(SimpleNamespace(target=known))
    assert part.rows("image", torch.tensor([[1.0, 1.0, 0.0, 0.2]]), {}).argmax() == 0


def test_dckt_finds_it() -> None:
    """By its entry point: after `pip install -e .`"""
    assert installed("part", "my-plugin") == SPEC
