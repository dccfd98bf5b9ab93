"""Fixtures for tests of plugins, offered to pytest by an entry point of group `pytest11`.

pytest loads this module in every run where dckt is installed, of whatever project. So it acts on nobody's tests by
itself, and imports nothing until a fixture is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

AssertOk = Callable[..., None]
FindSpec = Callable[[str, str], Any]


@pytest.fixture(scope="session")
def dckt_plugin() -> FindSpec:
    """`dckt_plugin("sampler", "my-sampler")`: the spec of an installed plugin, found by its entry point as dckt does.

    The test fails with dckt's reason where the plugin is unknown or left out.
    """
    from dckt_core.errors import DcktError
    from dckt_core.plugins import discover

    registry = discover()

    def find(kind: str, name: str) -> Any:
        try:
            return registry.find(kind, name).spec
        except DcktError as error:
            pytest.fail(str(error), pytrace=False)

    return find


@pytest.fixture(scope="session")
def assert_encoder_ok() -> AssertOk:
    """`dckt_core.testing.assert_encoder_ok`."""
    return _check("encoder")


@pytest.fixture(scope="session")
def assert_discrepancy_ok() -> AssertOk:
    """`dckt_core.testing.assert_discrepancy_ok`."""
    return _check("discrepancy")


@pytest.fixture(scope="session")
def assert_sampler_ok() -> AssertOk:
    """`dckt_core.testing.assert_sampler_ok`."""
    return _check("sampler")


@pytest.fixture(scope="session")
def assert_dataset_ok() -> AssertOk:
    """`dckt_core.testing.assert_dataset_ok`."""
    return _check("dataset")


@pytest.fixture(scope="session")
def assert_index_ok() -> AssertOk:
    """`dckt_core.testing.assert_index_ok`."""
    return _check("index")


@pytest.fixture(scope="session")
def assert_observer_ok() -> AssertOk:
    """`dckt_core.testing.assert_observer_ok`."""
    return _check("observer")


def _check(kind: str) -> AssertOk:
    from dckt_core.testing import CHECKS

    return CHECKS[kind]
