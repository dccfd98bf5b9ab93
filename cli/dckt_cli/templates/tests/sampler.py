"""The contract, and what this sampler promises."""

from types import SimpleNamespace

import my_plugin
import torch

from dckt_core import SamplerContext
from dckt_core.testing import assert_sampler_ok, installed

(SPEC,) = my_plugin.dckt_samplers()


def test_the_contract() -> None:
    assert_sampler_ok(SPEC)
    assert_sampler_ok(SPEC, my_plugin.Options(first=0.01))


def test_the_easiest_come_first_and_all_of_them_last() -> None:
    sampler = SPEC.build(my_plugin.Options(first=0.5), SamplerContext(iterations=2))
    losses = torch.tensor([3.0, 1.0, 4.0, 2.0])
    chosen = [sampler.select(SimpleNamespace(iteration=n, target_losses=lambda: losses)) for n in (1, 2)]
    assert [selection.indices.tolist() for selection in chosen] == [[1, 3], [1, 3, 0, 2]]


def test_dckt_finds_it() -> None:
    """By its entry point: after `pip install -e .`"""
    assert installed("sampler", "my-plugin") == SPEC
