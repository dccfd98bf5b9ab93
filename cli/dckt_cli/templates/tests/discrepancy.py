"""The contract, and what this discrepancy promises."""

import my_plugin
import torch

from dckt_core import DiscrepancyContext
from dckt_core.testing import assert_discrepancy_ok, installed

(SPEC,) = my_plugin.dckt_discrepancies()


def test_the_contract() -> None:
    assert_discrepancy_ok(SPEC)
    assert_discrepancy_ok(SPEC, my_plugin.Options(power=1))


def test_by_hand() -> None:
    context = DiscrepancyContext(seed=0, layers={"common_fc9": 2}, updates=1)
    distance = SPEC.build(my_plugin.Options(), context)
    source, target = torch.tensor([[0.0, 1.0], [2.0, 1.0]]), torch.tensor([[3.0, 1.0], [3.0, 2.0]])
    assert distance(source, target) == 2**2 + 0.5**2
    assert distance(source, source) == 0


def test_dckt_finds_it() -> None:
    """By its entry point: after `pip install -e .`"""
    assert installed("discrepancy", "my-plugin") == SPEC
