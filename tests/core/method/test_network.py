from __future__ import annotations

import pytest
import torch
from torch import nn

from dckt_core.config import CorrelationLevel, MediaLevel
from dckt_core.contract.names import LAYERS, is_common
from dckt_core.contract.protocols import Encoder
from dckt_core.method.network import DomainNetwork, Outputs
from tests.support import tiny
from tests.support.tolerance import assert_same, path_terms

pytestmark = pytest.mark.numerics


def network(**changes: object) -> DomainNetwork:
    image, text = tiny.encoders()
    config = tiny.config(**changes).network
    return DomainNetwork(image, text, classes=3, config=config, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def rows() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(9, tiny.IMAGE_DIM, generator=generator), torch.randn(6, tiny.TEXT_DIM, generator=generator)


def test_shapes_and_stacking_order(rows):
    outputs = network()(*rows)
    assert outputs.image_fc6.shape == outputs.image_fc7.shape == (9, 16)
    assert outputs.text_fc6.shape == outputs.text_fc7.shape == (6, 16)
    assert outputs.common_fc8.shape == outputs.common_fc9.shape == (15, 12)
    assert outputs.logits.shape == (15, 3)
    assert all((layer >= 0).all() for layer in outputs[:6]), "a layer's output is the one after ReLU"


def test_one_medium_alone_equals_both_in_eval_mode(rows):
    net = network()
    net(*rows)  # moves the running statistics away from their start
    net.eval()
    both = net(*rows)
    terms = path_terms(net)
    assert_same(net(rows[0], None).logits, both.logits[:9], terms=terms)
    assert_same(net(None, rows[1]).logits, both.logits[9:], terms=terms)
    view = net.represent(*rows)
    assert_same(view.image, both.logits[:9].softmax(1), terms=terms)
    assert_same(view.text.sum(1), torch.ones(6), terms=3)


def test_media_mix_in_the_common_batch_statistics(rows):
    net = network()
    outputs = net(*rows)
    alone = network()(rows[0], None)
    assert (outputs.common_fc8[:9] - alone.common_fc8).abs().max() > 0.01
    before_relu = net.fc8[0](torch.cat([outputs.image_fc7, outputs.text_fc7]))
    mean, variance = before_relu.mean(0), before_relu.var(0, unbiased=False)
    expected = ((before_relu - mean) / (variance + 1e-5).sqrt()).relu()
    assert_same(outputs.common_fc8, expected, terms=path_terms(net))


def test_batch_norm_is_without_affine_parameters_but_on_the_text_input():
    affine = {name: module.affine for name, module in network().named_modules() if isinstance(module, nn.BatchNorm1d)}
    assert affine.pop("text_norm") is True
    assert len(affine) == 6
    assert not any(affine.values())
    assert not [m for m in network(network__batch_norm="none").modules() if isinstance(m, nn.BatchNorm1d)]


def test_shared_statistics_are_one_set_that_the_batches_of_both_domains_move(rows):
    source, target = network(), network()
    shifted = (rows[0] + 3, rows[1] - 2)
    source(*rows)
    target(*shifted)
    alone = target(*shifted).image_fc6
    means = [net.image_fc6[1].running_mean.clone() for net in (source, target)]
    target.share_statistics(source)
    assert_same(source.image_fc6[1].running_mean, (means[0] + means[1]) / 2, terms=2)
    for net, batch in ((source, rows), (target, shifted)) * 40:
        outputs = net(*batch)
    buffers = dict(source.named_buffers())
    assert all(torch.equal(buffers[name], value) for name, value in target.named_buffers() if "running" in name)
    # The source's batches are in there, so that the target's do not come out centred, as they do by themselves.
    norm, before = target.image_fc6[1], target.image_fc6[0](shifted[0])
    expected = ((before - norm.running_mean) / (norm.running_var + 1e-5).sqrt()).relu()
    assert_same(outputs.image_fc6, expected, terms=path_terms(target))
    assert (outputs.image_fc6 - alone).abs().max() > 0.1
    outputs.logits.square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in target.parameters())
    assert_same(target.eval()(*shifted).image_fc6, outputs.image_fc6, terms=path_terms(target))


def test_initial_weights_are_he_normal_and_biases_zero():
    net = network(network__media_width=512)
    weight = net.image_fc7[0].weight.detach()
    assert float(weight.std()) == pytest.approx((2 / 512) ** 0.5, rel=0.02)
    assert all((p == 0).all() for name, p in net.named_parameters() if name.endswith("bias"))


def test_same_generator_seed_same_bits_and_global_generator_untouched():
    state = torch.get_rng_state()
    first, second = network().state_dict(), network().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(state, torch.get_rng_state())


def test_starts_from_the_encoders_head_where_shapes_fit():
    image, text = tiny.encoders()
    head = [tiny.linear(tiny.IMAGE_DIM, 16), tiny.linear(16, 16)]
    image = Encoder(prepare=image.prepare, module=image.module, dim=image.dim, fingerprint="h", head=head)
    generator = torch.Generator().manual_seed(0)
    net = DomainNetwork(image, text, classes=3, config=tiny.config().network, generator=generator)
    assert (net.image_from_head, net.text_from_head) == (2, 0)
    assert torch.equal(net.image_fc6[0].weight, head[0].weight)
    assert torch.equal(net.image_fc7[0].bias, head[1].bias)
    narrow = tiny.config(network__media_width=8).network
    net = DomainNetwork(image, text, classes=3, config=narrow, generator=generator)
    assert net.image_from_head == 0


def test_start_from_takes_all_but_the_classifier():
    image, text = tiny.encoders()
    config = tiny.config().network
    first, second = (
        DomainNetwork(image, text, classes=n, config=config, generator=torch.Generator().manual_seed(n)) for n in (3, 4)
    )
    classifier = second.fc10.weight.clone()
    second.start_from(first)
    assert torch.equal(second.fc9[0].weight, first.fc9[0].weight)
    assert torch.equal(second.fc10.weight, classifier)


def test_layers_are_called_alike_in_the_network_in_its_configuration_and_in_the_table_of_names():
    levels = [name for level in (MediaLevel, CorrelationLevel) for name in level.model_fields if name != "weight"]
    assert tuple(levels) == LAYERS
    assert (*LAYERS, "logits") == Outputs._fields
    assert [name for name in LAYERS if is_common(name)] == [
        name for name in CorrelationLevel.model_fields if name != "weight"
    ]


def test_neither_medium_is_an_error():
    with pytest.raises(ValueError, match="images, texts or both"):
        network()(None, None)
