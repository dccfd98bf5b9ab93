from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dckt_core.contract.protocols import Representation
from dckt_plugins.samplers.consistency import domain_consistency
from tests.support.samplers import made_up
from tests.support.tolerance import assert_same


def test_by_hand():
    """Two classes. Image 0 finds both texts of its class first; text 0 finds its own image first and the other last."""
    image = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    text = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    labels = torch.tensor([0, 0, 1])
    # image 0: texts 0, 1, 2 -> 1 1 0; image 1: texts 2, 1, 0 -> 0 1 1; image 2: texts 1, 2, 0 -> 0 1 0
    by_image = torch.tensor([1.0, (1 / 2 + 2 / 3) / 2, 1 / 2], dtype=torch.float64)
    # text 0: images 0, 2, 1 -> 1 0 1; text 1: images 2, 0, 1 -> 0 1 1; text 2: images 1, 2, 0 -> 0 1 0
    by_text = torch.tensor([(1 + 2 / 3) / 2, (1 / 2 + 2 / 3) / 2, 1 / 2], dtype=torch.float64)
    assert_same(domain_consistency(Representation(image, text), labels), by_image + by_text, terms=6)


@given(seed=st.integers(0, 1000), pairs=st.integers(2, 30))
@settings(deadline=None, max_examples=30)
def test_swapping_the_media_changes_nothing(seed, pairs):
    view, labels = made_up(pairs, seed=seed)
    swapped = Representation(image=view.text, text=view.image)
    assert torch.equal(domain_consistency(view, labels), domain_consistency(swapped, labels))


def test_perfect_representations_score_two_and_one_class_too():
    labels = torch.tensor([0, 1, 2, 0, 1])
    view = Representation(torch.eye(3)[labels], torch.eye(3)[labels])
    assert domain_consistency(view, labels).tolist() == [2.0] * 5
    view, _ = made_up(6)
    assert domain_consistency(view, torch.zeros(6).long()).tolist() == [2.0] * 6
