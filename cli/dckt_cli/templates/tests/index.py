"""The contract: what it finds is compared with the truth, after every kind of change."""

import my_plugin

from dckt_core.testing import assert_index_ok, installed

(SPEC,) = my_plugin.dckt_indexes()


def test_the_contract() -> None:
    """For an index that approximates, say `recall=0.9`; for one that compresses vectors, `tolerance=0.01`."""
    assert_index_ok(SPEC)


def test_dckt_finds_it() -> None:
    """By its entry point: after `pip install -e .`"""
    assert installed("index", "my-plugin") == SPEC
