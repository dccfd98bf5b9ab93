"""Checks for authors of plugins: each holds one spec to the whole contract, and needs no data and no test framework.

    from dckt_core.testing import assert_sampler_ok
    from my_plugin import dckt_samplers

    def test_the_contract():
        for spec in dckt_samplers():
            assert_sampler_ok(spec)

`installed("sampler", "my-sampler")` is the spec that dckt finds once the plugin is installed. A broken rule is an
AssertionError of one sentence that names the spec and the rule. The rules: docs/plugins.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dckt_core.base.errors import DcktError
from dckt_core.contract.discovery import discover
from dckt_core.testing.datasets import assert_dataset_ok
from dckt_core.testing.discrepancies import assert_discrepancy_ok
from dckt_core.testing.encoders import assert_encoder_ok
from dckt_core.testing.indexes import assert_index_ok
from dckt_core.testing.observers import assert_observer_ok
from dckt_core.testing.parts import assert_part_ok
from dckt_core.testing.samplers import assert_sampler_ok

__all__ = [
    "CHECKS",
    "assert_dataset_ok",
    "assert_discrepancy_ok",
    "assert_encoder_ok",
    "assert_index_ok",
    "assert_observer_ok",
    "assert_part_ok",
    "assert_sampler_ok",
    "installed",
]

CHECKS: dict[str, Callable[..., None]] = {
    "encoder": assert_encoder_ok,
    "discrepancy": assert_discrepancy_ok,
    "sampler": assert_sampler_ok,
    "dataset": assert_dataset_ok,
    "index": assert_index_ok,
    "observer": assert_observer_ok,
    "part": assert_part_ok,
}
"""By kind of spec."""


def installed(kind: str, name: str) -> Any:
    """The spec of an installed plugin, found by its entry point as dckt does: `installed("sampler", "my-sampler")`.

    Raises:
        AssertionError: the plugin is unknown or left out; dckt's reason in one line.
    """
    try:
        return discover().find(kind, name).spec
    except DcktError as error:
        raise AssertionError(str(error)) from None
