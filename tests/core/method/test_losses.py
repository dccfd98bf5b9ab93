from __future__ import annotations

import math

import pytest
import torch

from dckt_core.method.losses import domain_loss, pair_loss, semantic_loss, transfer_loss
from tests.support import tiny
from tests.support.tolerance import assert_same

pytestmark = pytest.mark.numerics


def outputs(seed: int):
    config = tiny.config()
    source, target = (tiny.domain(role, classes=3, per_class=4) for role in ("source", "target"))
    network = tiny.networks(config, source, target)["target"]
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(8, tiny.IMAGE_DIM, generator=generator)
    return network(images, torch.randn(8, tiny.TEXT_DIM, generator=generator))


def test_pair_loss_by_hand():
    image, text = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0], [3.0, 0.0]])
    assert float(pair_loss(image, text, "sum")) == 14.0
    assert float(pair_loss(image, text, "half_mean")) == 14.0 / 4


def test_semantic_loss_is_the_mean_over_images_and_texts():
    logits = torch.tensor([[0.0, 0.0], [0.0, math.log(3.0)]])
    assert_same(semantic_loss(logits, torch.tensor([1])), (math.log(2) + math.log(4 / 3)) / 2, terms=4)


def test_domain_loss_is_the_weighted_sum_of_its_terms():
    out = outputs(0)
    labels = torch.arange(8) % 3
    pair = tiny.config(loss__pair__fc6=0.3, loss__pair__fc7=0.05).loss.pair
    loss = domain_loss(out, labels, semantic_weight=0.2, pair=pair, domain="source")
    semantic, fc6, fc7 = (float(loss.terms[f"source_{name}"]) for name in ("semantic", "pair_fc6", "pair_fc7"))
    assert_same(loss.total, 0.2 * semantic + 0.3 * fc6 + 0.05 * fc7, terms=3)
    entropy = torch.nn.functional.cross_entropy(out.logits, torch.cat([labels, labels]))
    assert_same(semantic, entropy, terms=16 * 3)


def test_transfer_loss_weighs_every_attached_layer():
    source, target = outputs(0), outputs(1)
    weights = tiny.config(loss__media__weight=0.5, loss__media__text_fc6=0.0).loss.attachments()
    assert weights == {"image_fc6": 0.5, "image_fc7": 0.5, "text_fc7": 0.5, "common_fc8": 1.0, "common_fc9": 2.0}
    _, discrepancy = tiny.guarded(tiny.Everything(), tiny.mean_distance)
    loss = transfer_loss(source, target, discrepancy=discrepancy, weights=weights, progress=0.0)
    expected = sum(w * float(tiny.mean_distance(getattr(source, n), getattr(target, n))) for n, w in weights.items())
    assert_same(loss.total, expected, terms=len(weights))
    assert set(loss.terms) == {f"discrepancy_{name}" for name in weights}
