from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from dckt_core.base.errors import UsageError
from dckt_core.config import Config
from dckt_core.method.correlation import Correlation
from dckt_core.method.space import CommonSpace, choices
from dckt_core.runs.parts import make_correlation
from tests.support import tiny

SOURCE, TARGET = tiny.domain("source", classes=4, per_class=6), tiny.domain("target", classes=3, per_class=5)


def rows() -> tuple[Tensor, Tensor]:
    data = TARGET.splits["val"]
    everything = torch.arange(len(data))
    return data.image[everything], data.text[everything]


def space(**weights: float) -> tuple[CommonSpace, Config]:
    config = tiny.config(**{f"representation__{name}": weight for name, weight in weights.items()})
    networks = {role: network.eval() for role, network in tiny.networks(config, SOURCE, TARGET).items()}
    image, text = tiny.encoders()
    correlation = make_correlation(config, {"image": image, "text": text}, SOURCE, TARGET)
    made = CommonSpace(networks["target"], config.representation, source=networks["source"], correlation=correlation)
    return made, config


def test_by_itself_it_is_the_target_networks_probabilities() -> None:
    made, _ = space()
    view, alone = made.represent(*rows()), made.target.represent(*rows())
    assert torch.equal(view.image, alone.image)
    assert torch.equal(view.text, alone.text)
    assert made.dim == view.image.shape[1] == 3


def test_the_cosine_is_the_weighted_mean_of_the_parts() -> None:
    made, _ = space(target=2.0, source=0.5, correlation=1.0)
    images, texts = rows()
    view = made.represent(images, texts)
    assert made.source is not None
    assert made.correlation is not None
    target, source = made.target.represent(images, texts), made.source.represent(images, texts)
    common = made.correlation.images(images), made.correlation.texts(texts)
    expected = (
        2.0 * cosine_similarity(target.image, target.text)
        + 0.5 * cosine_similarity(source.image, source.text)
        + 1.0 * cosine_similarity(*common)
    ) / 3.5
    torch.testing.assert_close(cosine_similarity(view.image, view.text), expected, rtol=0, atol=1e-6)
    assert made.dim == view.image.shape[1] == 3 + 4 + 5


@pytest.mark.parametrize(("weights", "dim"), [({"source": 0.3}, 7), ({"correlation": 0.3}, 8)])
def test_a_part_without_weight_is_left_out(weights: dict[str, float], dim: int) -> None:
    made, _ = space(**weights)
    assert made.represent(*rows()).image.shape == (15, dim)


def test_one_medium_alone_equals_both() -> None:
    made, _ = space(source=0.3, correlation=1.0)
    images, texts = rows()
    both = made.represent(images, texts)
    torch.testing.assert_close(made.represent(images, None).image, both.image)
    torch.testing.assert_close(made.represent(None, texts).text, both.text)
    assert made.represent(images, None).text.shape == (0, made.dim)


def test_encoders_that_train_along_have_no_correlation_yet() -> None:
    image, text = tiny.encoders(trainable=True)
    with pytest.raises(UsageError, match=r"representation\.correlation = 1\.0 needs encoders that do not train along"):
        make_correlation(tiny.config(representation__correlation=1.0), {"image": image, "text": text}, SOURCE, TARGET)


def test_the_correlation_is_that_of_both_domains_training_pairs() -> None:
    made, config = space(correlation=1.0)
    images = torch.cat([SOURCE.train.image[torch.arange(24)], TARGET.train.image[torch.arange(15)]])
    texts = torch.cat([SOURCE.train.text[torch.arange(24)], TARGET.train.text[torch.arange(15)]])
    expected = Correlation(7, 5, 128).fit(images, texts, config.representation.correlation_ridge)
    assert made.correlation is not None
    assert torch.equal(made.correlation.image_axes, expected.image_axes)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({"source": 0.3, "correlation": 1.0}, [(), ("source",), ("correlation",), ("source", "correlation")]),
        ({"correlation": 1.0}, [(), ("correlation",)]),
        ({}, [()]),
    ],
)
def test_validation_chooses_among_the_parts_that_have_a_weight(weights: dict[str, float], expected: list[str]) -> None:
    flags = {f"representation__{name}": weight for name, weight in weights.items()}
    assert choices(tiny.config(**flags).representation) == expected


def test_without_a_part_the_other_weights_stay() -> None:
    _, config = space(target=2.0, source=0.5, correlation=1.0)
    left = config.representation.without(["source"])
    assert (left.target, left.source, left.correlation) == (2.0, 0.0, 1.0)
