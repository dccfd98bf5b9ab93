from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dckt_core.base.rng import seeded_construction
from dckt_core.contract.protocols import Encoder
from dckt_core.data.inference import Inference, rows_of
from tests.support.tolerance import assert_same, path_terms

CPU = torch.device("cpu")


def encoder() -> Encoder:
    """Convolutions, plain and of a channel each, and the mean over the places."""

    class Module(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 5, 1))

        def forward(self, pictures: Tensor) -> Tensor:
            rows: Tensor = self.layers(pictures)
            return rows.mean(dim=(2, 3))

    with seeded_construction(0, "convolutions"):
        return Encoder(prepare=lambda items: torch.empty(0), module=Module(), dim=5, fingerprint="convolutions")


@pytest.fixture
def pictures() -> Tensor:
    return torch.randn(4, 3, 12, 12, generator=torch.Generator().manual_seed(0))


def test_rows_are_those_of_the_module(pictures: Tensor) -> None:
    made = encoder()
    with torch.no_grad():
        expected = made.module.eval()(pictures)
    assert_same(rows_of(made, CPU)(pictures), expected, terms=100 * path_terms(made.module))


def test_bfloat16_keeps_two_or_three_digits(pictures: Tensor) -> None:
    made = encoder()
    exact = rows_of(made, CPU)(pictures)
    rows = rows_of(made, CPU, Inference("bfloat16"))(pictures)
    assert rows.dtype == torch.float32
    assert not torch.equal(rows, exact)
    assert_same(rows, exact, terms=path_terms(made.module), dtype=torch.bfloat16)


def test_a_compiled_encoder_sees_batches_of_one_size(pictures: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def as_it_is(module: Callable[[Tensor], Tensor], **options: Any) -> Callable[[Tensor], Tensor]:
        def passes(inputs: Tensor) -> Tensor:
            seen.append(len(inputs))
            return module(inputs)

        return passes

    monkeypatch.setattr(torch, "compile", as_it_is)
    made = encoder()
    rows = rows_of(made, CPU, Inference(compiled=True))
    whole, last = rows(pictures), rows(pictures[:1])
    assert seen == [4, 4]
    assert torch.equal(last, whole[:1])


@pytest.mark.slow  # the compiler takes the better part of a minute
def test_a_compiled_encoder_gives_the_same_rows(pictures: Tensor, tmp_path: Path) -> None:
    made = encoder()
    rows = rows_of(made, CPU, Inference(compiled=True))
    assert_same(rows(pictures), rows_of(encoder(), CPU)(pictures), terms=100 * path_terms(made.module))
