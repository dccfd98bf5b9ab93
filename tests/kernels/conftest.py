"""Rows to compare, and the ways to compare them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dckt_kernels import closed_form, panels
from tests.support.interpreter import remember_builtins
from tests.support.yardstick import INTERPRETED, Rows

if INTERPRETED:
    remember_builtins()


@pytest.fixture(autouse=True)
def _compiler(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A place for torch's compiler, which else names one itself in the environment."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "inductor"))


@pytest.fixture
def rows() -> Rows:
    """rows(n, m, d, offset=0, spread=1, dtype=float32): two domains, the second shifted and wider."""

    def make(
        n: int, m: int, d: int, offset: float = 0.0, spread: float = 1.0, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(n + 31 * m + 997 * d)
        x = torch.randn(n, d, generator=generator, dtype=torch.float64) * spread + offset
        y = (torch.randn(m, d, generator=generator, dtype=torch.float64) * 1.2 + 0.2) * spread + offset
        return x.to(dtype), y.to(dtype)

    return make


@pytest.fixture(params=["dense", "panels"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the two ways to walk over the pairs, whatever the size; panels of 16 rows, so that there are several."""
    monkeypatch.setattr(closed_form, "DENSE_ROWS", 10**9 if request.param == "dense" else 0)
    monkeypatch.setattr(panels, "BLOCK_ROWS", 16)
    return str(request.param)


@pytest.fixture(params=["small", "large"])
def both_sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The paths for small numbers of rows and for large ones, whatever the size; of the Triton kernels too."""
    if request.param == "large":
        monkeypatch.setattr(closed_form, "DENSE_ROWS", 0)
        if INTERPRETED:
            from dckt_kernels.gpu import configs

            monkeypatch.setattr(configs, "SMALL_ROWS", 0)
