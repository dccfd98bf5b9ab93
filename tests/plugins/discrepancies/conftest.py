from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from dckt_core.contract.options import parse_options
from dckt_core.contract.protocols import Discrepancy, DiscrepancyContext
from tests.support import box

Build = Callable[..., Any]


@pytest.fixture
def build() -> Build:
    """`build("jmmd", layers={"image_fc6": 8}, kernel_num=1)`: a discrepancy of the box, options checked as users'."""

    def build(name: str, *, layers: Mapping[str, int] | None = None, seed: int = 0, **options: Any) -> Discrepancy:
        spec = box.spec("discrepancy", name)
        parsed = parse_options(spec, options, where=name)
        return spec.build(parsed, DiscrepancyContext(seed=seed, layers=layers or {}, updates=100))

    return build
