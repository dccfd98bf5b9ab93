from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from dckt_core.contract.options import parse_options
from dckt_core.contract.protocols import Discrepancy, DiscrepancyContext
from dckt_plugins.discrepancies import adversarial, coral, jmmd, mmd

Build = Callable[..., Any]


@pytest.fixture
def build() -> Build:
    """`build("jmmd", layers={"image_fc6": 8}, kernel_num=1)`: a discrepancy of the box, options checked as users'."""
    specs = {spec.name: spec for module in (adversarial, coral, jmmd, mmd) for spec in module.dckt_discrepancies()}

    def build(name: str, *, layers: Mapping[str, int] | None = None, seed: int = 0, **options: Any) -> Discrepancy:
        parsed = parse_options(specs[name], options, where=name)
        return specs[name].build(parsed, DiscrepancyContext(seed=seed, layers=layers or {}, updates=100))

    return build
