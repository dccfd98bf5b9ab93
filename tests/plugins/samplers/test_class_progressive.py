from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dckt_core.base.errors import UsageError
from dckt_plugins.samplers.class_progressive import LAYER, class_distances, dropped_share
from tests.support.tolerance import assert_same


@dataclass
class State:
    """A progressive iteration of which only the labels and one layer are known."""

    source: Tensor
    source_labels: Tensor
    target: Tensor
    labels: Tensor
    iteration: int = 1

    def layer(self, domain: str, name: str) -> Tensor:
        assert name == LAYER
        return {"source": self.source, "target": self.target}[domain]


def both_media(means: list[float], labels: list[int]) -> Tensor:
    """Rows [2P, 1] of pairs: the image a little below its class's mean, the text as much above it."""
    centres = torch.tensor([means[label] for label in labels])[:, None]
    return torch.cat([centres - 0.1, centres + 0.1])


def state(iteration: int = 1) -> State:
    """On a line: source classes at 0, 10, 50, 60; target classes at 1, 12, 20, 100."""
    source, target = [0, 1, 2, 3, 0, 1, 2, 3], [3, 0, 1, 2, 0]
    return State(
        both_media([0.0, 10.0, 50.0, 60.0], source),
        torch.tensor(source),
        both_media([1.0, 12.0, 20.0, 100.0], target),
        torch.tensor(target),
        iteration,
    )


def test_the_farthest_classes_of_either_domain_wait(build):
    # Source classes lie 1, 2, 30 and 40 from the nearest target class, target classes 1, 2, 10 and 40.
    selection = build("class-progressive", iterations=3, drop=0.5).select(state())
    assert selection.indices.tolist() == [1, 2, 4], "target classes 0 and 1"
    assert selection.source_indices.tolist() == [0, 1, 4, 5], "source classes 0 and 1"
    assert_same(selection.details["class_distance"], [40, 1, 2, 10, 1], terms=2, scale=100, dtype=torch.float32)


def test_fewer_wait_in_each_iteration_and_none_in_the_last(build):
    sampler = build("class-progressive", iterations=3, drop=0.5)
    chosen = [sampler.select(state(iteration)) for iteration in (1, 2, 3)]
    assert [selection.indices.tolist() for selection in chosen] == [[1, 2, 4], [1, 2, 3, 4], [0, 1, 2, 3, 4]]
    assert [len(selection.source_indices) for selection in chosen] == [4, 6, 8]


def test_nothing_dropped_keeps_all(build):
    selection = build("class-progressive", drop=0.0).select(state())
    assert len(selection.indices) == 5
    assert len(selection.source_indices) == 8


def test_a_class_remains_at_least(build):
    selection = build("class-progressive", drop=0.99).select(state())
    assert selection.indices.tolist() == [1, 4]
    assert selection.source_indices.tolist() == [0, 4]


def test_classes_without_a_pair_are_no_classes(build):
    """Labels need not be numbered without gaps."""
    now = state()
    now.labels, now.source_labels = now.labels * 7 + 3, now.source_labels * 5
    selection = build("class-progressive", iterations=3, drop=0.5).select(now)
    assert selection.indices.tolist() == [1, 2, 4]
    assert selection.source_indices.tolist() == [0, 1, 4, 5]


@given(seed=st.integers(0, 99), classes=st.integers(1, 4), others=st.integers(1, 4), d=st.integers(1, 5))
def test_distances_are_between_the_nearest_means(seed, classes, others, d):
    generator = torch.Generator().manual_seed(seed)
    labels, other_labels = torch.arange(classes).repeat(3), torch.arange(others).repeat(2)
    rows = torch.randn(len(labels), d, generator=generator, dtype=torch.float64)
    other_rows = torch.randn(len(other_labels), d, generator=generator, dtype=torch.float64)
    present, found = class_distances(rows, labels, other_rows, other_labels)
    assert present.tolist() == list(range(classes))
    for label in range(classes):
        mean = rows[labels == label].mean(dim=0)
        far = [float((mean - other_rows[other_labels == other].mean(dim=0)).norm()) for other in range(others)]
        assert_same(found[label], min(far), terms=3 * d, scale=float(rows.abs().max() + other_rows.abs().max()))


@given(iterations=st.integers(2, 30), drop=st.floats(0, 0.99))
def test_the_share_falls_to_nothing(iterations, drop):
    shares = [dropped_share(iteration, iterations, drop) for iteration in range(1, iterations + 1)]
    assert shares[0] == pytest.approx(drop)
    assert shares[-1] == 0.0
    assert shares == sorted(shares, reverse=True)
    assert dropped_share(1, 1, drop) == drop


@pytest.mark.parametrize("drop", ["-0.1", "1", "nan"])
def test_bad_options(build, drop):
    with pytest.raises(UsageError, match="'drop' of"):
        build("class-progressive", drop=drop)
