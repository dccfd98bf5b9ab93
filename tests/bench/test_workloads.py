"""How shapes are written."""

from __future__ import annotations

import pytest
import torch

from dckt_bench.workloads import DCKT, parse


def test_shapes() -> None:
    assert parse("64x4096").layers == ((64, 64, 4096),)
    assert parse("41:37x1271").layers == ((41, 37, 1271),)
    assert parse("dckt") is DCKT
    assert [n for n, _, _ in DCKT.layers] == [64, 64, 64, 64, 128, 128]


@pytest.mark.parametrize("text", ["", "64", "x4", "64x", "0x4", "4:0x4", "4x4x4", "-4x4", "four"])
def test_what_is_no_shape(text: str) -> None:
    with pytest.raises(ValueError, match="is no shape: write NxD"):
        parse(text)


def test_rows_are_the_same_each_time_and_want_a_gradient() -> None:
    device = torch.device("cpu")
    (x, y), (again, _) = parse("4:3x2").pairs(torch.float32, device)[0], parse("4:3x2").pairs(torch.float32, device)[0]
    assert x.shape == (4, 2)
    assert y.shape == (3, 2)
    assert torch.equal(x, again)
    assert x.requires_grad
    assert x.is_leaf
