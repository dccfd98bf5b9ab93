"""`assert_part_ok` passes what keeps the contract, and names the rule that a broken part breaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from dckt_core import PartSpec, StepAsideError
from dckt_core.testing import assert_part_ok

WIDTH = 6


class Centred:
    """The first features less the mean of the target's items; steps aside where there is none."""

    def __init__(self, options: Any = None, context: Any = None) -> None:
        self.means: dict[str, Tensor] = {}

    def fit(self, material: Any) -> None:
        target = material.target
        if not len(target.images) or not len(target.texts):
            raise StepAsideError("no items")
        self.means = {"image": target.images.mean(dim=0), "text": target.texts.mean(dim=0)}

    def rows(self, medium: str, features: Tensor, before: Mapping[str, Tensor]) -> Tensor:
        return (features - self.means[medium])[:, :WIDTH]

    def state_dict(self) -> dict[str, Tensor]:
        return dict(self.means)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self.means = dict(state)


class OfOtherParts(Centred):
    """Adds what the part before it gives, and a direction of its own drawing."""

    def fit(self, material: Any) -> None:
        super().fit(material)
        assert material.rows("correlation", "image", material.target.images).shape[1] == 8
        drawn = torch.randn(1, WIDTH, generator=material.generator("direction"))
        self.means["drawn"] = drawn

    def rows(self, medium: str, features: Tensor, before: Mapping[str, Tensor]) -> Tensor:
        return super().rows(medium, features, before) + before["correlation"][:, :WIDTH] + self.means["drawn"]


class OfNetworks(Centred):
    """What a network of the method says; learns nothing."""

    def __init__(self, options: Any, context: Any) -> None:
        self.network = context.networks["target"]

    def fit(self, material: Any) -> None: ...

    def rows(self, medium: str, features: Tensor, before: Mapping[str, Tensor]) -> Tensor:
        images, texts = (features, None) if medium == "image" else (None, features)
        rows: Tensor = getattr(self.network.represent(images, texts), medium)
        return rows

    def state_dict(self) -> dict[str, Tensor]:
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None: ...


def changed(**methods: Any) -> Callable[[Any, Any], Any]:
    """Builds a `Centred` with other methods."""
    cls = type("Made", (Centred,), methods)
    return lambda options, context: cls()


def giving(rows: Callable[[str, Tensor], Any]) -> Callable[[Any, Any], Any]:
    return changed(rows=lambda self, medium, features, before: rows(medium, features))


def always_aside(self: Any, material: Any) -> None:
    raise StepAsideError("never")


def spoils(self: Any, material: Any) -> None:
    Centred.fit(self, material)
    material.target.images.zero_()


def draws_globally(self: Any, material: Any) -> None:
    Centred.fit(self, material)
    self.means["image"] = self.means["image"] + torch.randn(len(self.means["image"]))


def by_batch(self: Any, medium: str, features: Tensor, before: Mapping[str, Tensor]) -> Tensor:
    own = features[:, :WIDTH]
    return own - own.mean(dim=0) if len(own) else own


def own_memory() -> Callable[[Any, Any], Any]:
    fitted: list[int] = []

    def fit(self: Any, material: Any) -> None:
        Centred.fit(self, material)
        fitted.append(0)
        self.means = {medium: mean + len(fitted) for medium, mean in self.means.items()}

    return changed(fit=fit)


def kept_outside(self: Any, material: Any) -> None:
    Centred.fit(self, material)
    self.shift = 1.0


def rows_of_outside(self: Any, medium: str, features: Tensor, before: Mapping[str, Tensor]) -> Tensor:
    return Centred.rows(self, medium, features, before) + getattr(self, "shift", 0.0)


def sure(medium: str, features: Tensor) -> Tensor:
    return one_hot(features[:, :3].argmax(dim=1), 3).float() * 2


@dataclass(frozen=True)
class Earn:
    earn: bool = True


def spec(build: Any, **fields: Any) -> PartSpec[Any]:
    return PartSpec(**{"name": "mine", "summary": "a test", "build": build, "api": "1.0", **fields})


BROKEN: dict[str, tuple[PartSpec[Any], str]] = {
    "nothing": (spec(lambda options, context: None), "build must return a part, and NoneType has no method fit"),
    "no state": (spec(changed(state_dict=None)), "build must return a part, and Made has no method state_dict"),
    "build raises": (spec(lambda options, context: {}[1]), "build raised KeyError: 1"),
    "option": (spec(Centred, options=Earn), "its option 'earn' has a name that a configuration keeps for itself"),
    "fit raises": (
        spec(changed(fit=lambda self, material: 1 / 0)),
        "fit, for labelled pairs, raised ZeroDivisionError",
    ),
    "nothing to say": (
        spec(changed(fit=lambda self, material: Centred.fit(self, material) or material.rows("gone", "image", None))),
        "fit, for labelled pairs, raised KeyError",
    ),
    "empty target": (
        spec(changed(fit=lambda self, material: self.means.update(image=material.target.images[0]))),
        "rows, for 9 texts, raised KeyError",
    ),
    "always aside": (spec(changed(fit=always_aside)), "it must learn from one of: labelled pairs, "),
    "spoils": (spec(changed(fit=spoils)), "it changes features or labels in place"),
    "no tensor": (spec(giving(lambda medium, features: [1])), r"rows must give a tensor \[9, k\], not list"),
    "one row": (
        spec(giving(lambda medium, features: features[:1])),
        r"rows must give a tensor \[9, k\], not \(1, 40\)",
    ),
    "whole numbers": (spec(giving(lambda medium, features: features.long())), "must give floating-point numbers, not"),
    "not finite": (spec(giving(lambda medium, features: features / 0)), "its rows of images are not all finite"),
    "by batch": (spec(changed(rows=by_batch)), "an item's row must not depend on the others of its batch"),
    "two widths": (
        spec(giving(lambda medium, features: features[:, : 4 if medium == "image" else 5])),
        "its rows of images and of texts must have one width",
    ),
    "no item": (
        spec(giving(lambda medium, features: features[:, :WIDTH] if len(features) else torch.zeros(0, 1))),
        r"it must give \[0, k\] for no items",
    ),
    "one memory": (
        spec(changed(state_dict=lambda self: {"a": self.means["image"], "b": self.means["image"]})),
        "saving its state_dict raised RuntimeError: Some tensors share memory",
    ),
    "no probabilities": (
        spec(Centred, classes=True),
        "classes = True promises probabilities of the target's 3 classes",
    ),
    "sums to 2": (spec(giving(sure), classes=True), "classes = True promises probabilities of the target's 3 classes"),
    "global draws": (spec(changed(fit=draws_globally)), "the global random generator of torch"),
    "own memory": (spec(own_memory()), "with the same seed it must learn the same"),
    "forgets": (
        spec(changed(load_state_dict=lambda self, state: None)),
        "rows, for 9 images, raised KeyError",
    ),
    "kept outside": (
        spec(changed(fit=kept_outside, rows=rows_of_outside)),
        "with its state_dict loaded it must give the same rows",
    ),
    "state of numbers": (
        spec(changed(state_dict=lambda self: {"shift": 1.0})),
        "state_dict must hold tensors by name and nothing else",
    ),
    "not the network": (
        spec(Centred, networks=True, target_network=True),
        "target_network = True promises the target network's representation",
    ),
    "no network": (spec(OfNetworks), "build raised KeyError: 'target'"),
}


def test_a_good_one_passes() -> None:
    assert_part_ok(spec(Centred))
    assert_part_ok(spec(OfOtherParts))
    assert_part_ok(spec(OfNetworks, networks=True, classes=True, target_network=True))
    assert_part_ok(spec(giving(lambda medium, features: normalize(features[:, :3].exp(), p=1)), classes=True))


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_named(name: str) -> None:
    broken, rule = BROKEN[name]
    with pytest.raises(AssertionError, match=rf"^part 'mine': .*({rule})"):
        assert_part_ok(broken)
